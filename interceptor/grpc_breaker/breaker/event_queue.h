#ifndef GRPC_BREAKER_BREAKER_EVENT_QUEUE_H_
#define GRPC_BREAKER_BREAKER_EVENT_QUEUE_H_

// Events on their way from a breaker to its listener: pushed in the order in
// which they were decided, possibly under the breaker's lock, and delivered one
// at a time and in that order after the lock is released.
//
// Lives in a shared_ptr, since a thread of the environment may come for events
// when the breaker is gone already.
//
// Thread-safe.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <thread>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

class GRPC_BREAKER_EXPORT EventQueue
    : public std::enable_shared_from_this<EventQueue> {
 public:
  using Event =
      std::variant<BreakerTransition, BreakerRejections, BreakerSlowCall,
                   BreakerThreshold, BreakerEventsDropped>;

  // Beyond that, the newest events that are no change of state are dropped, and
  // for a change of state the oldest ones that are none; only where all that
  // wait are changes of state, the oldest of them. The listener hears how many
  // were dropped, where the first of them would have been. The rejections of a
  // dropped event are added to the next one.
  static constexpr size_t kMostWaiting = 256;

  // Neither is used after Close().
  EventQueue(BreakerListener& listener, Environment& environment)
      : listener_(listener), environment_(environment) {}

  void Push(Event event) ABSL_LOCKS_EXCLUDED(mutex_);

  // After each Push(), by the same thread; no lock may be held. Calls the
  // listener for what this thread pushed, and only if nothing else waits or is
  // being delivered: no call pays for the events of others. What comes
  // meanwhile, from other threads or from the listener itself, is left to a
  // thread of the environment.
  void Deliver() ABSL_LOCKS_EXCLUDED(mutex_) {
    if (unclaimed_.load(std::memory_order_acquire)) DeliverOwn();
  }

  // Drops what waits: the listener is not called any more when this returns.
  // Waits for a call of the listener on another thread, but not for one on this
  // thread, from which Close() is then called.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

  // Since construction.
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
  // Whose listener threw.
  uint64_t failed() const { return failed_.load(std::memory_order_relaxed); }

 private:
  struct Entry {
    Event event;
    std::thread::id pushed_by;
  };
  using Entries = std::list<Entry>;
  enum class State : uint8_t {
    kIdle,
    kNotifying,
    kHandedOver,  // A thread of the environment will come.
  };
  class Notifying;

  void DeliverOwn() ABSL_LOCKS_EXCLUDED(mutex_);
  void DeliverAll() ABSL_LOCKS_EXCLUDED(mutex_);
  // Delivers the first event, if `only` pushed it or `only` is no thread. False
  // if there is none such; if the queue is empty, it becomes idle in one step
  // with finding that out.
  bool NotifyNext(std::thread::id only) ABSL_LOCKS_EXCLUDED(mutex_);
  void Notify(Event& event);
  void StopNotifying() ABSL_LOCKS_EXCLUDED(mutex_);
  void HandOver() ABSL_LOCKS_EXCLUDED(mutex_);

  // False if it is `event` that was dropped.
  bool MakeRoomFor(Event& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // `place`: where it is, or would have been.
  void Drop(Event& event, Entries::iterator place)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  BreakerListener& listener_;
  Environment& environment_;
  // Whether events wait for the thread that pushed them.
  std::atomic<bool> unclaimed_{false};
  std::atomic<uint64_t> dropped_{0};
  std::atomic<uint64_t> failed_{0};

  absl::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kIdle;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread::id notifier_ ABSL_GUARDED_BY(mutex_);  // While notifying.
  Entries events_ ABSL_GUARDED_BY(mutex_);
  // The BreakerEventsDropped among them, or null.
  BreakerEventsDropped* notice_ ABSL_GUARDED_BY(mutex_) = nullptr;
  uint64_t unreported_rejections_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_EVENT_QUEUE_H_
