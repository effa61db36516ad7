#include "grpc_breaker/policy.h"

#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/registry/grpc_compat.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

void ExpectInvalid(const Options& options, const std::string& message) {
  const absl::Status status = options.Validate();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(status.message()), message);
}

TEST(PolicyTest, DefaultsAreValid) {
  EXPECT_TRUE(Policy().Validate().ok());
  EXPECT_TRUE(Options().Validate().ok());
}

TEST(PolicyTest, NamesTheFieldAndTheValueOfABadRetryOption) {
  Policy policy;
  policy.retry.base_delay = absl::Seconds(-1);
  EXPECT_EQ(std::string(policy.Validate("methods[/pkg.S/M].").message()),
            "methods[/pkg.S/M].retry.base_delay: must be at least 1ns, "
            "got -1s");
}

TEST(PolicyTest, NamesTheFieldOfABadBreakerOption) {
  Options options;
  options.default_policy.breaker.failure_rate = 1.5;
  const absl::Status status = options.Validate();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              StartsWith("default_policy.breaker.failure_rate: "));
  EXPECT_THAT(std::string(status.message()), HasSubstr("1.5"));
}

TEST(PolicyTest, RefusesTimeoutsBelowAMillisecond) {
  Policy policy;
  policy.timeout = policy.attempt_timeout = absl::Milliseconds(1);
  EXPECT_TRUE(policy.Validate().ok()) << policy.Validate();
  policy.timeout = absl::ZeroDuration();
  EXPECT_EQ(std::string(policy.Validate().message()),
            "timeout: must be from 1ms to 8760h, got 0");
  policy.timeout = absl::Microseconds(999);
  EXPECT_EQ(std::string(policy.Validate().message()),
            "timeout: must be from 1ms to 8760h, got 999us");
  policy.timeout.reset();
  policy.attempt_timeout = absl::Milliseconds(-5);
  EXPECT_EQ(std::string(policy.Validate().message()),
            "attempt_timeout: must be from 1ms to 8760h, got -5ms");
}

TEST(PolicyTest, RefusesTimeoutsBeyondAYear) {
  Policy policy;
  policy.timeout = policy.attempt_timeout = absl::Hours(8760);
  EXPECT_TRUE(policy.Validate().ok()) << policy.Validate();
  policy.attempt_timeout = absl::Hours(8760) + absl::Nanoseconds(1);
  EXPECT_EQ(std::string(policy.Validate().message()),
            "attempt_timeout: must be from 1ms to 8760h, got "
            "8760h0.000000001s");
  policy.timeout = absl::InfiniteDuration();
  EXPECT_EQ(std::string(policy.Validate().message()),
            "timeout: must be from 1ms to 8760h, got inf");
}

TEST(PolicyTest, RefusesToReclassifyWhatIsNoError) {
  Policy policy;
  policy.classification[grpc::StatusCode::OK].retryable = true;
  EXPECT_EQ(std::string(policy.Validate().message()),
            "classification[0]: must be the code of an error, in [1, 16], "
            "got 0");
  policy.classification.clear();
  policy.classification[static_cast<grpc::StatusCode>(17)].retryable = true;
  EXPECT_EQ(std::string(policy.Validate().message()),
            "classification[17]: must be the code of an error, in [1, 16], "
            "got 17");
}

// The first number after each enum's last.
TEST(PolicyTest, RefusesEnumeratorsThatDoNotExist) {
  Policy policy;
  ClassOverride& override = policy.classification[grpc::StatusCode::ABORTED];
  override.category = static_cast<ErrorCategory>(6);
  EXPECT_EQ(std::string(policy.Validate().message()),
            "classification[10].category: must be one of the named values, "
            "got 6");
  override = {};
  override.severity = static_cast<ErrorSeverity>(5);
  EXPECT_EQ(std::string(policy.Validate().message()),
            "classification[10].severity: must be one of the named values, "
            "got 5");
  override = {};
  override.outcome = static_cast<Outcome>(3);
  EXPECT_EQ(std::string(policy.Validate().message()),
            "classification[10].outcome: must be one of the named values, "
            "got 3");
  override = {};
  policy.idempotency = static_cast<Idempotency>(2);
  EXPECT_EQ(std::string(policy.Validate().message()),
            "idempotency: must be one of the named values, got 2");
  policy.idempotency = static_cast<Idempotency>(-1);
  EXPECT_EQ(std::string(policy.Validate().message()),
            "idempotency: must be one of the named values, got -1");
}

// Retries would take it for a success.
TEST(PolicyTest, RefusesAnErrorOfNoCategory) {
  Policy policy;
  policy.classification[grpc::StatusCode::ABORTED].category =
      ErrorCategory::kNone;
  EXPECT_EQ(policy.Validate().message(),
            "classification[10].category: must be that of an error, got NONE");
}

TEST(PolicyTest, AcceptsEveryOverrideOfAnError) {
  Policy policy;
  for (int code = 1; code <= 16; ++code) {
    ClassOverride& override =
        policy.classification[static_cast<grpc::StatusCode>(code)];
    override.category = ErrorCategory::kPermanent;
    override.severity = ErrorSeverity::kCritical;
    override.outcome = Outcome::kIgnored;
    override.retryable = true;
  }
  EXPECT_TRUE(policy.Validate().ok());
}

TEST(OptionsTest, NamesAMalformedMethod) {
  Options options;
  options.methods["pkg.S/M"];
  ExpectInvalid(options,
                "methods[pkg.S/M]: must have the form /package.Service/Method");
}

TEST(OptionsTest, RefusesAServiceAmongTheMethods) {
  Options options;
  options.methods["/pkg.S/"];
  ExpectInvalid(options,
                "methods[/pkg.S/]: must have the form /package.Service/Method");
}

