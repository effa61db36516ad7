#ifndef GRPC_BREAKER_RPC_CONNECTION_WATCH_H_
#define GRPC_BREAKER_RPC_CONNECTION_WATCH_H_

// Lets the breakers of a channel probe as soon as the channel is connected
// again, if they opened because nothing answered
// (Options::probe_when_connected).
//
// Watches the channel's state while one of them is OPEN, and meanwhile asks the
// channel to connect, at the pace of gRPC's own backoff: with all calls refused
// it would not.
//
// Lifetime: a listener of the channel's registry, which keeps neither of them.
// While the channel is watched, the watch keeps itself; the end of the channel
// is a change of its state. That is heard of on a thread of the library's, at
// any time, when the application may have destroyed what its options name, too:
// so whoever gives the channel to the application also ends the watch with it.
//
// Thread-safe.

#include <atomic>
#include <memory>

#include "grpc_breaker/base/rundown.h"
#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/rpc/attempt_queue.h"
#include "grpcpp/channel.h"

namespace grpc_breaker::internal {

class ConnectionWatch final
    : public BreakerListener,
      public std::enable_shared_from_this<ConnectionWatch>,
      private Completion {
 public:
  // Once, before the channel is used.
  void Begin(std::weak_ptr<Registry> registry,
             const std::shared_ptr<grpc::Channel>& channel);

  void OnTransition(const BreakerTransition& transition) override;

  // Neither the channel nor what its options name is used after this. Waits for
  // threads that do, and so for listeners that these call, except for its own.
  void End() { rundown_.End(); }

 private:
  void Complete(bool ok) override;
  // Unless it is being watched, or there is nothing to watch for.
  void WatchIfOpen();
  void WatchFrom(grpc_connectivity_state state, grpc::Channel& channel);
  bool AnyOpen() const;
  void ProbeThoseWithoutAnAnswer() const;

  const std::shared_ptr<AttemptQueue> queue_ = AttemptQueue::Get();
  std::weak_ptr<Registry> registry_;
  std::weak_ptr<grpc::Channel> channel_;
  std::atomic<bool> watching_{false};

  Rundown rundown_;  // Of the channel and the registry.

  std::shared_ptr<ConnectionWatch> self_;  // While the channel is watched.
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_CONNECTION_WATCH_H_
