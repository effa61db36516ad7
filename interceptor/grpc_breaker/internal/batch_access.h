#ifndef GRPC_BREAKER_INTERNAL_BATCH_ACCESS_H_
#define GRPC_BREAKER_INTERNAL_BATCH_ACCESS_H_

// What gRPC's interface for interceptors does not offer: of what type the reply
// of a unary call is, which comes as a void*, and to tell a hijacked call that
// there are no initial metadata. Both by the batch's operations, whose types
// say exactly what they are; nothing is assumed of one that is not known.
//
// Thread-compatible.

#include "grpc/grpc.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/client_interceptor.h"

namespace grpc_breaker {
namespace internal {

// Whether FillReply can be used for a call with this first batch.
bool CanFillReply(grpc::experimental::InterceptorBatchMethods* batch);

// Puts `reply` into the application's message, at PRE_RECV_MESSAGE. False if it
// does not parse.
bool FillReply(grpc::experimental::InterceptorBatchMethods* batch,
               grpc::ByteBuffer reply);

// Whether this is the first batch of a ClientUnaryReactor, which is told that
// there are no initial metadata of an answer that has trailers only as well; a
// completion queue is not.
bool IsReactorStart(grpc::experimental::InterceptorBatchMethods* batch);

// Lets the core tell the application, by the `ok` of this hijacked batch, that
// there are no initial metadata: those of `call`, which is cancelled, not being
// needed any more.
void FailInitialMetadata(grpc::experimental::InterceptorBatchMethods* batch,
                         grpc_call* call);

}  // namespace internal
}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_INTERNAL_BATCH_ACCESS_H_
