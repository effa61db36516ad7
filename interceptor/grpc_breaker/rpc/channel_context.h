#ifndef GRPC_BREAKER_RPC_CHANNEL_CONTEXT_H_
#define GRPC_BREAKER_RPC_CHANNEL_CONTEXT_H_

#include <memory>
#include <utility>

#include "grpc_breaker/registry.h"
#include "grpc_breaker/rpc/attempt_queue.h"
#include "grpc_breaker/rpc/idle_queues.h"

namespace grpc_breaker::internal {

// What the calls of one channel share; also the mark by which a factory knows
// its own attempts. Held by the channel and by each call, so that the channel
// may go first. Thread-safe: what changes is so by itself.
struct ChannelContext {
  explicit ChannelContext(std::shared_ptr<Registry> channels_registry)
      : registry(std::move(channels_registry)) {}

  const std::shared_ptr<Registry> registry;
  const std::shared_ptr<AttemptQueue> attempts = AttemptQueue::Get();
  IdleQueues idle_queues;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_CHANNEL_CONTEXT_H_
