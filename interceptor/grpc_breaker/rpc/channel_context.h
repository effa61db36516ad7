#ifndef GRPC_BREAKER_RPC_CHANNEL_CONTEXT_H_
#define GRPC_BREAKER_RPC_CHANNEL_CONTEXT_H_

#include <memory>

#include "grpc_breaker/registry.h"
#include "grpc_breaker/rpc/attempt_queue.h"

namespace grpc_breaker::internal {

// What the calls of one channel share; also the mark by which a factory knows
// its own attempts. Held by the channel and by each call, so that the channel
// may go first. Thread-safe: it does not change.
struct ChannelContext {
  const std::shared_ptr<Registry> registry;
  const std::shared_ptr<AttemptQueue> attempts = AttemptQueue::Get();
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_CHANNEL_CONTEXT_H_
