#include "grpc_breaker/admin/breaker_message.h"

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "google/protobuf/util/time_util.h"
#include "grpc_breaker/config/policy_message.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/registry/policy_fields.h"
#include "grpc_breaker/stats/call_records.h"
#include "gtest/gtest.h"
#include "tests/change_option.h"
#include "tests/environments.h"

namespace grpc_breaker::internal {
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
  EXPECT_EQ(message.idempotency(), config::v1::IDEMPOTENCY_AS_DECLARED);
  EXPECT_FALSE(message.has_timeout());
  EXPECT_FALSE(message.has_attempt_timeout());
  EXPECT_FALSE(message.has_fallback());
  EXPECT_FALSE(message.has_final_failure_hook());
  EXPECT_FALSE(message.has_wait_for_ready());
  EXPECT_EQ(message.authority(), "");
}

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;

std::vector<const FieldDescriptor*> FieldsOfType(const Message& message) {
  std::vector<const FieldDescriptor*> fields;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    fields.push_back(message.GetDescriptor()->field(i));
  }
  return fields;
}

// What the message of a policy says of some of its options.
using Part = std::function<const Message&(const config::v1::Policy&)>;

// Each field of `options`, which are a part of `policy`, is in the field of its
// own of that part of the message, which has no others but `extra`.
template <typename Options>
void ExpectAFieldForEachField(Policy& policy, Options& options,
                              const Part& part,
                              std::vector<std::string> extra = {}) {
  const config::v1::Policy before = ToMessage(policy);
  std::set<std::string> told(extra.begin(), extra.end());
  ForEachField(options, [&](const auto& field) {
    const Options kept = options;
    Change(field.value);
    const config::v1::Policy after = ToMessage(policy);
    std::vector<std::string> changed;
    google::protobuf::util::MessageDifferencer differencer;
    for (const FieldDescriptor* of_message : FieldsOfType(part(before))) {
      if (!differencer.CompareWithFields(part(before), part(after),
                                         {of_message}, {of_message})) {
        changed.emplace_back(of_message->name());
      }
    }
    if (changed.size() == 1) told.insert(changed[0]);
    EXPECT_EQ(changed.size(), 1u) << field.name;
    const std::string name(field.name == "on_final_failure"
                               ? "has_final_failure_hook"
                           : field.name == "on_attempt" ? "has_attempt_hook"
                                                        : field.name);
    EXPECT_THAT(changed, testing::Contains(name));
    options = kept;
  });
  for (const FieldDescriptor* of_message : FieldsOfType(part(before))) {
    EXPECT_EQ(told.count(std::string(of_message->name())), 1u)
        << of_message->full_name() << " has no field of the options";
  }
}

TEST(PolicyMessageTest, HasEachFieldOfAPolicyInAFieldOfItsOwn) {
  Policy policy;
  const auto whole = [](const config::v1::Policy& m) -> const Message& {
    return m;
  };
  ExpectAFieldForEachField(policy, policy, whole,
                           {"reset", "on_final_failure", "on_attempt"});
}

TEST(PolicyMessageTest, HasEachFieldOfTheBreakersOptionsInAFieldOfItsOwn) {
  Policy policy;
  const auto part = [](const config::v1::Policy& m) -> const Message& {
    return m.breaker();
  };
  ExpectAFieldForEachField(policy, policy.breaker, part);
}

TEST(PolicyMessageTest, HasEachFieldOfTheRetryOptionsInAFieldOfItsOwn) {
  Policy policy;
  const auto part = [](const config::v1::Policy& m) -> const Message& {
    return m.retry();
  };
  ExpectAFieldForEachField(policy, policy.retry, part);
}

TEST(PolicyMessageTest, HasEachFieldOfTheHedgingOptionsInAFieldOfItsOwn) {
  Policy policy;
  const auto part = [](const config::v1::Policy& m) -> const Message& {
    return m.hedging();
  };
  ExpectAFieldForEachField(policy, policy.hedging, part);
}

TEST(PolicyMessageTest, HasEachFieldOfTheStreamRetryOptionsInAFieldOfItsOwn) {
  Policy policy;
  const auto part = [](const config::v1::Policy& m) -> const Message& {
    return m.stream_retry();
  };
  ExpectAFieldForEachField(policy, policy.stream_retry, part);
}

TEST(PolicyMessageTest, HasEachFieldOfAnOverrideInAFieldOfItsOwn) {
  Policy policy;
  const auto part = [](const config::v1::Policy& m) -> const Message& {
    return m.classification(0);
  };
  ExpectAFieldForEachField(
      policy, policy.classification[grpc::StatusCode::ABORTED], part, {"code"});
  EXPECT_EQ(ToMessage(policy).classification(0).code(), 10);
}

