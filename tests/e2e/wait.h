#ifndef GRPC_BREAKER_TESTS_E2E_WAIT_H_
#define GRPC_BREAKER_TESTS_E2E_WAIT_H_

// Waiting for a condition, with a watchdog: what takes longer than that hangs,
// and a test program that hangs ends at once with a message that says on what.
// By the monotonic clock: some tests step the other one.
//
// Thread-safe.

#include <chrono>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpc_breaker/mutex_lock.h"

namespace grpc_breaker::e2e {

// Far beyond what a loaded machine needs.
constexpr absl::Duration kWatchdog = absl::Seconds(30);

class Watchdog {
 public:
  bool barks() const { return std::chrono::steady_clock::now() > end_; }

 private:
  const std::chrono::steady_clock::time_point end_ =
      std::chrono::steady_clock::now() + absl::ToChronoSeconds(kWatchdog);
};

// Ends the process: the objects that a hanging call uses cannot be destroyed.
[[noreturn]] void Hangs(absl::string_view what);

// Polls a condition that has no notification of its own.
void WaitUntil(absl::FunctionRef<bool()> condition, absl::string_view what);

// A value that one thread puts and another one takes.
template <typename T>
class Slot {
 public:
  void Put(T value) ABSL_LOCKS_EXCLUDED(mutex_) {
    internal::MutexLock lock(mutex_);
    value_ = std::move(value);
  }

  bool has_value() const ABSL_LOCKS_EXCLUDED(mutex_) {
    internal::MutexLock lock(mutex_);
    return value_.has_value();
  }

  // Waits for a value and empties the slot.
  T Take(absl::string_view what) ABSL_LOCKS_EXCLUDED(mutex_) {
    internal::MutexLock lock(mutex_);
    const auto full = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return value_.has_value();
    };
    const Watchdog watchdog;
    while (!mutex_.AwaitWithTimeout(absl::Condition(&full),
                                    absl::Milliseconds(100))) {
      if (watchdog.barks()) Hangs(what);
    }
    T value = std::move(*value_);
    value_.reset();
    return value;
  }

 private:
  mutable absl::Mutex mutex_;
  std::optional<T> value_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace grpc_breaker::e2e

#endif  // GRPC_BREAKER_TESTS_E2E_WAIT_H_
