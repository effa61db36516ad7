#include "grpc_breaker/rpc/attempt_recorder.h"

#include "grpc_breaker/base/user_code.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/rpc/classify.h"
#include "grpc_breaker/stats/call_records.h"

namespace grpc_breaker::internal {
namespace {

absl::StatusCode CodeOf(const grpc::Status& status) {
  return static_cast<absl::StatusCode>(status.error_code());
}

}  // namespace

AttemptVerdict AttemptRecorder::RecordFailure(CircuitBreaker::Permit& permit,
                                              const grpc::Status& status,
                                              grpc::ClientContext& context,
                                              const ReceivedMetadata& trailers,
                                              const ErrorOrigin& origin,
                                              MonotonicTime now) const {
  AttemptVerdict verdict;
  verdict.error = ClassifyAttempt(*policy_, status, context, origin);
  verdict.pushback = PushbackOf(trailers);
  // First, for who hears that the breaker opens and asks for the reason.
  method_.RecordError({status.error_code(), status.error_message(),
                       verdict.error, environment_.WallNow()});
  permit.Record(
      verdict.error.outcome, now,
      {verdict.error.severity, ServerDelay(verdict.error, verdict.pushback)});
  return verdict;
}

void AttemptRecorder::EndAttempt(const std::string& name,
                                 const AttemptTimes& times,
                                 const grpc::Status& status,
                                 const ErrorClass& error) const {
  method_.records().AddAttempt(CodeOf(status), error.category, times.took(),
                               times.ended);
  NotifyAttempt(name, times, status, error);
}

void AttemptRecorder::EndAtOnce(const std::string& name,
                                const AttemptTimes& times) const {
  method_.records().AddSuccessAtOnce(times.took(), times.ended);
  NotifyAttempt(name, times, grpc::Status::OK, ErrorClass());
}

void AttemptRecorder::EndLost(const std::string& name,
                              const AttemptTimes& times, bool succeeded) const {
  CallRecords& records = method_.records();
  const bool first = times.number == 1;
  records.AddLostAttempt(first && succeeded, times.took(), times.ended);
  if (!first) records.AddLostHedge();
  if (policy_->on_attempt == nullptr) return;
  Notify({name, times.number,
          grpc::Status(grpc::StatusCode::CANCELLED,
                       "another attempt was answered first"),
          ErrorClass(), times.delay, times.took(), /*lost=*/true});
}

void AttemptRecorder::EndCall(const CallEnd& call,
                              const LastFailure& last) const {
  const ErrorCategory category = call.status.error_code() == last.code
                                     ? last.category
                                     : ClassifyError(call.status).category;
  method_.records().AddCall(
      {CodeOf(call.status), category, call.stopped, call.attempts,
       absl::FromChrono(call.ended - call.began)},
      call.ended);
}

void AttemptRecorder::EndAbandoned(size_t attempts, MonotonicTime attempt_began,
                                   MonotonicTime began) const {
  const MonotonicTime now = environment_.Now();
  const grpc::Status status = Cancelled();
  ErrorOrigin origin;
  origin.cancelled_by_caller = true;
  const ErrorCategory category = ClassifyError(status, origin).category;
  method_.records().AddAttempt(CodeOf(status), category,
                               absl::FromChrono(now - attempt_began), now);
  EndCall({status, StopReason::kCancelled, attempts, began, now},
          {status.error_code(), category});
}

void AttemptRecorder::NotifyAttempt(const std::string& name,
                                    const AttemptTimes& times,
                                    const grpc::Status& status,
                                    const ErrorClass& error) const {
  if (policy_->on_attempt == nullptr) return;
  Notify({name, times.number, status, error, times.delay, times.took()});
}

void AttemptRecorder::Notify(const FinishedAttempt& attempt) const {
  CallUserCode([&] { policy_->on_attempt(attempt); });
}

void AttemptRecorder::NotifyFinalFailure(const FailedCall& call) const {
  const auto& hook = policy_->on_final_failure;
  if (hook != nullptr) CallUserCode([&] { hook(call); });
}

}  // namespace grpc_breaker::internal
