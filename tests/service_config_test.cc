// What Options::FromServiceConfig makes of gRPC's service config.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/registry/grpc_compat.h"
#include "grpc_breaker/registry/service_config.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// That of gRFC A6, but for the numbers.
constexpr char kRetryPolicy[] = R"({
  "maxAttempts": 4,
  "initialBackoff": "0.1s",
  "maxBackoff": "1.5s",
  "backoffMultiplier": 2,
  "retryableStatusCodes": ["UNAVAILABLE", "aborted", 8]
})";

Options Read(const std::string& json,
             AttemptLimit limit = AttemptLimit::kGrpcA6) {
  const absl::StatusOr<Options> options =
      Options::FromServiceConfig(json, limit);
  EXPECT_TRUE(options.ok()) << options.status();
  return options.value_or(Options());
}

// What is wrong with the config, which must be an InvalidArgument, or "".
std::string Complaint(const std::string& json,
                      AttemptLimit limit = AttemptLimit::kGrpcA6) {
  const absl::Status status = Options::FromServiceConfig(json, limit).status();
  EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

// A config with these fields for all methods.
std::string ForAll(const std::string& fields) {
  return absl::StrCat(R"({"methodConfig": [{"name": [{}], )", fields, "}]}");
}

// One with the policy above, but for one of its values.
std::string WithRetry(const std::string& value = "",
                      const std::string& instead = "") {
  std::string policy = kRetryPolicy;
  if (!value.empty()) {
    EXPECT_THAT(policy, HasSubstr(value));
    policy = absl::StrReplaceAll(policy, {{value, instead}});
  }
  return ForAll(absl::StrCat("\"retryPolicy\": ", policy));
}

std::string Named(const std::vector<std::string>& names) {
  std::string json = R"({"methodConfig": [)";
  for (size_t i = 0; i < names.size(); ++i) {
    absl::StrAppend(&json, i == 0 ? "" : ",", "{\"name\": [", names[i],
                    "], \"timeout\": \"", i + 1, "s\"}");
  }
  return json + "]}";
}

TEST(ServiceConfigTest, ARetryPolicyBecomesThatOfTheMethods) {
  const Policy policy = Read(WithRetry()).default_policy;
  EXPECT_EQ(policy.retry.max_retries, 3);
  EXPECT_EQ(policy.retry.base_delay, absl::Milliseconds(100));
  EXPECT_EQ(policy.retry.max_delay, absl::Milliseconds(1500));
  EXPECT_EQ(policy.retry.exponential_base, 2);
  EXPECT_EQ(policy.retry.jitter, Jitter::kGrpcA6);
}

TEST(ServiceConfigTest, ToListAMethodIsTheWordThatItMayBeRepeated) {
  EXPECT_EQ(Read(WithRetry()).default_policy.idempotency,
            Idempotency::kRepeatable);
  EXPECT_EQ(Read(ForAll(R"("timeout": "1s")")).default_policy.idempotency,
            Idempotency::kAsDeclared);
}

TEST(ServiceConfigTest, ListedCodesAreRetriedAndNoOthers) {
  const Policy policy = Read(WithRetry()).default_policy;
  std::vector<int> retried;
  ASSERT_EQ(policy.classification.size(), 16u);
  for (const auto& [code, override] : policy.classification) {
    ASSERT_TRUE(override.retryable.has_value());
    if (*override.retryable) retried.push_back(code);
    EXPECT_FALSE(override.category || override.severity || override.outcome);
  }
  EXPECT_THAT(retried, ElementsAre(grpc::StatusCode::RESOURCE_EXHAUSTED,
                                   grpc::StatusCode::ABORTED,
                                   grpc::StatusCode::UNAVAILABLE));
}

TEST(ServiceConfigTest, WhatIsNotConfiguredIsNotRetried) {
  EXPECT_EQ(Read("{}").default_policy.retry.max_retries, 0);
  const Options options = Read(Named({R"({"service": "pkg.S"})"}));
  EXPECT_EQ(options.services.at("/pkg.S/").retry.max_retries, 0);
  EXPECT_TRUE(options.services.at("/pkg.S/").classification.empty());
  EXPECT_EQ(options.retry_budget, RetryBudgetOptions());
}

TEST(ServiceConfigTest, TheLongestNameThatMatchesWins) {
  const Options options = Read(
      Named({"{}", R"({"service": "pkg.S"})",
             R"({"service": "pkg.S", "method": "M"}, {"service": "pkg.T"})"}));
  const auto timeout = [&](const char* method) {
    return options.PolicyFor(method).timeout;
  };
  EXPECT_EQ(timeout("/pkg.S/M"), absl::Seconds(3));
  EXPECT_EQ(timeout("/pkg.S/N"), absl::Seconds(2));
  EXPECT_EQ(timeout("/pkg.T/M"), absl::Seconds(3));
  EXPECT_EQ(timeout("/pkg.U/M"), absl::Seconds(1));
}

// What a longer name does not say, a shorter one does not say for it.
TEST(ServiceConfigTest, NothingIsMerged) {
  const Options options = Read(absl::StrCat(
      R"({"methodConfig": [{"name": [{}], "waitForReady": true, )",
      R"("retryPolicy": )", kRetryPolicy,
      R"(}, {"name": [{"service": "pkg.S"}], "timeout": "1s"}]})"));
  const Policy& policy = options.PolicyFor("/pkg.S/M");
  EXPECT_EQ(policy.retry.max_retries, 0);
  EXPECT_FALSE(policy.wait_for_ready.has_value());
  EXPECT_EQ(options.default_policy.wait_for_ready, true);
}

TEST(ServiceConfigTest, EmptyNullAndMissingNamesAreTheSame) {
  for (const char* name :
       {"{}", R"({"service": ""})", R"({"service": null, "method": ""})"}) {
    EXPECT_EQ(Read(Named({name})).default_policy.timeout, absl::Seconds(1))
        << name;
  }
}

TEST(ServiceConfigTest, AConfigWithoutNamesIsForNoMethod) {
  const Options options = Read(
      R"({"methodConfig": [{"timeout": "1s"}, {"name": [], "timeout": "2s"}]})");
  EXPECT_FALSE(options.default_policy.timeout.has_value());
  EXPECT_THAT(options.services, IsEmpty());
  EXPECT_THAT(options.methods, IsEmpty());
}

TEST(ServiceConfigTest, AnyNumberOfMethodsHasRoom) {
  std::string names = R"({"service": "pkg.S", "method": "M"})";
  for (int i = 0; i < 1100; ++i) {
    absl::StrAppend(&names, R"(, {"service": "pkg.S", "method": "M)", i, "\"}");
  }
  EXPECT_EQ(Read(Named({names})).methods.size(), 1101u);
}

