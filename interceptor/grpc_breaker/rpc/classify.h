#ifndef GRPC_BREAKER_RPC_CLASSIFY_H_
#define GRPC_BREAKER_RPC_CLASSIFY_H_

// From what gRPC tells about a finished attempt to an ErrorClass, under the
// method's policy; and the statuses that the library makes in gRPC's place.
//
// Thread-safe: pure functions over values.

#include <map>

#include "grpc_breaker/call_history.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/retry_policy.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"
#include "grpcpp/support/string_ref.h"

namespace grpc_breaker::internal {

// `origin` says what the caller knows; whether a server answered, and what it
// saw, is read from `context`, the one the attempt ran on, which is over.
ErrorClass ClassifyAttempt(const Policy& policy, const grpc::Status& status,
                           grpc::ClientContext& context, ErrorOrigin origin);

// Whether a server may have answered the call of `context`, which is over with
// `status`.
bool MayHaveAnswer(const grpc::Status& status, grpc::ClientContext& context);
// Whether the server's headers came to the call of `context`, which is over
// with `status`, as far as that is known afterwards.
bool HadHeaders(const grpc::Status& status, grpc::ClientContext& context);
// The same where the call received initial metadata, which tell as well.
bool HasInitialMetadata(const grpc::Status& status,
                        grpc::ClientContext& context);

// From an attempt's trailing metadata.
Pushback PushbackOf(
    const std::multimap<grpc::string_ref, grpc::string_ref>& trailers);

// That of a call which a breaker refused, after attempts of which the last one
// failed with `last`.
grpc::Status RejectionAfter(const grpc::Status& rejection,
                            const grpc::Status& last);

// Why there is no further attempt; kExhausted for kRetry.
StopReason StopReasonOf(RetryDecision::Verdict verdict);

// What gRPC itself makes of a time that is up, of a cancellation, and of an OK
// without a reply, or with one that does not parse.
grpc::Status DeadlineExceeded();
grpc::Status Cancelled();
grpc::Status NoMessageReturned();

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_CLASSIFY_H_
