#include "grpc_breaker/rpc/attempt_queue.h"

#include <pthread.h>

#include <algorithm>
#include <mutex>
#include <thread>

#include "grpc/grpc.h"
#include "grpc/support/time.h"
#include "grpc_breaker/mutex_lock.h"

namespace grpc_breaker::internal {
namespace {

// Of the whole process. Replaced in the child of a fork, where the mutex may be
// locked by a thread that is not there.
struct Current {
  std::mutex mutex;
  std::weak_ptr<AttemptQueue> queue;
};
Current* current = nullptr;
std::atomic<int> forks{0};

Current& TheCurrent() {
  static const bool started = [] {
    current = new Current;
    return pthread_atfork(nullptr, nullptr, [] {
             current = new Current;
             ++forks;
           }) == 0;
  }();
  (void)started;
  return *current;
}

// More than one, since one alone would have to start another at each event.
int MostIdle() {
  static const int number = static_cast<int>(
      std::clamp(std::thread::hardware_concurrency() / 2, 2u, 8u));
  return number;
}

}  // namespace

// Deletes itself when its queue was shut down and its last thread ends.
class AttemptQueue::Pollers {
 public:
  grpc::CompletionQueue* queue() { return &queue_; }

  // Whether its threads are in this process.
  bool IsHere() const { return forks_ == forks; }

  void AddThread() {
    waiting_.fetch_add(1, std::memory_order_relaxed);
    threads_.fetch_add(1, std::memory_order_relaxed);
    const auto run = [](void* self) -> void* {
      static_cast<Pollers*>(self)->Poll();
      return nullptr;
    };
    pthread_t thread;
    if (pthread_create(&thread, nullptr, run, this) == 0) {
      pthread_detach(thread);
    } else {
      waiting_.fetch_sub(1, std::memory_order_relaxed);
      threads_.fetch_sub(1, std::memory_order_relaxed);
    }
  }

 private:
  void Poll() {
    // Not CompletionQueue::Next, which would run interceptors before it tells
    // that there is an event.
    for (;;) {
      const grpc_event event = grpc_completion_queue_next(
          queue_.cq(), gpr_inf_future(GPR_CLOCK_REALTIME), nullptr);
      if (event.type == GRPC_QUEUE_SHUTDOWN) break;
      if (waiting_.fetch_sub(1, std::memory_order_relaxed) == 1) AddThread();
      Handle(event);
      if (waiting_.fetch_add(1, std::memory_order_relaxed) >= MostIdle()) {
        waiting_.fetch_sub(1, std::memory_order_relaxed);
        break;
      }
    }
    if (threads_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  static void Handle(const grpc_event& event) {
    void* tag = event.tag;
    bool ok = event.success != 0;
    if (static_cast<grpc::internal::CompletionQueueTag*>(tag)->FinalizeResult(
            &tag, &ok)) {
      static_cast<Completion*>(tag)->Complete(ok);
    }
  }

  const int forks_ = forks;
  grpc::CompletionQueue queue_;
  std::atomic<int> threads_{0};
  std::atomic<int> waiting_{0};  // For an event, or about to.
};

std::shared_ptr<AttemptQueue> AttemptQueue::Get() {
  Current& place = TheCurrent();
  std::lock_guard<std::mutex> lock(place.mutex);
  std::shared_ptr<AttemptQueue> queue = place.queue.lock();
  if (queue == nullptr) {
    queue = std::make_shared<AttemptQueue>();
    place.queue = queue;
  }
  return queue;
}

AttemptQueue::AttemptQueue() {
  grpc_init();  // For what calls hold of the core beyond their channel.
}

AttemptQueue::~AttemptQueue() {
  Pollers* pollers = pollers_.load(std::memory_order_relaxed);
  if (pollers != nullptr && pollers->IsHere()) pollers->queue()->Shutdown();
  grpc_shutdown();
}

grpc::CompletionQueue* AttemptQueue::queue() {
  Pollers* pollers = pollers_.load(std::memory_order_acquire);
  if (pollers == nullptr || !pollers->IsHere()) {
    MutexLock lock(mutex_);
    pollers = pollers_.load(std::memory_order_relaxed);
    if (pollers == nullptr || !pollers->IsHere()) {
      pollers = new Pollers;
      pollers->AddThread();
      pollers_.store(pollers, std::memory_order_release);
    }
  }
  return pollers->queue();
}

}  // namespace grpc_breaker::internal
