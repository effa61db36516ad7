#include "grpc_breaker/internal/breaker_message.h"

#include <memory>

#include "absl/time/time.h"
#include "google/protobuf/util/message_differencer.h"
#include "google/protobuf/util/time_util.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace internal {
namespace {

using ::google::protobuf::util::TimeUtil;

TEST(PolicyMessageTest, HasTheDefaults) {
  const config::v1::Policy message = ToMessage(Policy());
  EXPECT_EQ(message.retry().max_retries(), 3);
  EXPECT_EQ(message.retry().base_delay(), TimeUtil::SecondsToDuration(1));
  EXPECT_EQ(message.retry().max_delay(), TimeUtil::SecondsToDuration(60));
  EXPECT_EQ(message.retry().exponential_base(), 2);
  EXPECT_EQ(message.retry().jitter(), config::v1::JITTER_PLUS_MINUS_HALF);
  EXPECT_TRUE(message.breaker().enabled());
  EXPECT_EQ(message.breaker().consecutive_failures(), 5);
  EXPECT_EQ(message.breaker().failure_rate(), 0.5);
  EXPECT_EQ(message.breaker().window(), TimeUtil::SecondsToDuration(10));
  EXPECT_EQ(message.breaker().minimum_calls(), 20);
  EXPECT_EQ(message.breaker().open_duration(), TimeUtil::SecondsToDuration(60));
  EXPECT_EQ(message.breaker().half_open_permits(), 3);
  EXPECT_EQ(message.breaker().half_open_successes(), 2);
  EXPECT_EQ(message.breaker().permit_lease(), TimeUtil::SecondsToDuration(60));
  EXPECT_EQ(message.idempotency(), config::v1::IDEMPOTENCY_UNSPECIFIED);
  EXPECT_FALSE(message.has_timeout());
  EXPECT_FALSE(message.has_attempt_timeout());
  EXPECT_FALSE(message.has_fallback());
  EXPECT_FALSE(message.has_final_failure_hook());
  EXPECT_FALSE(message.has_wait_for_ready());
  EXPECT_EQ(message.authority(), "");
}

TEST(PolicyMessageTest, HasWhatIsSet) {
  Policy policy;
  policy.idempotency = Idempotency::kAsDeclared;
  policy.timeout = absl::Milliseconds(1500);
  policy.attempt_timeout = absl::Nanoseconds(7);
  policy.fallback = Fallback::Fixed(grpc::Status::OK);
  policy.fallback.on_exhaustion = false;
  policy.on_final_failure = [](const FailedCall&) {};
  policy.wait_for_ready = false;
  policy.authority = "example.com";
  ClassOverride& override = policy.classification[grpc::StatusCode::ABORTED];
  override.category = ErrorCategory::kRateLimit;
  override.severity = ErrorSeverity::kCritical;
  override.outcome = Outcome::kIgnored;
  override.retryable = false;

  const config::v1::Policy message = ToMessage(policy);
  EXPECT_EQ(message.idempotency(), config::v1::IDEMPOTENCY_AS_DECLARED);
  EXPECT_EQ(message.timeout(), TimeUtil::MillisecondsToDuration(1500));
  EXPECT_EQ(message.attempt_timeout(), TimeUtil::NanosecondsToDuration(7));
  EXPECT_FALSE(message.fallback().on_exhaustion());
  EXPECT_TRUE(message.fallback().on_not_retryable());
  EXPECT_TRUE(message.fallback().on_rejection());
  EXPECT_TRUE(message.has_final_failure_hook());
  EXPECT_TRUE(message.has_wait_for_ready());
  EXPECT_FALSE(message.wait_for_ready());
  EXPECT_EQ(message.authority(), "example.com");
  ASSERT_EQ(message.classification_size(), 1);
  EXPECT_EQ(message.classification(0).code(), 10);
  EXPECT_EQ(message.classification(0).category(),
            config::v1::ERROR_CATEGORY_RATE_LIMIT);
  EXPECT_EQ(message.classification(0).severity(),
            config::v1::ERROR_SEVERITY_CRITICAL);
  EXPECT_EQ(message.classification(0).outcome(), config::v1::OUTCOME_IGNORED);
  EXPECT_TRUE(message.classification(0).has_retryable());
}

// Each enumerator of the library has one of the message of its own.
TEST(PolicyMessageTest, KnowsEveryEnumerator) {
  Policy policy;
  for (int i = 0; i <= static_cast<int>(Jitter::kGrpcA6); ++i) {
    policy.retry.jitter = static_cast<Jitter>(i);
    EXPECT_EQ(ToMessage(policy).retry().jitter(), i + 1);
  }
  ClassOverride& override = policy.classification[grpc::StatusCode::ABORTED];
  for (int i = 0; i <= static_cast<int>(ErrorCategory::kPermanent); ++i) {
    override.category = static_cast<ErrorCategory>(i);
    EXPECT_EQ(ToMessage(policy).classification(0).category(), i + 1);
  }
  for (int i = 0; i <= static_cast<int>(ErrorSeverity::kCritical); ++i) {
    override.severity = static_cast<ErrorSeverity>(i);
    EXPECT_EQ(ToMessage(policy).classification(0).severity(), i + 1);
  }
  for (int i = 0; i <= static_cast<int>(Outcome::kIgnored); ++i) {
    override.outcome = static_cast<Outcome>(i);
    EXPECT_EQ(ToMessage(policy).classification(0).outcome(), i + 1);
  }
  for (int i = 0; i <= static_cast<int>(BreakerState::kMetricsOnly); ++i) {
    EXPECT_EQ(ToMessage(static_cast<BreakerState>(i)), i + 1);
  }
}

TEST(PolicyMessageTest, KeepsLargeAndSmallDurationsExact) {
  Policy policy;
  policy.timeout = absl::Hours(8760) + absl::Nanoseconds(1);
  EXPECT_EQ(ToMessage(policy).timeout().seconds(), 8760 * 3600);
  EXPECT_EQ(ToMessage(policy).timeout().nanos(), 1);
}

class BreakerMessageTest : public ::testing::Test {
 protected:
  BreakerMessageTest() {
    Options options;
    options.channel_name = "backend";
    options.directory = nullptr;
    options.environment = &environment_;
    options.default_policy.breaker.consecutive_failures = 3;
    options.retry_budget.max_tokens = 10;
    registry_ = *Registry::Create(options);
    method_ = &registry_->Find("/pkg.S/M");
  }

