#include "grpc_breaker/call_stats.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "grpc_breaker/stats/latency_buckets.h"

namespace grpc_breaker {

uint64_t LatencyDistribution::count() const {
  return std::accumulate(counts_.begin(), counts_.end(), uint64_t{0});
}

std::optional<absl::Duration> LatencyDistribution::Quantile(
    double quantile) const {
  const uint64_t total = count();
  if (total == 0) return std::nullopt;
  const double rank = std::ceil(quantile * static_cast<double>(total));
  const auto wanted = static_cast<uint64_t>(std::max(rank, 1.0));
  uint64_t seen = 0;
  for (const internal::LatencySegment& segment : internal::kSegmentTable) {
    for (size_t i = 0; i < segment.buckets; ++i) {
      seen += counts_[segment.first + i];
      if (seen >= wanted) {
        return absl::Nanoseconds(segment.EndOf(i) - segment.width_ns / 2);
      }
    }
  }
  // More than there are: `quantile` was rounded up.
  return absl::Nanoseconds(internal::kSegmentTable.back().EndOf(
      internal::kSegmentTable.back().buckets - 1));
}

uint64_t LatencyDistribution::CountUpTo(absl::Duration bound) const {
  const int64_t bound_ns = absl::ToInt64Nanoseconds(bound);
  uint64_t count = 0;
  for (const internal::LatencySegment& segment : internal::kSegmentTable) {
    for (size_t i = 0; i < segment.buckets; ++i) {
      if (segment.EndOf(i) > bound_ns) return count;
      count += counts_[segment.first + i];
    }
  }
  return count;
}

LatencyDistribution& LatencyDistribution::operator+=(
    const LatencyDistribution& other) {
  for (size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  sum_ += other.sum_;
  return *this;
}

double RecentCalls::calls_per_second() const {
  return static_cast<double>(calls) /
         std::max(absl::ToDoubleSeconds(window), 1.0);
}

}  // namespace grpc_breaker
