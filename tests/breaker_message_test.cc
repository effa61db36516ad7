#include "grpc_breaker/internal/breaker_message.h"

#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
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

TEST(PolicyMessageTest, HasEveryRuleOfTheBreaker) {
  Policy policy;
  BreakerOptions& breaker = policy.breaker;
  breaker.last_calls = 100;
  breaker.last_calls_failures = 60;
  breaker.slow_rate = 0.75;
  breaker.slow_call = absl::Seconds(2);
  breaker.critical_weight = 4;
  breaker.open_on_critical = true;
  breaker.throttle_k = 2;
  breaker.max_concurrent_calls = 17;
  breaker.open_multiplier = 1.5;
  breaker.max_open_duration = absl::Minutes(3);
  breaker.open_jitter = 0.25;
  breaker.use_server_delay = true;
  breaker.half_open_failure_rate = 0.5;
  breaker.ramp = {0.1, 0.5};
  breaker.ramp_step = absl::Seconds(7);
  breaker.rejection_event_interval = absl::Seconds(8);

  const config::v1::BreakerPolicy message = ToMessage(policy).breaker();
  EXPECT_EQ(message.last_calls(), 100);
  EXPECT_EQ(message.last_calls_failures(), 60);
  EXPECT_EQ(message.slow_rate(), 0.75);
  EXPECT_EQ(message.slow_call(), TimeUtil::SecondsToDuration(2));
  EXPECT_EQ(message.critical_weight(), 4);
  EXPECT_TRUE(message.open_on_critical());
  EXPECT_EQ(message.throttle_k(), 2);
  EXPECT_EQ(message.max_concurrent_calls(), 17);
  EXPECT_EQ(message.open_multiplier(), 1.5);
  EXPECT_EQ(message.max_open_duration(), TimeUtil::SecondsToDuration(180));
  EXPECT_EQ(message.open_jitter(), 0.25);
  EXPECT_TRUE(message.use_server_delay());
  EXPECT_EQ(message.half_open_failure_rate(), 0.5);
  EXPECT_FALSE(message.has_half_open_max_wait()) << "endless";
  EXPECT_THAT(message.ramp(), testing::ElementsAre(0.1, 0.5));
  EXPECT_EQ(message.ramp_step(), TimeUtil::SecondsToDuration(7));
  EXPECT_EQ(message.rejection_event_interval(), TimeUtil::SecondsToDuration(8));
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

TEST_F(BreakerMessageTest, ShowsWhoHoldsTheStateWhyAndForHowLong) {
  ManualState manual;
  manual.state = BreakerState::kForcedOpen;
  manual.reason = "maintenance";
  manual.actor = "alice";
  manual.time_to_live = absl::Minutes(5);
  ASSERT_TRUE(
      method_->breaker().SetManualState(manual, environment_.Now()).ok());
  environment_.Advance(absl::Minutes(2));
  admin::v1::Breaker message = ToMessage(*registry_, *method_);
  EXPECT_EQ(message.state(), admin::v1::STATE_FORCED_OPEN);
  EXPECT_EQ(message.manual().reason(), "maintenance");
  EXPECT_EQ(message.manual().actor(), "alice");
  EXPECT_EQ(message.manual().expires() - message.since(),
            TimeUtil::SecondsToDuration(300));
  EXPECT_FALSE(message.has_next_probe());

  manual.time_to_live = absl::InfiniteDuration();
  ASSERT_TRUE(
      method_->breaker().SetManualState(manual, environment_.Now()).ok());
  EXPECT_FALSE(ToMessage(*registry_, *method_).manual().has_expires());
}

TEST_F(BreakerMessageTest, ShowsWhatMetricsOnlyWouldHaveDone) {
  ManualState manual;
  manual.state = BreakerState::kMetricsOnly;
  manual.reason = "trial";
  manual.actor = "alice";
  ASSERT_TRUE(
      method_->breaker().SetManualState(manual, environment_.Now()).ok());
  for (int i = 0; i < 4; ++i) Record(Outcome::kFailure);
  const admin::v1::Breaker message = ToMessage(*registry_, *method_);
  EXPECT_EQ(message.state(), admin::v1::STATE_METRICS_ONLY);
  EXPECT_EQ(message.shadow_state(), admin::v1::STATE_OPEN);
  EXPECT_EQ(message.would_have_rejected(), 1u);
  EXPECT_EQ(message.rejections(), 0u);
}

TEST_F(BreakerMessageTest, ShowsATransition) {
  for (int i = 0; i < 3; ++i) Record(Outcome::kFailure);
  const std::vector<BreakerTransition> history = method_->breaker().History();
  ASSERT_EQ(history.size(), 1u);
  const admin::v1::Transition message = ToMessage(history[0]);
  EXPECT_EQ(message.from(), admin::v1::STATE_CLOSED);
  EXPECT_EQ(message.to(), admin::v1::STATE_OPEN);
  EXPECT_EQ(message.cause(), history[0].cause);
  EXPECT_EQ(message.window().failures(), 3);
  EXPECT_EQ(message.time(), ToMessage(*registry_, *method_).since());
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
