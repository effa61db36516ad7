#ifndef GRPC_BREAKER_RPC_BATCH_ACCESS_H_
#define GRPC_BREAKER_RPC_BATCH_ACCESS_H_

// Short words for gRPC's interface for interceptors, and what that does not
// offer: of what type the reply
// of a unary call is, which comes as a void*, and to tell a hijacked call that
// there are no initial metadata. Both by the batch's operations, whose types
// say exactly what they are; nothing is assumed of one that is not known.
//
// Thread-compatible.

#include "grpc/grpc.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/client_interceptor.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker::internal {

using Batch = grpc::experimental::InterceptorBatchMethods;
using HookPoint = grpc::experimental::InterceptionHookPoints;

inline bool Has(Batch* batch, HookPoint point) {
  return batch->QueryInterceptionHookPoint(point);
}

// Of a hijacked batch: initial metadata that the application hears of before
// anything else.
inline bool AsksForMetadataAlone(Batch* batch) {
  return Has(batch, HookPoint::PRE_RECV_INITIAL_METADATA) &&
         !Has(batch, HookPoint::PRE_RECV_MESSAGE) &&
         !Has(batch, HookPoint::PRE_RECV_STATUS);
}

// Of the first batch of a unary call: that everything else is in it as well,
// the final status too.
inline bool EndsWithStatus(Batch* batch) {
  return batch->GetRecvStatus() != nullptr;
}

// At POST_RECV_STATUS: the status as the application is to see it. Takes out
// what a server sent under the keys of AddedTrailers.
grpc::Status TakeStatus(Batch* batch);

// At the same point: that the server said OK, and sent no reply that parses.
inline bool LacksReply(Batch* batch) {
  return batch->GetRecvStatus()->ok() &&
         Has(batch, HookPoint::POST_RECV_MESSAGE) &&
         batch->GetRecvMessage() == nullptr;
}

// Whether FillReply can be used for a call with this first batch.
bool CanFillReply(Batch* batch);

// Puts `reply` into `message`, which is the application's. Of a hijacked batch,
// or of one that got no reply, and then has got this one. False if it does not
// parse.
bool FillReply(Batch* batch, void* message, const grpc::ByteBuffer& reply);

// Of the first batch of a call: that a thread does nothing but wait for its
// end, that of a synchronous stub.
bool IsSynchronous(Batch* batch);

// At POST_RECV_STATUS of a unary call: Finish of a completion queue is told
// that all is well, as it is without a reply, though there was one that did not
// parse.
void FinishOk(Batch* batch);

// Whether this is the first batch of a ClientUnaryReactor, which is told that
// there are no initial metadata of an answer that has trailers only as well; a
// completion queue is not.
bool IsReactorStart(Batch* batch);

// Lets the core tell the application, by the `ok` of this hijacked batch, that
// there are no initial metadata: those of `call`, which is cancelled, not being
// needed any more.
void FailInitialMetadata(Batch* batch, grpc_call* call);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_BATCH_ACCESS_H_
