#ifndef GRPC_BREAKER_RPC_ATTEMPT_QUEUE_H_
#define GRPC_BREAKER_RPC_ATTEMPT_QUEUE_H_

// The completion queue that all attempts run on.
//
// It is the library's own, because in gRPC 1.51 the last reference to a channel
// that is dropped on a thread of the callback API's queue frees that queue
// under the thread.
//
// The application's interceptors run on the queue's threads, and may block. So
// a thread that has an event to handle sees to it that another one waits for
// the next.
//
// Lifetime: there is one as long as a channel or a call uses it, so that gRPC
// can shut down when it is not needed, and then a process can fork. A child has
// a queue of its own.
//
// Thread-safe.

#include <atomic>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/completion_queue.h"

namespace grpc_breaker::internal {

// What a tag of the attempt queue points to.
class Completion {
 public:
  virtual ~Completion() = default;
  virtual void Complete(bool ok) = 0;
};

class AttemptQueue {
 public:
  // The process's.
  static std::shared_ptr<AttemptQueue> Get();

  AttemptQueue();
  ~AttemptQueue();
  AttemptQueue(const AttemptQueue&) = delete;
  AttemptQueue& operator=(const AttemptQueue&) = delete;

  // Its threads start when this is first called, and once more in a child. No
  // operation is pending on it when this object is destroyed.
  grpc::CompletionQueue* queue() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  class Pollers;

  absl::Mutex mutex_;
  // Null at first. Deletes itself when its work is done, but for the parent's
  // in a child, whose threads are not there.
  std::atomic<Pollers*> pollers_{nullptr};
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_ATTEMPT_QUEUE_H_