TEST(ServiceConfigTest, TimeoutAndWaitForReadyAreTaken) {
  const Policy policy =
      Read(ForAll(R"("timeout": "2.5s", "waitForReady": false)"))
          .default_policy;
  EXPECT_EQ(policy.timeout, absl::Milliseconds(2500));
  EXPECT_EQ(policy.wait_for_ready, false);
}

TEST(ServiceConfigTest, ATimeoutOfZeroIsNone) {
  EXPECT_FALSE(
      Read(ForAll(R"("timeout": "0s")")).default_policy.timeout.has_value());
}

TEST(ServiceConfigTest, DurationsAreAsProtobufWritesThem) {
  const std::map<std::string, absl::Duration> durations = {
      {"1s", absl::Seconds(1)},
      {"1.5s", absl::Milliseconds(1500)},
      {".01s", absl::Milliseconds(10)},
      {"0.000000001s", absl::Nanoseconds(1)},
      {"3.000000001s", absl::Seconds(3) + absl::Nanoseconds(1)},
      {"315576000000s", absl::Hours(24) * 36525 * 100},
  };
  for (const auto& [text, duration] : durations) {
    EXPECT_EQ(Read(WithRetry("1.5s", text)).default_policy.retry.max_delay,
              duration)
        << text;
  }
  for (const char* text :
       {"", "s", ".s", "1", "1.s", "-1s", "+1s", "1ms", " 1s", "1s ", "1e3s",
        "0x1s", "1.0000000001s", "315576000001s", "99999999999999999999s"}) {
    EXPECT_EQ(Complaint(WithRetry("1.5s", text)),
              absl::StrCat("methodConfig[0].retryPolicy.maxBackoff: must be a "
                           "duration such as \"1.5s\", got \"",
                           text, "\""))
        << text;
  }
}

