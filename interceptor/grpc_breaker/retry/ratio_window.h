#ifndef GRPC_BREAKER_RETRY_RATIO_WINDOW_H_
#define GRPC_BREAKER_RETRY_RATIO_WINDOW_H_

// How many calls began and how many retries were allowed in the last `window`
// of time, and whether there may be one more.
//
// Time is cut into slots of a sixteenth of the window, each a counter with the
// number of the slot that it counts for. Old ones hence need no sweeping:
// readers skip them and writers overwrite them. Calls are counted without a
// lock; retries, which are few unless something is wrong, under one, so that to
// ask and to take is one step.
//
// Thread-safe.

#include <array>
#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/retry_options.h"

namespace grpc_breaker::internal {

class GRPC_BREAKER_EXPORT RatioWindow {
 public:
  RatioWindow() = default;  // Turned off.
  RatioWindow(const RatioWindow&) = delete;
  RatioWindow& operator=(const RatioWindow&) = delete;

  // What was counted stays, unless the window's length changes.
  void Reconfigure(const RetryBudgetOptions& options)
      ABSL_LOCKS_EXCLUDED(mutex_);

  bool on() const { return slot_ns_.load(std::memory_order_relaxed) != 0; }

  // These count nothing, and allow everything, while it is turned off.
  void AddCall(MonotonicTime now);
  bool TakeRetry(MonotonicTime now) ABSL_LOCKS_EXCLUDED(mutex_);

  int64_t RetriesLeft(MonotonicTime now) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // A power of two: the ring goes on where the numbers of slots wrap.
  static constexpr uint32_t kSlots = 16;
  // The number of a slot of time in the upper half, the count in the lower one.
  using Ring = std::array<std::atomic<uint64_t>, kSlots>;

  static void Add(Ring& ring, uint32_t number);
  static int64_t Sum(const Ring& ring, uint32_t number);

  // The slot that retries of `now` belong to: never one before that of an
  // earlier caller, whose clock may have been read later.
  uint32_t Advance(MonotonicTime now, int64_t slot_ns)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int64_t Left(uint32_t number) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::atomic<int64_t> slot_ns_{0};  // Written under mutex_; 0: turned off.
  Ring calls_{};

  absl::Mutex mutex_;
  Ring retries_ ABSL_GUARDED_BY(mutex_){};
  uint32_t latest_ ABSL_GUARDED_BY(mutex_) = 0;
  bool started_ ABSL_GUARDED_BY(mutex_) = false;  // Whether `latest_` counts.
  double ratio_ ABSL_GUARDED_BY(mutex_) = 0;
  double floor_ ABSL_GUARDED_BY(mutex_) = 0;  // Retries in a whole window.
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RETRY_RATIO_WINDOW_H_
