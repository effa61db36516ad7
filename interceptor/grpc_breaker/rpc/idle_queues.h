#ifndef GRPC_BREAKER_RPC_IDLE_QUEUES_H_
#define GRPC_BREAKER_RPC_IDLE_QUEUES_H_

// Completion queues for attempts whose callers wait for them, to be used again:
// gRPC takes a tenth of an attempt's time to make one and to shut it down.
//
// Lifetime: a queue that was taken may outlive this.
//
// Thread-safe.

#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpcpp/completion_queue.h"

namespace grpc_breaker::internal {

class GRPC_BREAKER_EXPORT IdleQueues {
 public:
  // Shuts a queue down, and destroys it.
  struct ShutDown {
    void operator()(grpc::CompletionQueue* queue) const;
  };
  using Queue = std::unique_ptr<grpc::CompletionQueue, ShutDown>;

  // As many as this are kept.
  static constexpr int kMost = 16;

  // A queue without operations, for one thread.
  Queue Take() ABSL_LOCKS_EXCLUDED(mutex_);
  // All operations that were begun on it have come back.
  void GiveBack(Queue queue) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  Mutex mutex_;
  std::vector<Queue> queues_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_IDLE_QUEUES_H_
