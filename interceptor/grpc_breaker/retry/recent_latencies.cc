#include "grpc_breaker/retry/recent_latencies.h"

#include <algorithm>
#include <cmath>
#include <memory>

namespace grpc_breaker::internal {

RecentLatencies::~RecentLatencies() {
  delete window_.load(std::memory_order_acquire);
}

void RecentLatencies::Record(absl::Duration took, MonotonicTime now) {
  const int64_t number = HalfAt(now);
  Half& half = window()[static_cast<size_t>(number & 1)];
  int64_t seen = half.number.load(std::memory_order_relaxed);
  if (seen > number) return;  // It was longer under way than a window lasts.
  if (seen < number && half.number.compare_exchange_strong(
                           seen, number, std::memory_order_relaxed)) {
    for (std::atomic<uint32_t>& count : half.counts) {
      count.store(0, std::memory_order_relaxed);
    }
  }
  half.counts[BucketOf(took)].fetch_add(1, std::memory_order_relaxed);
}

std::optional<absl::Duration> RecentLatencies::Quantile(
    double quantile, MonotonicTime now) const {
  const Window* window = window_.load(std::memory_order_acquire);
  if (window == nullptr) return std::nullopt;
  std::array<uint64_t, kBuckets> counts{};
  uint64_t total = 0;
  for (const Half& half : *window) {
    if (half.number.load(std::memory_order_relaxed) < HalfAt(now) - 1) continue;
    for (size_t i = 0; i < kBuckets; ++i) {
      const uint64_t count = half.counts[i].load(std::memory_order_relaxed);
      counts[i] += count;
      total += count;
    }
  }
  if (total < kLeastCount) return std::nullopt;
  const double rank = std::ceil(quantile * static_cast<double>(total));
  auto left = static_cast<int64_t>(std::max(rank, 1.0));
  size_t bucket = 0;
  for (; bucket < kBuckets - 1; ++bucket) {
    left -= static_cast<int64_t>(counts[bucket]);
    if (left <= 0) break;
  }
  return MiddleOf(bucket);
}

size_t RecentLatencies::BucketOf(absl::Duration took) {
  const double us = absl::ToDoubleMicroseconds(took);
  if (!(us > 1)) return 0;
  const double bucket = std::floor(std::log2(us) * kBucketsPerOctave);
  return static_cast<size_t>(
      std::min(bucket, static_cast<double>(kBuckets - 1)));
}

absl::Duration RecentLatencies::MiddleOf(size_t bucket) {
  return absl::Microseconds(
      std::exp2((static_cast<double>(bucket) + 0.5) / kBucketsPerOctave));
}

int64_t RecentLatencies::HalfAt(MonotonicTime time) {
  return time.time_since_epoch().count() /
         absl::ToInt64Nanoseconds(kHalfWindow);
}

RecentLatencies::Window& RecentLatencies::window() {
  Window* window = window_.load(std::memory_order_acquire);
  if (window != nullptr) return *window;
  auto made = std::make_unique<Window>();
  if (window_.compare_exchange_strong(window, made.get(),
                                      std::memory_order_acq_rel)) {
    return *made.release();
  }
  return *window;
}

}  // namespace grpc_breaker::internal
