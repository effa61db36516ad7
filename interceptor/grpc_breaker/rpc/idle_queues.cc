#include "grpc_breaker/rpc/idle_queues.h"

#include <utility>

namespace grpc_breaker::internal {

void IdleQueues::ShutDown::operator()(grpc::CompletionQueue* queue) const {
  queue->Shutdown();
  void* tag;
  bool ok;
  // A queue is destroyed when it is empty.
  while (queue->Next(&tag, &ok)) {
  }
  delete queue;
}

IdleQueues::Queue IdleQueues::Take() {
  {
    MutexLock lock(mutex_);
    if (!queues_.empty()) {
      Queue queue = std::move(queues_.back());
      queues_.pop_back();
      return queue;
    }
  }
  return Queue(new grpc::CompletionQueue);
}

void IdleQueues::GiveBack(Queue queue) {
  MutexLock lock(mutex_);
  if (queues_.size() < kMost) queues_.push_back(std::move(queue));
  // Else it is shut down when the lock is gone: a parameter lives longer.
}

}  // namespace grpc_breaker::internal
