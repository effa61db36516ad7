#ifndef GRPC_BREAKER_BASE_RUNDOWN_H_
#define GRPC_BREAKER_BASE_RUNDOWN_H_

// Lets something go while other threads may be using it (run-down protection):
// after End they do not, and will not.
//
// Lifetime: outlives each Use.
//
// Thread-safe.

#include <algorithm>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/mutex_lock.h"

namespace grpc_breaker::internal {

class Rundown {
 public:
  // Keeps End from returning to other threads. A thread may have several.
  class Use {
   public:
    explicit Use(Rundown& rundown) : rundown_(rundown) {
      MutexLock lock(rundown_.mutex_);
      allowed_ = !rundown_.ended_;
      if (allowed_) rundown_.users_.push_back(std::this_thread::get_id());
    }
    ~Use() {
      if (!allowed_) return;
      MutexLock lock(rundown_.mutex_);
      std::vector<std::thread::id>& users = rundown_.users_;
      users.erase(
          std::find(users.begin(), users.end(), std::this_thread::get_id()));
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

    // False after End: nothing may be used then.
    bool allowed() const { return allowed_; }

   private:
    Rundown& rundown_;
    bool allowed_;
  };

  // Allows no use from now on, and waits for those of other threads. Those of
  // this one are below it on the stack, and cannot end before it returns.
  void End() ABSL_LOCKS_EXCLUDED(mutex_) {
    const auto others_are_done =
        [this, self = std::this_thread::get_id()]()
            ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
              return std::all_of(users_.begin(), users_.end(),
                                 [self](auto user) { return user == self; });
            };
    MutexLock lock(mutex_);
    ended_ = true;
    mutex_.Await(absl::Condition(&others_are_done));
  }

  bool ended() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    return ended_;
  }

 private:
  mutable absl::Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  // The thread of each use.
  std::vector<std::thread::id> users_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BASE_RUNDOWN_H_
