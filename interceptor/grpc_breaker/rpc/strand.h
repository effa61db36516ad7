#ifndef GRPC_BREAKER_RPC_STRAND_H_
#define GRPC_BREAKER_RPC_STRAND_H_

// Runs steps one after another, without a thread of its own: on the thread that
// brings a step, or, while another one is at it, on that one after what it
// does. So nobody waits, and what only steps touch needs no lock.
//
// Lifetime: outlives each Run.
//
// Thread-safe.

#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "grpc_breaker/mutex_lock.h"

namespace grpc_breaker::internal {

class Strand {
 public:
  // From within a step as well; it is run after that then.
  template <typename Function>
  void Run(Function step) ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      MutexLock lock(mutex_);
      if (running_) {
        waiting_.emplace_back(std::move(step));
        return;
      }
      running_ = true;
      runner_ = std::this_thread::get_id();
    }
    step();
    Step next;
    while (Next(&next)) std::move(next)();
  }

  // Whether the calling thread is in a step.
  bool IsRunningHere() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    return running_ && runner_ == std::this_thread::get_id();
  }

 private:
  using Step = absl::AnyInvocable<void() &&>;

  bool Next(Step* step) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    running_ = !waiting_.empty();
    if (running_) {
      *step = std::move(waiting_.front());
      waiting_.erase(waiting_.begin());
    }
    return running_;
  }

  mutable Mutex mutex_;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread::id runner_ ABSL_GUARDED_BY(mutex_);
  std::vector<Step> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_STRAND_H_
