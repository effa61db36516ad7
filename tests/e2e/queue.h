#ifndef GRPC_BREAKER_TESTS_E2E_QUEUE_H_
#define GRPC_BREAKER_TESTS_E2E_QUEUE_H_

// The application's own completion queue, and a thread that polls it, as it has
// to: a call whose first attempt is its own goes on when that has been polled.
//
// Thread-compatible.

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpcpp/completion_queue.h"
#include "tests/e2e/wait.h"

namespace grpc_breaker::e2e {

class Queue {
 public:
  ~Queue() {
    ShutDown();
    poller_.join();
  }

  grpc::CompletionQueue* get() { return &queue_; }

  // Operations that were started still complete.
  void ShutDown() {
    if (!std::exchange(shut_down_, true)) queue_.Shutdown();
  }

  // The `ok` of the next event, which must have `tag`.
  bool Next(const void* tag, absl::string_view what)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    std::pair<void*, bool> event;
    WaitUntil(
        [&] {
          internal::MutexLock lock(mutex_);
          if (events_.empty()) return false;
          event = events_.front();
          events_.pop_front();
          return true;
        },
        what);
    if (event.first != tag) {
      std::fprintf(stderr, "WRONG TAG: %p instead of %p, waiting for %.*s\n",
                   event.first, tag, static_cast<int>(what.size()),
                   what.data());
      std::abort();
    }
    return event.second;
  }

 private:
  void Poll() ABSL_LOCKS_EXCLUDED(mutex_) {
    void* tag;
    bool ok;
    while (queue_.Next(&tag, &ok)) {
      internal::MutexLock lock(mutex_);
      events_.emplace_back(tag, ok);
    }
  }

  grpc::CompletionQueue queue_;
  bool shut_down_ = false;
  absl::Mutex mutex_;
  std::deque<std::pair<void*, bool>> events_ ABSL_GUARDED_BY(mutex_);
  std::thread poller_{[this] { Poll(); }};
};

}  // namespace grpc_breaker::e2e

#endif  // GRPC_BREAKER_TESTS_E2E_QUEUE_H_
