#ifndef GRPC_BREAKER_INTERNAL_CHANNEL_CONTEXT_H_
#define GRPC_BREAKER_INTERNAL_CHANNEL_CONTEXT_H_

#include <memory>

#include "grpc_breaker/internal/attempt_queue.h"
#include "grpc_breaker/registry.h"

namespace grpc_breaker {
namespace internal {

// What the calls of one channel share; also the mark by which a factory knows
// its own attempts. Held by the channel and by each call, so that the channel
// may go first. Thread-safe: it does not change.
struct ChannelContext {
  const std::shared_ptr<Registry> registry;
  const std::shared_ptr<AttemptQueue> attempts = AttemptQueue::Get();
};

}  // namespace internal
}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_INTERNAL_CHANNEL_CONTEXT_H_
