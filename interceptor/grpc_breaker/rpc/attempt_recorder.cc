#include "grpc_breaker/rpc/attempt_recorder.h"

#include "grpc_breaker/base/user_code.h"
#include "grpc_breaker/retry/recent_latencies.h"
#include "grpc_breaker/rpc/classify.h"

namespace grpc_breaker::internal {

AttemptVerdict AttemptRecorder::RecordFailure(CircuitBreaker::Permit& permit,
                                              const grpc::Status& status,
                                              grpc::ClientContext& context,
                                              const ReceivedMetadata& trailers,
                                              const ErrorOrigin& origin,
                                              MonotonicTime now) const {
  AttemptVerdict verdict;
  verdict.error = ClassifyAttempt(*policy_, status, context, origin);
  verdict.pushback = PushbackOf(trailers);
  permit.Record(
      verdict.error.outcome, now,
      {verdict.error.severity, ServerDelay(verdict.error, verdict.pushback)});
  method_.RecordError({status.error_code(), status.error_message(),
                       verdict.error, environment_.WallNow()});
  return verdict;
}

void AttemptRecorder::RecordUnarySuccess(CircuitBreaker::Permit permit,
                                         const std::string& name,
                                         const AttemptTimes& times) const {
  permit.Record(Outcome::kSuccess, times.ended);
  method_.latencies().Record(times.took(), times.ended);
  NotifyAttempt(name, times, grpc::Status(), ErrorClass());
}

void AttemptRecorder::NotifyAttempt(const std::string& name,
                                    const AttemptTimes& times,
                                    const grpc::Status& status,
                                    const ErrorClass& error) const {
  if (policy_->on_attempt == nullptr) return;
  Notify({name, times.number, status, error, times.delay, times.took()});
}

void AttemptRecorder::NotifyLost(const std::string& name,
                                 const AttemptTimes& times) const {
  if (policy_->on_attempt == nullptr) return;
  Notify({name, times.number,
          grpc::Status(grpc::StatusCode::CANCELLED,
                       "another attempt was answered first"),
          ErrorClass(), times.delay, times.took(), /*lost=*/true});
}

void AttemptRecorder::Notify(const FinishedAttempt& attempt) const {
  CallUserCode([&] { policy_->on_attempt(attempt); });
}

void AttemptRecorder::NotifyFinalFailure(const FailedCall& call) const {
  const auto& hook = policy_->on_final_failure;
  if (hook != nullptr) CallUserCode([&] { hook(call); });
}

}  // namespace grpc_breaker::internal
