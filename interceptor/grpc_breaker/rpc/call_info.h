#ifndef GRPC_BREAKER_RPC_CALL_INFO_H_
#define GRPC_BREAKER_RPC_CALL_INFO_H_

// What a call is, for as long as it lasts: gRPC's ClientRpcInfo outlives it,
// but generic stubs let the name go before that.
//
// Thread-compatible: a value, which does not change.

#include <memory>
#include <string>
#include <utility>

#include "grpc_breaker/environment.h"
#include "grpc_breaker/method.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/rpc/attempt_recorder.h"
#include "grpc_breaker/rpc/channel_context.h"
#include "grpcpp/support/client_interceptor.h"

namespace grpc_breaker::internal {

struct CallInfo {
  using RpcInfo = grpc::experimental::ClientRpcInfo;

  CallInfo(std::shared_ptr<ChannelContext> channel_context, Method& method,
           std::shared_ptr<const Policy> policy, RpcInfo* info)
      : channel(std::move(channel_context)),
        recorder(method, channel->registry->environment(), std::move(policy)),
        name(info->method()),
        type(info->type()),
        context(*info->client_context()),
        channel_interface(info->channel()) {}

  Environment& environment() const { return channel->registry->environment(); }
  Method& method() const { return recorder.method(); }
  const Policy& policy() const { return recorder.policy(); }
  // For a unary call.
  bool hedged() const {
    return policy().hedging.on() && method().MayRepeat(policy());
  }

  std::shared_ptr<ChannelContext> channel;
  AttemptRecorder recorder;
  std::string name;
  RpcInfo::Type type;
  grpc::ClientContext& context;
  grpc::ChannelInterface* channel_interface;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_CALL_INFO_H_
