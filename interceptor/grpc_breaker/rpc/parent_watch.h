#ifndef GRPC_BREAKER_RPC_PARENT_WATCH_H_
#define GRPC_BREAKER_RPC_PARENT_WATCH_H_

// Hears of the end of a parent server call while no attempt is under way that
// the core would end with it: a call of the core's own that is linked to the
// parent like any attempt, sends nothing, and waits for its status.
//
// Thread-safe.

#include <atomic>
#include <functional>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "grpc/grpc.h"
#include "grpc_breaker/rpc/attempt_queue.h"
#include "grpc_breaker/rpc/context_access.h"

namespace grpc_breaker::internal {

class ParentWatch {
 public:
  // Calls `on_end` with CANCELLED or DEADLINE_EXCEEDED, at most once, on a
  // thread of `queue`, unless Stop comes first. `settings` has a parent.
  static std::shared_ptr<ParentWatch> Start(
      std::shared_ptr<AttemptQueue> queue, grpc_channel* channel,
      const ContextSettings& settings,
      absl::AnyInvocable<void(grpc_status_code) &&> on_end);

  // `on_end` may be running, or about to.
  virtual void Stop() = 0;

 protected:
  ~ParentWatch() = default;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_PARENT_WATCH_H_
