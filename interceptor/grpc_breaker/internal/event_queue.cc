#include "grpc_breaker/internal/event_queue.h"

namespace grpc_breaker::internal {

void EventQueue::Push(Event event) {
  if (!has_listener()) return;
  absl::MutexLock lock(&mutex_);
  events_.push_back(std::move(event));
  pending_.store(true, std::memory_order_release);
}

void EventQueue::DeliverPending() {
  {
    absl::MutexLock lock(&mutex_);
    if (delivering_) return;
    delivering_ = true;
  }
  for (;;) {
    const std::vector<Event> events = Take();
    if (events.empty()) return;
    for (const Event& event : events) Tell(event);
  }
}

// Ends the delivery if nothing is left, in one step with finding that out.
std::vector<EventQueue::Event> EventQueue::Take() {
  absl::MutexLock lock(&mutex_);
  pending_.store(false, std::memory_order_relaxed);
  delivering_ = !events_.empty();
  return std::exchange(events_, {});
}

void EventQueue::Tell(const Event& event) {
  struct Visitor {
    BreakerListener& listener;
    void operator()(const BreakerTransition& e) { listener.OnTransition(e); }
    void operator()(const BreakerRejections& e) { listener.OnRejections(e); }
    void operator()(const BreakerSlowCall& e) { listener.OnSlowCall(e); }
    void operator()(const BreakerThreshold& e) { listener.OnThreshold(e); }
  };
  std::visit(Visitor{*listener_}, event);
}

}  // namespace grpc_breaker::internal
