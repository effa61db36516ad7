#ifndef GRPC_BREAKER_INTERNAL_EVENT_QUEUE_H_
#define GRPC_BREAKER_INTERNAL_EVENT_QUEUE_H_

// Events on their way to a listener: pushed in the order in which they were
// decided, possibly under the breaker's lock, and delivered after it is
// released.
//
// One thread at a time delivers. An event that is pushed meanwhile, by another
// thread or by the listener itself, is delivered by that thread; so listeners
// hear each event once and in order, and never from two threads at once.
//
// Thread-safe.

#include <atomic>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/breaker_events.h"

namespace grpc_breaker::internal {

class EventQueue {
 public:
  using Event = std::variant<BreakerTransition, BreakerRejections,
                             BreakerSlowCall, BreakerThreshold>;

  // Without a listener, nothing is kept.
  explicit EventQueue(BreakerListener* listener) : listener_(listener) {}

  bool has_listener() const { return listener_ != nullptr; }

  void Push(Event event) ABSL_LOCKS_EXCLUDED(mutex_);

  // No lock may be held.
  void Deliver() ABSL_LOCKS_EXCLUDED(mutex_) {
    if (pending_.load(std::memory_order_acquire)) DeliverPending();
  }

 private:
  void DeliverPending() ABSL_LOCKS_EXCLUDED(mutex_);
  std::vector<Event> Take() ABSL_LOCKS_EXCLUDED(mutex_);
  void Tell(const Event& event);

  BreakerListener* const listener_;
  std::atomic<bool> pending_{false};  // Whether events_ has any.
  absl::Mutex mutex_;
  std::vector<Event> events_ ABSL_GUARDED_BY(mutex_);
  bool delivering_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_INTERNAL_EVENT_QUEUE_H_
