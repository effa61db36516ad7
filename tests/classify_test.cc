#include "grpc_breaker/rpc/classify.h"

#include <string>

#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/rpc/attempt_recorder.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

using ::grpc::StatusCode;

// A context without a call tells nothing of who answered.
ErrorClass Classify(const Policy& policy, StatusCode code,
                    const ErrorOrigin& origin = {}) {
  grpc::ClientContext context;
  return ClassifyAttempt(policy, grpc::Status(code, "message"), context,
                         origin);
}

TEST(ClassifyTest, FollowsTheStatusTableWithoutOverrides) {
  const grpc::Status status(StatusCode::ABORTED, "message");
  EXPECT_EQ(Classify(Policy(), StatusCode::ABORTED), ClassifyError(status));
}

TEST(ClassifyTest, OverridesReplaceOnlyWhatTheySet) {
  Policy policy;
  policy.classification[StatusCode::ABORTED].retryable = true;
  ErrorClass expected = ClassifyError(grpc::Status(StatusCode::ABORTED, ""));
  expected.retryable = true;
  EXPECT_EQ(Classify(policy, StatusCode::ABORTED), expected);

  policy.classification[StatusCode::ABORTED].category =
      ErrorCategory::kRateLimit;
  policy.classification[StatusCode::ABORTED].severity = ErrorSeverity::kHigh;
  policy.classification[StatusCode::ABORTED].outcome = Outcome::kFailure;
  expected.category = ErrorCategory::kRateLimit;
  expected.severity = ErrorSeverity::kHigh;
  expected.outcome = Outcome::kFailure;
  EXPECT_EQ(Classify(policy, StatusCode::ABORTED), expected);
  EXPECT_FALSE(Classify(policy, StatusCode::NOT_FOUND).retryable);
}

TEST(ClassifyTest, OverridesSayNothingOfTheCallersOwnCancellation) {
  Policy policy;
  policy.classification[StatusCode::CANCELLED].outcome = Outcome::kFailure;
  policy.classification[StatusCode::CANCELLED].retryable = true;
  ErrorOrigin origin;
  origin.cancelled_by_caller = true;

  const ErrorClass error = Classify(policy, StatusCode::CANCELLED, origin);

  EXPECT_EQ(error.outcome, Outcome::kIgnored);
  EXPECT_FALSE(error.retryable);
  EXPECT_EQ(Classify(policy, StatusCode::CANCELLED).outcome, Outcome::kFailure);
}

TEST(ClassifyTest, PushbackIsReadFromTrailersAndWinsOverRetryInfo) {
  EXPECT_EQ(PushbackOf({}).kind, Pushback::Kind::kNone);
  const Pushback pushback =
      PushbackOf({{"grpc-retry-pushback-ms", "250"}, {"other", "1"}});
  EXPECT_EQ(pushback.kind, Pushback::Kind::kRetryAfter);
  EXPECT_EQ(pushback.delay, absl::Milliseconds(250));
  EXPECT_EQ(PushbackOf({{"grpc-retry-pushback-ms", "1"},
                        {"grpc-retry-pushback-ms", "2"}})
                .kind,
            Pushback::Kind::kDoNotRetry);

  ErrorClass error;
  error.retry_delay = absl::Seconds(7);
  EXPECT_EQ(ServerDelay(error, Pushback()), absl::Seconds(7));
  EXPECT_EQ(ServerDelay(error, pushback), absl::Milliseconds(250));
}

TEST(AttemptRecorderTest, TellsTheBreakerAndRemembersTheError) {
  ManualEnvironment environment;
  Options options;
  options.environment = &environment;
  options.directory = nullptr;
  options.default_policy.breaker.consecutive_failures = 1;
  options.default_policy.breaker.use_server_delay = true;
  const auto registry = Registry::Create(options);
  ASSERT_TRUE(registry.ok());
  Method& method = (*registry)->FindOrCreate("/pkg.S/M");
  CircuitBreaker::Permit permit =
      method.breaker().TryAcquire(environment.Now());
  grpc::ClientContext context;

  const AttemptRecorder recorder(method, environment, method.policy());
  const AttemptVerdict verdict = recorder.RecordFailure(
      permit, grpc::Status(StatusCode::UNAVAILABLE, "no"), context,
      {{"grpc-retry-pushback-ms", "20000"}}, ErrorOrigin(), environment.Now());

  EXPECT_EQ(verdict.pushback.delay, absl::Seconds(20));
  EXPECT_EQ(verdict.error.outcome, Outcome::kFailure);
  const BreakerSnapshot breaker = method.breaker().Snapshot(environment.Now());
  EXPECT_EQ(breaker.state, BreakerState::kOpen);
  EXPECT_EQ(breaker.next_probe_in, absl::Seconds(20));
  ASSERT_TRUE(method.last_error().has_value());
  EXPECT_EQ(method.last_error()->message, "no");
  EXPECT_EQ(method.last_error()->error_class, verdict.error);
}

}  // namespace
}  // namespace grpc_breaker::internal