  void Record(Outcome outcome) {
    method_->breaker()
        .TryAcquire(environment_.Now())
        .Record(outcome, environment_.Now());
  }

  ManualEnvironment environment_;
  std::shared_ptr<Registry> registry_;
  Method* method_;
};

TEST_F(BreakerMessageTest, ShowsAClosedBreaker) {
  Record(Outcome::kSuccess);
  Record(Outcome::kFailure);
  const admin::v1::Breaker message = ToMessage(*registry_, *method_);
  EXPECT_EQ(message.channel(), "backend");
  EXPECT_EQ(message.method(), "/pkg.S/M");
  EXPECT_EQ(message.state(), admin::v1::STATE_CLOSED);
  EXPECT_EQ(message.window().successes(), 1);
  EXPECT_EQ(message.window().failures(), 1);
  EXPECT_EQ(message.window().failure_rate(), 0.5);
  EXPECT_EQ(message.consecutive_failures(), 1);
  EXPECT_FALSE(message.has_next_probe());
  EXPECT_FALSE(message.has_last_error());
  EXPECT_EQ(message.transitions(), 0u);
  EXPECT_FALSE(message.repeatable());
  EXPECT_EQ(message.retry_budget_tokens(), 10);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(
      message.policy(), ToMessage(method_->policy())));
}

TEST_F(BreakerMessageTest, ShowsWhenAnOpenBreakerProbes) {
  environment_.Advance(absl::Seconds(5));
  const absl::Time opened = environment_.WallNow();
  for (int i = 0; i < 3; ++i) Record(Outcome::kFailure);
  environment_.Advance(absl::Seconds(20));
  method_->breaker().TryAcquire(environment_.Now());

  const admin::v1::Breaker message = ToMessage(*registry_, *method_);
  EXPECT_EQ(message.state(), admin::v1::STATE_OPEN);
  EXPECT_EQ(message.since(),
            TimeUtil::NanosecondsToTimestamp(absl::ToUnixNanos(opened)));
  EXPECT_EQ(message.next_probe() - message.since(),
            TimeUtil::SecondsToDuration(60));
  EXPECT_EQ(message.rejections(), 1u);
  EXPECT_EQ(message.transitions(), 1u);
}

TEST_F(BreakerMessageTest, ShowsTheLastError) {
  LastError error;
  error.code = grpc::StatusCode::UNAVAILABLE;
  error.message = "not \xff utf-8";
  error.error_class.category = ErrorCategory::kNetwork;
  error.error_class.severity = ErrorSeverity::kMedium;
  error.time = absl::FromUnixSeconds(1764756900) + absl::Milliseconds(250);
  method_->RecordError(error);

  const admin::v1::LastError message =
      ToMessage(*registry_, *method_).last_error();
  EXPECT_EQ(message.code(), 14);
  EXPECT_EQ(message.message(), "not \xEF\xBF\xBD utf-8");
  EXPECT_EQ(message.category(), config::v1::ERROR_CATEGORY_NETWORK);
  EXPECT_EQ(message.severity(), config::v1::ERROR_SEVERITY_MEDIUM);
  EXPECT_EQ(message.time().seconds(), 1764756900);
  EXPECT_EQ(message.time().nanos(), 250000000);
}

TEST_F(BreakerMessageTest, KeepsTimesWithinTheRangeOfATimestamp) {
  LastError error;
  error.time = absl::InfiniteFuture();
  method_->RecordError(error);
  EXPECT_EQ(
      TimeUtil::ToString(ToMessage(*registry_, *method_).last_error().time()),
      "9999-12-31T23:59:59Z");
}

}  // namespace
}  // namespace internal
}  // namespace grpc_breaker
