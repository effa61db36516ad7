#include "grpc_breaker/admin/request_queue.h"

#include <utility>

#include "grpc_breaker/mutex_lock.h"

namespace grpc_breaker::internal {

bool RequestQueue::Run(Environment& environment, Function function) {
  {
    MutexLock lock(mutex_);
    if (running_ == kMostRunning) {
      if (waiting_.size() == kMostWaiting) return false;
      waiting_.push_back(std::move(function));
      return true;
    }
    ++running_;
  }
  environment.Run(
      [self = shared_from_this(), function = std::move(function)]() mutable {
        self->Work(std::move(function));
      });
  return true;
}

void RequestQueue::Work(Function function) {
  for (;;) {
    std::move(function)();
    function = nullptr;
    MutexLock lock(mutex_);
    if (waiting_.empty()) {
      --running_;
      return;
    }
    function = std::move(waiting_.front());
    waiting_.pop_front();
  }
}

}  // namespace grpc_breaker::internal
