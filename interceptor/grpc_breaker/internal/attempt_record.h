#ifndef GRPC_BREAKER_INTERNAL_ATTEMPT_RECORD_H_
#define GRPC_BREAKER_INTERNAL_ATTEMPT_RECORD_H_

// The end of an attempt, as the breaker and the admin service are told of it:
// the one way from a status to an outcome, for unary calls and streams.
//
// Thread-compatible.

#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/internal/notes.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/retry_policy.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker {
namespace internal {

struct AttemptVerdict {
  ErrorClass error;
  Pushback pushback;
};

// Classifies an attempt of `method` that has failed on `context`, records it on
// its permit, and remembers it as the method's last error. `origin` says what
// only the caller knows.
AttemptVerdict RecordFailure(Method& method, Environment& environment,
                             CircuitBreaker::Permit& permit,
                             const grpc::Status& status,
                             grpc::ClientContext& context,
                             const ReceivedMetadata& trailers,
                             const ErrorOrigin& origin, MonotonicTime now);

}  // namespace internal
}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_INTERNAL_ATTEMPT_RECORD_H_
