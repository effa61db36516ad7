#include "grpc_breaker/breaker/event_queue.h"

#include <algorithm>
#include <utility>

#include "grpc_breaker/base/user_code.h"
#include "grpc_breaker/mutex_lock.h"

namespace grpc_breaker::internal {

// Ends the notifying even if the thread ends in the listener.
class EventQueue::Notifying {
 public:
  explicit Notifying(std::shared_ptr<EventQueue> queue)
      : queue_(std::move(queue)) {}
  ~Notifying() { queue_->StopNotifying(); }
  Notifying(const Notifying&) = delete;
  Notifying& operator=(const Notifying&) = delete;

 private:
  // The listener may destroy the breaker.
  const std::shared_ptr<EventQueue> queue_;
};

void EventQueue::Push(Event event) {
  MutexLock lock(mutex_);
  if (closed_) return;
  // Without the one that says how many were dropped.
  const size_t waiting = events_.size() - (notice_ != nullptr ? 1 : 0);
  if (waiting >= kMostWaiting && !MakeRoomFor(event)) return;
  if (auto* rejections = std::get_if<BreakerRejections>(&event)) {
    rejections->rejections += std::exchange(unreported_rejections_, 0);
  }
  events_.push_back({std::move(event), std::this_thread::get_id()});
  if (state_ == State::kIdle) unclaimed_.store(true, std::memory_order_release);
}

bool EventQueue::MakeRoomFor(Event& event) {
  if (!std::holds_alternative<BreakerTransition>(event)) {
    Drop(event, events_.end());
    return false;
  }
  auto victim =
      std::find_if(events_.begin(), events_.end(), [](const Entry& entry) {
        return !std::holds_alternative<BreakerTransition>(entry.event) &&
               !std::holds_alternative<BreakerEventsDropped>(entry.event);
      });
  if (victim == events_.end()) {
    victim =
        std::find_if(events_.begin(), events_.end(), [](const Entry& entry) {
          return std::holds_alternative<BreakerTransition>(entry.event);
        });
  }
  Drop(victim->event, victim);
  events_.erase(victim);
  return true;
}

void EventQueue::Drop(Event& event, Entries::iterator place) {
  dropped_.fetch_add(1, std::memory_order_relaxed);
  if (const auto* rejections = std::get_if<BreakerRejections>(&event)) {
    unreported_rejections_ += rejections->rejections;
  }
  if (notice_ == nullptr) {
    const auto made = events_.insert(
        place, {BreakerEventsDropped(), std::this_thread::get_id()});
    notice_ = &std::get<BreakerEventsDropped>(made->event);
  } else {
    const auto later =
        std::find_if(place, events_.end(), [](const Entry& entry) {
          return std::holds_alternative<BreakerEventsDropped>(entry.event);
        });
    if (later != events_.end()) events_.splice(place, events_, later);
  }
  BreakerEventsDropped& notice = *notice_;
  ++notice.dropped;
  std::visit(
      [&notice](auto& dropped) {
        notice.breaker = std::move(dropped.breaker);
        notice.at = std::max(notice.at, dropped.at);
      },
      event);
}

void EventQueue::DeliverOwn() {
  const std::thread::id self = std::this_thread::get_id();
  size_t own = 0;
  {
    MutexLock lock(mutex_);
    if (state_ != State::kIdle || events_.empty()) return;
    unclaimed_.store(false, std::memory_order_relaxed);
    for (const Entry& entry : events_) {
      if (entry.pushed_by != self) break;
      ++own;
    }
    if (own > 0) {
      state_ = State::kNotifying;
      notifier_ = self;
    } else {  // Another thread's come first.
      state_ = State::kHandedOver;
    }
  }
  if (own == 0) return HandOver();
  Notifying notifying(shared_from_this());
  while (own > 0 && NotifyNext(self)) --own;
}

void EventQueue::DeliverAll() {
  {
    MutexLock lock(mutex_);
    if (closed_) return;
    state_ = State::kNotifying;
    notifier_ = std::this_thread::get_id();
  }
  Notifying notifying(shared_from_this());
  while (NotifyNext(std::thread::id())) {
  }
}

bool EventQueue::NotifyNext(std::thread::id only) {
  Entries next;
  {
    MutexLock lock(mutex_);
    if (events_.empty()) {
      state_ = State::kIdle;
      return false;
    }
    if (only != std::thread::id() && events_.front().pushed_by != only) {
      return false;
    }
    next.splice(next.begin(), events_, events_.begin());
    if (std::holds_alternative<BreakerEventsDropped>(next.front().event)) {
      notice_ = nullptr;
    }
  }
  Notify(next.front().event);
  return true;
}

void EventQueue::Notify(Event& event) {
  struct Visitor {
    BreakerListener& listener;
    void operator()(const BreakerTransition& e) { listener.OnTransition(e); }
    void operator()(const BreakerRejections& e) { listener.OnRejections(e); }
    void operator()(const BreakerSlowCall& e) { listener.OnSlowCall(e); }
    void operator()(const BreakerThreshold& e) { listener.OnThreshold(e); }
    void operator()(const BreakerEventsDropped& e) {
      listener.OnEventsDropped(e);
    }
  };
  if (auto* notice = std::get_if<BreakerEventsDropped>(&event)) {
    notice->wall_time = environment_.WallNow();
  } else if (auto* rejections = std::get_if<BreakerRejections>(&event)) {
    rejections->wall_time = environment_.WallNow();
  }
  if (!CallUserCode([&] { std::visit(Visitor{listener_}, event); })) {
    failed_.fetch_add(1, std::memory_order_relaxed);
  }
}

void EventQueue::StopNotifying() {
  {
    MutexLock lock(mutex_);
    if (state_ != State::kNotifying ||
        notifier_ != std::this_thread::get_id()) {
      return;
    }
    state_ = events_.empty() ? State::kIdle : State::kHandedOver;
    if (state_ == State::kIdle) return;
  }
  HandOver();
}

void EventQueue::HandOver() {
  environment_.Run([self = shared_from_this()] { self->DeliverAll(); });
}

void EventQueue::Close() {
  Entries dropped;
  MutexLock lock(mutex_);
  closed_ = true;
  dropped.swap(events_);
  notice_ = nullptr;
  unclaimed_.store(false, std::memory_order_relaxed);
  if (notifier_ == std::this_thread::get_id()) return;
  const auto is_over = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return state_ != State::kNotifying;
  };
  mutex_.Await(absl::Condition(&is_over));
}

}  // namespace grpc_breaker::internal
