#ifndef GRPC_BREAKER_TESTS_E2E_QUEUE_H_
#define GRPC_BREAKER_TESTS_E2E_QUEUE_H_

// The application's own completion queue, polled by the thread that waits for
// one event at a time.
//
// Thread-compatible.

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/completion_queue.h"
#include "tests/e2e/wait.h"

namespace grpc_breaker::e2e {

class Queue {
 public:
  ~Queue() {
    queue_.Shutdown();
    void* tag;
    bool ok;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  grpc::CompletionQueue* get() { return &queue_; }

  // The `ok` of the next event, which must have `tag`.
  bool Next(const void* tag, absl::string_view what) {
    void* got;
    bool ok;
    const auto watchdog = absl::ToChronoTime(absl::Now() + kWatchdog);
    if (queue_.AsyncNext(&got, &ok, watchdog) !=
            grpc::CompletionQueue::GOT_EVENT ||
        got != tag) {
      Hangs(what);
    }
    return ok;
  }

 private:
  grpc::CompletionQueue queue_;
};

}  // namespace grpc_breaker::e2e

#endif  // GRPC_BREAKER_TESTS_E2E_QUEUE_H_
