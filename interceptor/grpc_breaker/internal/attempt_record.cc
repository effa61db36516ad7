#include "grpc_breaker/internal/attempt_record.h"

#include "grpc_breaker/internal/classify.h"

namespace grpc_breaker {
namespace internal {

AttemptVerdict RecordFailure(Method& method, Environment& environment,
                             CircuitBreaker::Permit& permit,
                             const grpc::Status& status,
                             grpc::ClientContext& context,
                             const ReceivedMetadata& trailers,
                             const ErrorOrigin& origin, MonotonicTime now) {
  AttemptVerdict verdict;
  verdict.error = ClassifyAttempt(method.policy(), status, context, origin);
  verdict.pushback = PushbackOf(trailers);
  permit.Record(verdict.error.outcome, now,
                DetailsOf(verdict.error, verdict.pushback));
  method.RecordError({status.error_code(), status.error_message(),
                      verdict.error, environment.WallNow()});
  return verdict;
}

}  // namespace internal
}  // namespace grpc_breaker
