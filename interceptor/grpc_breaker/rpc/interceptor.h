#ifndef GRPC_BREAKER_RPC_INTERCEPTOR_H_
#define GRPC_BREAKER_RPC_INTERCEPTOR_H_

// Which interceptor a call gets. A unary call whose policy retries, falls back
// or limits attempts goes by unary_interceptor.h; every other call
// runs natively and is observed (observing_interceptor.h).

#include <memory>

#include "grpc_breaker/rpc/channel_context.h"
#include "grpcpp/support/client_interceptor.h"

namespace grpc_breaker::internal {

// Null for a call that the registry exempts. Thread-safe.
grpc::experimental::Interceptor* MakeInterceptor(
    const std::shared_ptr<ChannelContext>& channel,
    grpc::experimental::ClientRpcInfo* info);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_INTERCEPTOR_H_
