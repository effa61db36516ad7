#ifndef GRPC_BREAKER_BREAKER_MANUAL_CONTROL_H_
#define GRPC_BREAKER_BREAKER_MANUAL_CONTROL_H_

// The manual state of a breaker, while one is set, and the timer that ends it.
//
// It only remembers; the breaker makes the changes of state, and calls Set()
// and Clear() under its own lock, so that both agree.
//
// Thread-safe.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/breaker/event_queue.h"
#include "grpc_breaker/breaker/nanoseconds.h"
#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/environment.h"

namespace grpc_breaker::internal {

// Of a reason and of an actor.
inline constexpr size_t kMaxManualTextBytes = 256;
// Of a note, which may have both.
inline constexpr size_t kMaxNoteBytes = 600;

// InvalidArgument, naming the field, for a state that cannot be set.
absl::Status ValidateManualState(const ManualState& manual);

class ManualControl {
 public:
  // Ends the manual state if its time is over. It runs on a thread of the
  // environment, and calls no listener; the events of the queue that it
  // returns, which may be null, are delivered after it.
  using EndIfOver = std::function<std::shared_ptr<EventQueue>()>;

  ManualControl() = default;
  ManualControl(const ManualControl&) = delete;
  ManualControl& operator=(const ManualControl&) = delete;

  // kNeverNs if it has no end, and if no state is set. Relaxed order: the state
  // word of the breaker, which is stored later, publishes it.
  int64_t ends_ns() const { return ends_ns_.load(std::memory_order_relaxed); }

  void Set(ManualState manual, int64_t ends_ns) ABSL_LOCKS_EXCLUDED(mutex_);
  void Clear() ABSL_LOCKS_EXCLUDED(mutex_);

  bool is_set() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Nothing if none is set; time_to_live is what is left of it.
  std::optional<ManualState> Get(int64_t now_ns) const
      ABSL_LOCKS_EXCLUDED(mutex_);

  // After Set() and Clear(), with no lock held: makes the timer agree with the
  // end of the state. `end_if_over` is the same each time.
  void UpdateTimer(Environment& environment, EndIfOver end_if_over)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits for an `end_if_over` that is running; none runs after this. Leaves a
  // timer that does nothing: an attempt that lost may be the last to hold the
  // breaker, when the application has destroyed the environment with the rest.
  void Mute() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  class Alarm;

  std::atomic<int64_t> ends_ns_{kNeverNs};  // Written under the mutex.
  mutable absl::Mutex mutex_;
  std::unique_ptr<const ManualState> manual_ ABSL_GUARDED_BY(mutex_);
  // Made for the first state that has an end.
  std::shared_ptr<Alarm> alarm_ ABSL_GUARDED_BY(mutex_);
  Environment::TimerId timer_ ABSL_GUARDED_BY(mutex_) = Environment::kNoTimer;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_MANUAL_CONTROL_H_