TEST(ServiceConfigTest, AFirstBackoffAboveTheLongestIsTheLongest) {
  const RetryOptions retry = Read(WithRetry("0.1s", "5s")).default_policy.retry;
  EXPECT_EQ(retry.base_delay, absl::Milliseconds(1500));
  EXPECT_EQ(retry.max_delay, absl::Milliseconds(1500));
}

TEST(ServiceConfigTest, AMultiplierMayKeepDelaysTheSameOrMakeThemShrink) {
  for (const char* multiplier : {"1", "0.5", "1.0", "1e-9"}) {
    EXPECT_EQ(
        Complaint(WithRetry("\": 2,", absl::StrCat("\": ", multiplier, ","))),
        "");
  }
}

TEST(ServiceConfigTest, MoreThanFiveAttemptsAreFiveUnlessTheLimitIsLifted) {
  const std::string seven = WithRetry("\": 4,", "\": 7,");
  EXPECT_EQ(Read(seven).default_policy.retry.max_retries, 4);
  EXPECT_EQ(
      Read(WithRetry("\": 4,", "\": 5,")).default_policy.retry.max_retries, 4);
  EXPECT_EQ(Read(WithRetry("\": 4,", "\": 2000000000,"))
                .default_policy.retry.max_retries,
            4);
  EXPECT_EQ(Read(seven, AttemptLimit::kNone).default_policy.retry.max_retries,
            6);
  EXPECT_EQ(Complaint(WithRetry("\": 4,", "\": 101,"), AttemptLimit::kNone),
            "");
  EXPECT_EQ(Complaint(WithRetry("\": 4,", "\": 102,"), AttemptLimit::kNone),
            "methodConfig[0].retryPolicy.maxAttempts: must be an integer from "
            "2 to 101, got 102");
}

TEST(ServiceConfigTest, ABadValueOfARetryPolicyIsNamedWithItsPath) {
  const auto complaint = [](const char* value, const char* instead) {
    const std::string text = Complaint(WithRetry(value, instead));
    const std::string prefix = "methodConfig[0].retryPolicy.";
    EXPECT_THAT(text, StartsWith(prefix));
    return text.substr(std::min(prefix.size(), text.size()));
  };
  EXPECT_EQ(complaint("\": 4,", "\": 1,"),
            "maxAttempts: must be an integer of at least 2, got 1");
  EXPECT_EQ(complaint("\": 4,", "\": 2.5,"),
            "maxAttempts: must be an integer of at least 2, got 2.5");
  EXPECT_EQ(complaint("\": 4,", "\": \"4\","),
            "maxAttempts: must be an integer of at least 2, got \"4\"");
  EXPECT_EQ(complaint("\": 4,", "\": 1e300,"),
            "maxAttempts: must be an integer of at least 2, got 1e+300");
  EXPECT_EQ(complaint("\": 4,", "\": null,"),
            "maxAttempts: must be an integer of at least 2, got nothing");
  EXPECT_EQ(complaint("0.1s", "0s"),
            "initialBackoff: must be greater than 0s, got \"0s\"");
  EXPECT_EQ(complaint("\"0.1s\"", "0.1"),
            "initialBackoff: must be a duration such as \"1.5s\", got 0.1");
  EXPECT_EQ(complaint("initialBackoff", "initialBackOff"),
            "initialBackoff: must be a duration such as \"1.5s\", got nothing");
  EXPECT_EQ(complaint("1.5s", "0s"),
            "maxBackoff: must be greater than 0s, got \"0s\"");
  EXPECT_EQ(complaint("\": 2,", "\": 0,"),
            "backoffMultiplier: must be a number greater than 0, got 0");
  EXPECT_EQ(complaint("\": 2,", "\": -1,"),
            "backoffMultiplier: must be a number greater than 0, got -1");
  EXPECT_EQ(complaint("\": 2,", "\": true,"),
            "backoffMultiplier: must be a number greater than 0, got true");
  EXPECT_EQ(complaint("[\"UNAVAILABLE\", \"aborted\", 8]", "[]"),
            "retryableStatusCodes: must be a list of at least one status code, "
            "got an empty list");
  EXPECT_EQ(complaint("[\"UNAVAILABLE\", \"aborted\", 8]", "null"),
            "retryableStatusCodes: must be a list of at least one status code, "
            "got nothing");
  EXPECT_EQ(complaint("[\"UNAVAILABLE\", \"aborted\", 8]", "14"),
            "retryableStatusCodes: must be a list, got 14");
  for (const char* code :
       {"\"FOO\"", "\"OK\"", "0", "17", "-1", "8.5", "\"8\"", "true", "\"\""}) {
    EXPECT_EQ(complaint("\"aborted\"", code),
              absl::StrCat("retryableStatusCodes[1]: must be the code of an "
                           "error, by number or name such as UNAVAILABLE, got ",
                           code));
  }
}

