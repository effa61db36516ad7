#include "grpc_breaker/retry/ratio_window.h"

#include <algorithm>
#include <cmath>

#include "absl/time/time.h"
#include "grpc_breaker/mutex_lock.h"

namespace grpc_breaker::internal {
namespace {

uint32_t SlotNumber(MonotonicTime now, int64_t slot_ns) {
  return static_cast<uint32_t>(now.time_since_epoch().count() / slot_ns);
}

uint32_t NumberOf(uint64_t word) { return static_cast<uint32_t>(word >> 32); }
uint32_t CountOf(uint64_t word) { return static_cast<uint32_t>(word); }

}  // namespace

void RatioWindow::Reconfigure(const RetryBudgetOptions& options) {
  MutexLock lock(mutex_);
  ratio_ = options.ratio;
  const int64_t slot_ns =
      ratio_ == 0 ? 0 : absl::ToInt64Nanoseconds(options.window) / kSlots;
  floor_ = slot_ns == 0 ? 0
                        : options.min_retries_per_second *
                              absl::ToDoubleSeconds(options.window);
  if (slot_ns == slot_ns_.load(std::memory_order_relaxed)) return;
  slot_ns_.store(slot_ns, std::memory_order_relaxed);
  // A thread that still goes by the old length may count a call under a number
  // that means nothing now; it is overwritten as an old one would be.
  for (Ring* ring : {&calls_, &retries_}) {
    for (auto& slot : *ring) slot.store(0, std::memory_order_relaxed);
  }
  started_ = false;
}

void RatioWindow::AddCall(MonotonicTime now) {
  const int64_t slot_ns = slot_ns_.load(std::memory_order_relaxed);
  if (slot_ns != 0) Add(calls_, SlotNumber(now, slot_ns));
}

bool RatioWindow::TakeRetry(MonotonicTime now) {
  MutexLock lock(mutex_);
  const int64_t slot_ns = slot_ns_.load(std::memory_order_relaxed);
  if (slot_ns == 0) return true;
  const uint32_t number = Advance(now, slot_ns);
  if (Left(number) < 1) return false;
  Add(retries_, number);
  return true;
}

int64_t RatioWindow::RetriesLeft(MonotonicTime now) {
  MutexLock lock(mutex_);
  const int64_t slot_ns = slot_ns_.load(std::memory_order_relaxed);
  return slot_ns == 0 ? 0 : Left(Advance(now, slot_ns));
}

void RatioWindow::Add(Ring& ring, uint32_t number) {
  std::atomic<uint64_t>& slot = ring[number % kSlots];
  uint64_t before = slot.load(std::memory_order_relaxed);
  uint64_t after;
  do {
    after = before + 1;
    if (NumberOf(before) == number) {
      if (CountOf(after) == 0) return;  // Full.
    } else if (NumberOf(before) - number == kSlots) {
      return;  // The ring has come round while this thread slept.
    } else {
      after = uint64_t{number} << 32 | 1;
    }
  } while (
      !slot.compare_exchange_weak(before, after, std::memory_order_relaxed));
}

int64_t RatioWindow::Sum(const Ring& ring, uint32_t number) {
  int64_t sum = 0;
  for (const auto& slot : ring) {
    const uint64_t word = slot.load(std::memory_order_relaxed);
    if (number - NumberOf(word) < kSlots) sum += CountOf(word);
  }
  return sum;
}

uint32_t RatioWindow::Advance(MonotonicTime now, int64_t slot_ns) {
  const uint32_t number = SlotNumber(now, slot_ns);
  if (!started_ || static_cast<int32_t>(number - latest_) > 0) latest_ = number;
  started_ = true;
  return latest_;
}

// The small term keeps 29 % of 100, which is 28.9999... in binary, at 29.
int64_t RatioWindow::Left(uint32_t number) const {
  const double allowed =
      std::max(ratio_ * static_cast<double>(Sum(calls_, number)), floor_);
  const auto whole = static_cast<int64_t>(std::floor(allowed + 1e-6));
  return std::max<int64_t>(whole - Sum(retries_, number), 0);
}

}  // namespace grpc_breaker::internal
