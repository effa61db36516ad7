#ifndef GRPC_BREAKER_INTERNAL_CALL_H_
#define GRPC_BREAKER_INTERNAL_CALL_H_

// One RPC as gRPC's interceptors see it: the only user of hook points.
//
// A unary call whose policy retries, falls back or times out is hijacked: its
// request is copied, UnaryCall makes the attempts, and the result is filled
// into the application's receive operations. Every other call runs natively
// and is observed: a permit at its initial metadata, the outcome at its final
// status. If the breaker refuses it, it is hijacked too, and every operation of
// it fails. A unary call without a request, or with a reply of a type that is
// not known (batch_access.h), runs natively whatever its policy says.

#include <memory>

#include "grpc_breaker/internal/channel_context.h"
#include "grpcpp/support/client_interceptor.h"

namespace grpc_breaker {
namespace internal {

grpc::experimental::Interceptor* MakeCallInterceptor(
    const std::shared_ptr<ChannelContext>& channel,
    grpc::experimental::ClientRpcInfo* info);

}  // namespace internal
}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_INTERNAL_CALL_H_