TEST(ServiceConfigTest, ABadValueOfAMethodConfigIsNamedWithItsPath) {
  EXPECT_EQ(Complaint(R"({"methodConfig": 1})"),
            "methodConfig: must be a list, got 1");
  EXPECT_EQ(Complaint(R"({"methodConfig": [{}, []]})"),
            "methodConfig[1]: must be an object, got an empty list");
  EXPECT_EQ(Complaint(R"({"methodConfig": [{"name": {}}]})"),
            "methodConfig[0].name: must be a list, got an object");
  EXPECT_EQ(Complaint(Named({"1"})),
            "methodConfig[0].name[0]: must be an object, got 1");
  EXPECT_EQ(Complaint(Named({R"({"service": 1})"})),
            "methodConfig[0].name[0].service: must be a string, got 1");
  EXPECT_EQ(Complaint(Named({R"({"service": "a b"})"})),
            "methodConfig[0].name[0].service: must be the name of a service, "
            "such as pkg.Service, got \"a b\"");
  EXPECT_EQ(Complaint(Named({R"({"service": "S", "method": "M/N"})"})),
            "methodConfig[0].name[0].method: must be the name of a method, "
            "got \"M/N\"");
  EXPECT_EQ(Complaint(Named({R"({"method": "M"})"})),
            "methodConfig[0].name[0].method: must be left out where there is "
            "no service, got \"M\"");
  EXPECT_EQ(Complaint(ForAll(R"("timeout": "1h")")),
            "methodConfig[0].timeout: must be a duration such as \"1.5s\", "
            "got \"1h\"");
  EXPECT_EQ(Complaint(ForAll(R"("timeout": "0.0001s")")),
            "methodConfig[0].timeout: must be from 1ms to 8760h, "
            "got \"0.0001s\"");
  EXPECT_EQ(Complaint(ForAll(R"("waitForReady": "yes")")),
            "methodConfig[0].waitForReady: must be true or false, "
            "got \"yes\"");
  EXPECT_EQ(Complaint(ForAll(R"("retryPolicy": [1])")),
            "methodConfig[0].retryPolicy: must be an object, got a list");
}

TEST(ServiceConfigTest, ANameThatComesTwiceIsAnError) {
  EXPECT_EQ(Complaint(Named({R"({"service": "S"})",
                             R"({"service": "T"}, {"service": "S"})"})),
            "methodConfig[1].name[1]: must be in the config once, got /S/ "
            "again");
  EXPECT_EQ(Complaint(Named({"{}, {}"})),
            "methodConfig[0].name[1]: must be in the config once, got the name "
            "of all methods again");
}

