#ifndef GRPC_BREAKER_TESTS_E2E_QUEUE_H_
#define GRPC_BREAKER_TESTS_E2E_QUEUE_H_

// The application's own completion queue, polled by the thread that waits for
// one event at a time.
//
// Thread-compatible.

#include "absl/time/time.h"
#include "grpc/support/time.h"
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
    const gpr_timespec watchdog = gpr_time_add(
        gpr_now(GPR_CLOCK_MONOTONIC),
        gpr_time_from_seconds(absl::ToInt64Seconds(kWatchdog), GPR_TIMESPAN));
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