TEST(PolicyMessageTest, HasEachConditionOfAFallbackAndWhetherThereIsOne) {
  Policy policy;
  EXPECT_FALSE(ToMessage(policy).has_fallback());
  policy.fallback = Fallback::Fixed(grpc::Status::OK);
  EXPECT_TRUE(ToMessage(policy).fallback().on_exhaustion());
  policy.fallback.on_exhaustion = false;
  EXPECT_FALSE(ToMessage(policy).fallback().on_exhaustion());
  EXPECT_TRUE(ToMessage(policy).fallback().on_not_retryable());
  policy.fallback.on_not_retryable = false;
  EXPECT_FALSE(ToMessage(policy).fallback().on_not_retryable());
  EXPECT_TRUE(ToMessage(policy).fallback().on_rejection());
  policy.fallback.on_rejection = false;
  EXPECT_FALSE(ToMessage(policy).fallback().on_rejection());
  EXPECT_TRUE(ToMessage(policy).has_fallback());
}

TEST(PolicyMessageTest, LeavesEndlessDurationsUnset) {
  Policy policy;
  EXPECT_FALSE(ToMessage(policy).breaker().has_slow_call());
  EXPECT_FALSE(ToMessage(policy).breaker().has_half_open_max_wait());
  policy.breaker.slow_call = absl::Seconds(2);
  EXPECT_EQ(ToMessage(policy).breaker().slow_call(),
            TimeUtil::SecondsToDuration(2));
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
    method_ = &registry_->FindOrCreate("/pkg.S/M");
  }

  void Record(Outcome outcome) {
    method_->breaker()
        .TryAcquire(environment_.Now())
        .Record(outcome, environment_.Now());
  }

  DelegatingEnvironment environment_;
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
  EXPECT_EQ(message.retry_budget_tokens(), 10);
  EXPECT_FALSE(message.has_retry_budget());
  EXPECT_FALSE(message.has_policy());
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
  EXPECT_EQ(message.in_state(), TimeUtil::SecondsToDuration(20));
  EXPECT_EQ(message.next_probe_in(), TimeUtil::SecondsToDuration(40));
  EXPECT_EQ(message.rejections(), 1u);
  EXPECT_EQ(message.transitions(), 1u);
}

TEST_F(BreakerMessageTest, ShowsTheLastMinuteAndAllCalls) {
  EXPECT_FALSE(ToMessage(*registry_, *method_).recent().has_p50());
  for (int i = 0; i < 94; ++i) {
    method_->records().AddSuccessAtOnce(absl::Milliseconds(2),
                                        environment_.Now());
  }
  const auto fail = [&](StopReason stopped, size_t attempts,
                        absl::Duration took) {
    method_->records().AddCall(
        {absl::StatusCode::kUnavailable, ErrorCategory::kTransient, stopped,
         attempts, took},
        environment_.Now());
  };
  for (int i = 0; i < 4; ++i) {
    fail(StopReason::kExhausted, 4, absl::Milliseconds(50));
  }
  fail(StopReason::kExhausted, 4, absl::Seconds(1));
  fail(StopReason::kExhausted, 4, absl::Seconds(1));
  for (int i = 0; i < 20; ++i) {
    fail(StopReason::kBreakerOpen, 0, absl::ZeroDuration());
  }
  environment_.Advance(absl::Seconds(40));

  const admin::v1::Breaker message = ToMessage(*registry_, *method_);

  EXPECT_EQ(message.calls(), 120u);
  EXPECT_EQ(message.failed_calls(), 26u);
  const admin::v1::RecentCalls& recent = message.recent();
  EXPECT_EQ(recent.window(), TimeUtil::SecondsToDuration(40));
  EXPECT_EQ(recent.calls(), 120u);
  EXPECT_EQ(recent.failures(), 26u);
  EXPECT_EQ(recent.rejected(), 20u);
  EXPECT_EQ(recent.rate(), 3);
  const auto milliseconds = [](const google::protobuf::Duration& duration) {
    return TimeUtil::DurationToNanoseconds(duration) / 1e6;
  };
  EXPECT_NEAR(milliseconds(recent.p50()), 2, 2 * 0.0625);
  EXPECT_NEAR(milliseconds(recent.p95()), 50, 50 * 0.0625);
  EXPECT_NEAR(milliseconds(recent.p99()), 1000, 1000 * 0.0625);
}