TEST(ServiceConfigTest, TheFirstOfSeveralErrorsIsNamed) {
  EXPECT_THAT(Complaint(R"({"methodConfig": [{}, {"timeout": 1}, 2]})"),
              StartsWith("methodConfig[1].timeout: "));
}

std::string Hedging(const std::string& fields) {
  return ForAll(absl::StrCat("\"hedgingPolicy\": {", fields, "}"));
}

TEST(ServiceConfigTest, AHedgingPolicyBecomesHedgingInsteadOfRetries) {
  const absl::StatusOr<Options> options = Options::FromServiceConfig(Hedging(
      R"("maxAttempts": 3, "hedgingDelay": "0.02s", "nonFatalStatusCodes":
         ["UNAVAILABLE", "aborted"])"));
  ASSERT_TRUE(options.ok()) << options.status();
  const Policy& policy = options->default_policy;
  EXPECT_EQ(policy.retry.max_retries, 0);
  EXPECT_EQ(policy.hedging.max_hedges, 2);
  EXPECT_EQ(policy.hedging.delay, absl::Milliseconds(20));
  EXPECT_EQ(policy.hedging.delay_percentile, 0);
  EXPECT_EQ(policy.idempotency, Idempotency::kRepeatable);
  EXPECT_TRUE(policy.commit_at_initial_metadata);
  for (int code = 1; code <= 16; ++code) {
    EXPECT_EQ(
        policy.classification.at(static_cast<grpc::StatusCode>(code)).retryable,
        code == 14 || code == 10)
        << code;
  }
}

TEST(ServiceConfigTest, AHedgingPolicyNeedsNoDelayAndNoCodes) {
  const absl::StatusOr<Options> options =
      Options::FromServiceConfig(Hedging(R"("maxAttempts": 9)"));
  ASSERT_TRUE(options.ok()) << options.status();
  const Policy& policy = options->default_policy;
  EXPECT_EQ(policy.hedging.max_hedges, 4) << "gRFC A6 caps attempts at 5";
  EXPECT_EQ(policy.hedging.delay, absl::ZeroDuration());
  EXPECT_EQ(policy.classification.at(grpc::StatusCode::UNAVAILABLE).retryable,
            false);
}

TEST(ServiceConfigTest, ABadValueOfAHedgingPolicyIsNamedWithItsPath) {
  const std::string prefix = "methodConfig[0].hedgingPolicy";
  EXPECT_EQ(Complaint(ForAll(R"("hedgingPolicy": 1)")),
            prefix + ": must be an object, got 1");
  EXPECT_EQ(Complaint(Hedging("")),
            prefix +
                ".maxAttempts: must be an integer of at least 2, "
                "got nothing");
  EXPECT_EQ(Complaint(Hedging(R"("maxAttempts": 2, "hedgingDelay": "-1s")")),
            prefix +
                ".hedgingDelay: must be a duration such as \"1.5s\", got "
                "\"-1s\"");
  EXPECT_EQ(Complaint(Hedging(R"("maxAttempts": 2, "nonFatalStatusCodes": 1)")),
            prefix + ".nonFatalStatusCodes: must be a list, got 1");
  EXPECT_EQ(
      Complaint(Hedging(R"("maxAttempts": 2, "nonFatalStatusCodes": [0])")),
      prefix +
          ".nonFatalStatusCodes[0]: must be the code of an error, by "
          "number or name such as UNAVAILABLE, got 0");
}

TEST(ServiceConfigTest, HedgingNeverGoesWithRetries) {
  const std::string hedging = R"("hedgingPolicy": {"maxAttempts": 3})";
  EXPECT_EQ(Complaint(ForAll(absl::StrCat("\"retryPolicy\": ", kRetryPolicy,
                                          ", ", hedging))),
            "methodConfig[0].hedgingPolicy: must be left out where there is a "
            "retryPolicy");
}

std::string Throttling(const std::string& fields) {
  return absl::StrCat(R"({"retryThrottling": {)", fields, "}}");
}

TEST(ServiceConfigTest, ThrottlingBecomesTheRetryBudget) {
  const RetryBudgetOptions budget =
      Read(Throttling(R"("maxTokens": 10, "tokenRatio": 0.125)")).retry_budget;
  EXPECT_EQ(budget.max_tokens, 10);
  EXPECT_EQ(budget.token_ratio, 0.125);
  EXPECT_EQ(budget.ratio, 0);
  EXPECT_FALSE(budget.per_channel);
}

TEST(ServiceConfigTest, MoreTokensForASuccessThanThereAreFillThemAll) {
  EXPECT_EQ(Read(Throttling(R"("maxTokens": 1000, "tokenRatio": 5000)"))
                .retry_budget.token_ratio,
            1000);
}

TEST(ServiceConfigTest, ABadValueOfTheThrottlingIsNamedWithItsPath) {
  for (const char* tokens : {"0", "1001", "-1", "10.5", "\"10\""}) {
    EXPECT_EQ(Complaint(Throttling(absl::StrCat("\"maxTokens\": ", tokens,
                                                ", \"tokenRatio\": 1"))),
              absl::StrCat("retryThrottling.maxTokens: must be an integer from "
                           "1 to 1000, got ",
                           tokens));
  }
  EXPECT_EQ(Complaint(Throttling(R"("tokenRatio": 1)")),
            "retryThrottling.maxTokens: must be an integer from 1 to 1000, "
            "got nothing");
  for (const char* ratio : {"0", "-1", "0.0009", "\"1\""}) {
    EXPECT_EQ(Complaint(Throttling(
                  absl::StrCat("\"maxTokens\": 10, \"tokenRatio\": ", ratio))),
              absl::StrCat("retryThrottling.tokenRatio: must be a number of at "
                           "least 0.001, got ",
                           ratio));
  }
  EXPECT_EQ(Complaint(R"({"retryThrottling": true})"),
            "retryThrottling: must be an object, got true");
}

TEST(ServiceConfigTest, WhatIsNotForUsIsIgnored) {
  EXPECT_EQ(Complaint(R"({
    "loadBalancingPolicy": 1,
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": "x"},
    "methodConfig": [{"name": [{"service": "S", "version": 2}],
                      "maxRequestMessageBytes": "1", "unknown": []}],
    "retryThrottling": null
  })"),
            "");
}

