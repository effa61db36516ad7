#include "grpc_breaker/rpc/interceptor.h"

#include <utility>

#include "grpc_breaker/registry/grpc_compat.h"
#include "grpc_breaker/rpc/call_info.h"
#include "grpc_breaker/rpc/observing_interceptor.h"
#include "grpc_breaker/rpc/stream_interceptor.h"
#include "grpc_breaker/rpc/unary_interceptor.h"

namespace grpc_breaker::internal {
namespace {

// Whether a unary call under this policy can run natively.
bool CanRunNatively(const Policy& policy) {
  return policy.retry.max_retries == 0 && !policy.hedging.on() &&
         policy.fallback.function == nullptr &&
         policy.on_final_failure == nullptr &&
         !policy.attempt_timeout.has_value() &&
         !policy.wait_for_ready.has_value() && policy.authority.empty();
}

bool RetriesStreams(const CallInfo& call) {
  return kHasPrivateAccess && call.policy().stream_retry.enabled &&
         call.policy().retry.max_retries > 0;
}

}  // namespace

grpc::experimental::Interceptor* MakeInterceptor(
    const std::shared_ptr<ChannelContext>& channel, CallInfo::RpcInfo* info) {
  if (channel->registry->Exempts(info->method())) return nullptr;
  Method& method = channel->registry->FindOrCreate(info->method());
  CallInfo call(channel, method, method.policy(), info);
  if (call.type == CallInfo::RpcInfo::Type::UNARY &&
      !CanRunNatively(call.policy())) {
    return new UnaryInterceptor(std::move(call));
  }
  if (call.type != CallInfo::RpcInfo::Type::UNARY && RetriesStreams(call)) {
    return new StreamInterceptor(std::move(call));
  }
  return new ObservingInterceptor(std::move(call));
}

}  // namespace grpc_breaker::internal