TEST(OptionsTest, RefusesAMethodAmongTheServices) {
  Options options;
  options.services["/pkg.S/M"];
  ExpectInvalid(options,
                "services[/pkg.S/M]: must have the form /package.Service/");
}

TEST(OptionsTest, NamesThePolicyOfABadNumber) {
  Options options;
  options.services["/pkg.S/"].retry.max_delay = absl::ZeroDuration();
  const absl::Status status = options.Validate();
  EXPECT_THAT(std::string(status.message()),
              StartsWith("services[/pkg.S/].retry.max_delay: "));
}

TEST(OptionsTest, NamesABadRetryBudget) {
  Options options;
  options.retry_budget.max_tokens = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(std::string(options.Validate().message()),
              StartsWith("retry_budget.max_tokens: "));
}

TEST(OptionsTest, BoundsTheNumberOfMethods) {
  Options options;
  options.max_methods = 0;
  ExpectInvalid(options, "max_methods: must be in [1, 1000000], got 0");
  options.max_methods = 1'000'001;
  ExpectInvalid(options, "max_methods: must be in [1, 1000000], got 1000001");
}

TEST(OptionsTest, KeepsRoomForEveryMethodWithAPolicyOfItsOwn) {
  Options options;
  options.methods["/pkg.S/A"];
  options.methods["/pkg.S/B"];
  options.max_methods = 1;
  ExpectInvalid(options,
                "max_methods: must be at least the number of policies in "
                "methods, 2, got 1");
}

TEST(OptionsTest, RefusesNamesThatAreNotUtf8) {
  Options options;
  options.channel_name = "caf\xc3\xa9";
  EXPECT_TRUE(options.Validate().ok());
  options.channel_name = "caf\xe9";
  ExpectInvalid(options, "channel_name: must be UTF-8, got \"caf\\xe9\"");
  options.channel_name.clear();
  options.default_policy.authority = "\xff";
  ExpectInvalid(options,
                "default_policy.authority: must be UTF-8, got \"\\xff\"");
}

TEST(OptionsTest, RefusesNulls) {
  Options options;
  options.listeners = {std::make_shared<BreakerListener>(), nullptr};
  ExpectInvalid(options, "listeners[1]: must not be null");
  options.listeners.clear();
  options.environment = nullptr;
  ExpectInvalid(options, "environment: must not be null");
}

TEST(OptionsTest, TheMostSpecificPolicyWinsAsAWhole) {
  Options options;
  options.default_policy.retry.max_retries = 1;
  options.default_policy.timeout = absl::Seconds(9);
  options.services["/pkg.S/"].retry.max_retries = 2;
  options.methods["/pkg.S/M"].retry.max_retries = 3;

  EXPECT_EQ(options.PolicyFor("/pkg.S/M").retry.max_retries, 3);
  EXPECT_EQ(options.PolicyFor("/pkg.S/N").retry.max_retries, 2);
  EXPECT_EQ(options.PolicyFor("/pkg.T/M").retry.max_retries, 1);
  EXPECT_EQ(options.PolicyFor("_other").retry.max_retries, 1);
  EXPECT_EQ(options.PolicyFor("/pkg.S/M").timeout, std::nullopt);
}

TEST(OptionsTest, TheServiceIsMatchedByItsWholeName) {
  Options options;
  options.services["/pkg.S/"].retry.max_retries = 2;
  EXPECT_EQ(&options.PolicyFor("/pkg.Su/M"), &options.default_policy);
  EXPECT_EQ(&options.PolicyFor("/other.pkg.S/M"), &options.default_policy);
}

// And where it can, there is no such warning.
TEST(OptionsTest, WarnOfAllThatNeedsAttemptsWhereTheBuildCannotMakeThem) {
  Options options;
  options.default_policy.wait_for_ready = false;
  Policy& policy = options.services["/pkg.S/"];
  policy.idempotency = Idempotency::kRepeatable;
  policy.retry.max_retries = 1;
  policy.hedging.max_hedges = 1;
  policy.stream_retry.enabled = true;
  policy.attempt_timeout = absl::Seconds(1);
  policy.fallback = Fallback::Fixed(grpc::Status::OK);
  policy.authority = "pkg.test";
  Policy& modest = options.methods["/pkg.S/M"];
  modest.retry.max_retries = 0;
  modest.timeout = absl::Seconds(1);
  modest.on_final_failure = [](const FailedCall&) {};

  std::vector<std::string> fields;
  for (const PolicyWarning& warning : options.Warnings()) {
    EXPECT_THAT(warning.message, StartsWith("has no effect: "));
    fields.push_back(warning.field);
  }

  if (internal::kHasPrivateAccess) {
    EXPECT_THAT(fields, IsEmpty());
  } else {
    EXPECT_THAT(fields, ElementsAre("default_policy.retry.max_retries",
                                    "default_policy.wait_for_ready",
                                    "services[/pkg.S/].retry.max_retries",
                                    "services[/pkg.S/].hedging.max_hedges",
                                    "services[/pkg.S/].stream_retry",
                                    "services[/pkg.S/].attempt_timeout",
                                    "services[/pkg.S/].fallback",
                                    "services[/pkg.S/].authority"));
  }
}

TEST(FallbackTest, FixedAlwaysGivesTheSameAnswer) {
  const Fallback fallback = Fallback::Fixed(
      grpc::Status(grpc::StatusCode::UNAVAILABLE, "later"), "reply");
  for (int i = 0; i < 2; ++i) {
    const FallbackResult result = fallback.function(FailedCall{});
    EXPECT_EQ(result.status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(result.status.error_message(), "later");
    EXPECT_EQ(result.reply, "reply");
  }
}

}  // namespace
}  // namespace grpc_breaker