TEST(ServiceConfigTest, WhatIsNoJsonObjectIsNamedInTheError) {
  for (const char* json : {"{not json", "[1]", "", "1", "null"}) {
    EXPECT_THAT(Complaint(json),
                StartsWith("service config: not a JSON object"))
        << json;
  }
}

TEST(ServiceConfigTest, PoliciesReplaceThoseOfALiveChannel) {
  Policies policies = Read(WithRetry());
  EXPECT_TRUE(policies.Validate().ok());
  // Of retries, where the library cannot make any.
  EXPECT_EQ(policies.Warnings().empty(), internal::kHasPrivateAccess);
}

// Adopted by a channel.

class AdoptTest : public ::testing::Test {
 protected:
  AdoptTest() { options_.default_policy.breaker.consecutive_failures = 7; }

  void Adopt(const std::string& json) {
    const absl::StatusOr<internal::ServiceConfig> config =
        internal::ParseServiceConfig(json, AttemptLimit::kGrpcA6);
    ASSERT_TRUE(config.ok()) << config.status();
    internal::Adopt(*config, &options_);
  }

  int Retries(const char* method) {
    return options_.PolicyFor(method).retry.max_retries;
  }

  // Four attempts for one method and one service.
  static std::string ForMethodAndService() {
    return absl::StrCat(
        R"({"methodConfig": [{"name": [{"service": "pkg.S", "method": "M"},)",
        R"({"service": "pkg.T"}], "timeout": "3s", "retryPolicy": )",
        absl::StrReplaceAll(kRetryPolicy, {{"4", "2"}}), "}]}");
  }

