#ifndef GRPC_BREAKER_ERROR_ORIGIN_H_
#define GRPC_BREAKER_ERROR_ORIGIN_H_

// Who made the status of a call: the server, or gRPC in this process because no
// answer came? The interceptor asks it for each failure; ask it for a call that
// runs without, whose status you classify yourself:
//
//   grpc_breaker::ClassifyError(status, grpc_breaker::OriginOf(status,
//   context))
//
// It judges by what no server can word: whether the call reached a transport
// (the context's peer), and whether metadata came. Messages only refine that,
// where they cannot be a server's, or where nothing else is left.
//
// Thread-safe: a pure function of a call that is over.

#include "grpc_breaker/error_class.h"
#include "grpc_breaker/export.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker {

// Sets `server_answered` and `answer_begun` for a call that was made on
// `context` and has ended with `status`; all else is left to the caller.
// `server_answered` stays unset if the connection broke, or if a server says so
// in the very words of gRPC's core and sends nothing else, and if no call was
// made.
GRPC_BREAKER_EXPORT ErrorOrigin OriginOf(const grpc::Status& status,
                                         grpc::ClientContext& context);

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_ERROR_ORIGIN_H_