TEST_F(BreakerMessageTest, ShowsTheLastError) {
  LastError error;
  error.code = grpc::StatusCode::UNAVAILABLE;
  error.message = "not \xff utf-8";
  error.error_class.category = ErrorCategory::kNetwork;
  error.error_class.severity = ErrorSeverity::kMedium;
  error.time = absl::FromUnixSeconds(1764756900) + absl::Milliseconds(250);
  method_->RecordError(error);

  EXPECT_EQ(ToMessage(*registry_, *method_).last_error().message(), "");
  const admin::v1::LastError message =
      ToMessage(*registry_, *method_, ErrorMessages::kShown).last_error();
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
  EXPECT_EQ(message.manual().remaining(), TimeUtil::SecondsToDuration(180));
  EXPECT_FALSE(message.has_next_probe());

  manual.time_to_live = absl::InfiniteDuration();
  ASSERT_TRUE(
      method_->breaker().SetManualState(manual, environment_.Now()).ok());
  EXPECT_FALSE(ToMessage(*registry_, *method_).manual().has_expires());
  EXPECT_FALSE(ToMessage(*registry_, *method_).manual().has_remaining());
}

TEST_F(BreakerMessageTest, DurationsStandWhereSomebodySetsTheWallClock) {
  LastError error;
  error.time = environment_.WallNow();
  method_->RecordError(error);
  for (int i = 0; i < 3; ++i) Record(Outcome::kFailure);
  environment_.Advance(absl::Seconds(10));
  environment_.StepWallClock(absl::Hours(8760));
  const admin::v1::Breaker message = ToMessage(*registry_, *method_);
  EXPECT_EQ(message.in_state(), TimeUtil::SecondsToDuration(10));
  EXPECT_EQ(message.next_probe_in(), TimeUtil::SecondsToDuration(50));
  EXPECT_EQ(message.last_error().age(), TimeUtil::SecondsToDuration(10));
  const BreakerTransition opened = method_->breaker().History().back();
  EXPECT_EQ(ToMessage(*registry_, *method_, opened, environment_.Now()).age(),
            TimeUtil::SecondsToDuration(10));
}

TEST_F(BreakerMessageTest, AddsThePolicyWithTheBudgetAndWhatItComesTo) {
  admin::v1::Breaker message;
  AddPolicy(*registry_, *method_, &message);

  EXPECT_FALSE(message.repeatable());
  EXPECT_EQ(message.retry_budget().max_tokens(), 10);
  EXPECT_EQ(message.retry_budget().token_ratio(), 0.1);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(
      message.policy(), ToMessage(*method_->policy())));
}

TEST_F(BreakerMessageTest, ShowsTheBudgetThatHoldsNowAndWhatItsRatioLeaves) {
  EXPECT_FALSE(ToMessage(*registry_, *method_).has_retry_budget_retries_left());
  RetryBudgetOptions options;
  options.ratio = 0.2;
  options.window = absl::Seconds(5);
  options.min_retries_per_second = 2;
  method_->retry_budget()->Reconfigure(options);
  const admin::v1::Breaker message = ToMessage(*registry_, *method_);
  EXPECT_FALSE(message.has_retry_budget_tokens());
  EXPECT_EQ(message.retry_budget_retries_left(), 10);
  admin::v1::Breaker policy;
  AddPolicy(*registry_, *method_, &policy);
  EXPECT_EQ(policy.retry_budget().max_tokens(), 0);
  EXPECT_EQ(policy.retry_budget().ratio(), 0.2);
  EXPECT_EQ(policy.retry_budget().window(), TimeUtil::SecondsToDuration(5));
}

TEST_F(BreakerMessageTest, ShowsTheOptionsThatTheBreakerHasNow) {
  BreakerOptions options = method_->policy()->breaker;
  options.consecutive_failures = 99;
  options.ramp = {0.5};
  ASSERT_TRUE(method_->breaker().Reconfigure(options, environment_.Now()).ok());
  admin::v1::Breaker breaker;
  AddPolicy(*registry_, *method_, &breaker);
  const config::v1::Policy& message = breaker.policy();
  EXPECT_EQ(message.breaker().consecutive_failures(), 99);
  EXPECT_THAT(message.breaker().ramp(), testing::ElementsAre(0.5));
  EXPECT_EQ(message.retry().max_retries(), 3) << "the rest of the policy";
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
  const admin::v1::Transition message =
      ToMessage(*registry_, *method_, history[0], environment_.Now());
  EXPECT_EQ(message.channel(), "backend");
  EXPECT_EQ(message.method(), "/pkg.S/M");
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
}  // namespace grpc_breaker::internal
