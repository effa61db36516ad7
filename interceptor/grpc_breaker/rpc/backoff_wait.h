#ifndef GRPC_BREAKER_RPC_BACKOFF_WAIT_H_
#define GRPC_BREAKER_RPC_BACKOFF_WAIT_H_

// One backoff of a call: a timer, a parent call's end, or a cancellation ends
// it, whichever comes first.
//
// Lifetime: held by the timer and by who may cancel.
//
// Thread-safe.

#include <atomic>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "grpc/grpc.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/rpc/attempt_queue.h"
#include "grpc_breaker/rpc/context_access.h"
#include "grpc_breaker/rpc/parent_watch.h"

namespace grpc_breaker::internal {

class BackoffWait final : public std::enable_shared_from_this<BackoffWait> {
 public:
  enum class End { kOver, kCancelled, kParentCancelled, kParentExpired };
  using Done = absl::AnyInvocable<void(End) &&>;

  explicit BackoffWait(Environment& environment) : environment_(environment) {}

  // Once. `done` runs once: at `when`, on a thread of the environment, or
  // earlier on another one; never inside this call or Cancel. The channel is
  // used inside this call only; null if no parent is to be heard of.
  void Start(MonotonicTime when, std::shared_ptr<AttemptQueue> queue,
             grpc_channel* channel, const ContextSettings& settings, Done done)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // May be called under the locks of the application's context.
  void Cancel() ABSL_LOCKS_EXCLUDED(mutex_);

  // After Start, which has returned: there is no use for its end any more.
  // `done` does not run, unless the wait is ending already; but for it, nothing
  // uses the environment after this.
  void Drop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // False if it has ended, or is ending.
  bool Claim() { return !over_.exchange(true); }
  void EndEarly(End end) ABSL_LOCKS_EXCLUDED(mutex_);
  void Finish(End end) ABSL_LOCKS_EXCLUDED(mutex_);
  void StopTimerAndWatch() ABSL_LOCKS_EXCLUDED(mutex_);

  Environment& environment_;
  std::atomic<bool> over_{false};
  Mutex mutex_;
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  // What ended it before it had started.
  std::optional<End> too_early_ ABSL_GUARDED_BY(mutex_);
  Environment::TimerId timer_ ABSL_GUARDED_BY(mutex_) = Environment::kNoTimer;
  std::shared_ptr<ParentWatch> watch_ ABSL_GUARDED_BY(mutex_);
  Done done_;  // Set before started_ is; then of whoever claims the end.
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_BACKOFF_WAIT_H_
