#ifndef GRPC_BREAKER_ADMIN_REQUEST_QUEUE_H_
#define GRPC_BREAKER_ADMIN_REQUEST_QUEUE_H_

// Runs what may block, as an authorizer does, on threads of the environment:
// few at once, since the timers of calls come on threads that have the same
// queue, and the others one after the other.
//
// Lifetime: what runs holds the queue, so that an owner may go while a request
// that has been answered is still on its way out.
//
// Thread-safe. No lock is held while a function runs.

#include <cstddef>
#include <deque>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/environment.h"

namespace grpc_breaker::internal {

class RequestQueue : public std::enable_shared_from_this<RequestQueue> {
 public:
  using Function = absl::AnyInvocable<void() &&>;

  static constexpr size_t kMostRunning = 8;
  static constexpr size_t kMostWaiting = 1000;

  // False if so many wait already: then it does not run.
  bool Run(Environment& environment, Function function)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Work(Function function) ABSL_LOCKS_EXCLUDED(mutex_);

  absl::Mutex mutex_;
  size_t running_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<Function> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_ADMIN_REQUEST_QUEUE_H_