  Options options_;
};

TEST_F(AdoptTest, APolicyThatIsAdoptedIsElseTheDefaultPolicy) {
  Adopt(ForMethodAndService());
  for (const char* method : {"/pkg.S/M", "/pkg.T/N"}) {
    const Policy& policy = options_.PolicyFor(method);
    EXPECT_EQ(policy.retry.max_retries, 1) << method;
    EXPECT_EQ(policy.timeout, absl::Seconds(3)) << method;
    EXPECT_EQ(policy.breaker.consecutive_failures, 7) << method;
  }
  EXPECT_EQ(Retries("/pkg.S/N"), 3);
}

TEST_F(AdoptTest, PoliciesOfTheApplicationWin) {
  options_.methods["/pkg.T/N"].retry.max_retries = 10;
  options_.services["/pkg.T/"].retry.max_retries = 11;
  options_.methods["/pkg.S/M"].retry.max_retries = 12;
  Adopt(ForMethodAndService());
  EXPECT_EQ(Retries("/pkg.T/N"), 10);
  EXPECT_EQ(Retries("/pkg.T/O"), 11);
  EXPECT_EQ(Retries("/pkg.S/M"), 12);
}

TEST_F(AdoptTest, APolicyForAServiceWinsOverTheConfigsForAMethodOfIt) {
  options_.services["/pkg.S/"].retry.max_retries = 10;
  Adopt(ForMethodAndService());
  EXPECT_EQ(Retries("/pkg.S/M"), 10);
}

TEST_F(AdoptTest, TheDefaultPolicyTakesWhatTheApplicationLeftOpen) {
  options_.default_policy.timeout = absl::Seconds(7);
  Adopt(ForAll(absl::StrCat(R"("timeout": "1s", "waitForReady": true, )",
                            R"("retryPolicy": )", kRetryPolicy)));
  const Policy& policy = options_.default_policy;
  EXPECT_EQ(policy.timeout, absl::Seconds(7));
  EXPECT_EQ(policy.wait_for_ready, true);
  EXPECT_EQ(policy.retry.jitter, Jitter::kGrpcA6);
  EXPECT_EQ(policy.idempotency, Idempotency::kRepeatable);
}

TEST_F(AdoptTest, RetriesOfTheDefaultPolicyStayIfTheApplicationSetThem) {
  options_.default_policy.retry.max_retries = 1;
  options_.default_policy.wait_for_ready = false;
  Adopt(ForAll(absl::StrCat(R"("timeout": "1s", "waitForReady": true, )",
                            R"("retryPolicy": )", kRetryPolicy)));
  const Policy& policy = options_.default_policy;
  EXPECT_EQ(policy.timeout, absl::Seconds(1));
  EXPECT_EQ(policy.wait_for_ready, false);
  EXPECT_EQ(policy.retry.max_retries, 1);
  EXPECT_EQ(policy.idempotency, Idempotency::kAsDeclared);
  EXPECT_THAT(policy.classification, IsEmpty());
}

TEST_F(AdoptTest, HedgingOfTheDefaultPolicyStaysIfTheApplicationSetIt) {
  options_.default_policy.hedging.max_hedges = 2;
  Adopt(WithRetry());
  const Policy& policy = options_.default_policy;
  EXPECT_EQ(policy.hedging.max_hedges, 2);
  EXPECT_EQ(policy.retry, RetryOptions());
  EXPECT_THAT(policy.classification, IsEmpty());
}

TEST_F(AdoptTest, ABudgetOfTheApplicationWins) {
  const std::string config =
      Throttling(R"("maxTokens": 10, "tokenRatio": 0.5)");
  options_.retry_budget.ratio = 0.2;
  Adopt(config);
  EXPECT_EQ(options_.retry_budget.max_tokens, 0);
  options_.retry_budget.ratio = 0;
  Adopt(config);
  EXPECT_EQ(options_.retry_budget.max_tokens, 10);
}

}  // namespace
}  // namespace grpc_breaker
