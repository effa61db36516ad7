#ifndef GRPC_BREAKER_STATS_LATENCY_BUCKETS_H_
#define GRPC_BREAKER_STATS_LATENCY_BUCKETS_H_

// The buckets of a LatencyDistribution. A segment begins at 1, 2 or 5 times a
// power of ten, and its buckets are of one width, so that finding one takes a
// division and no logarithm. The lower bound of a bucket is outside of it.
//
// Thread-safe: pure functions.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/numeric/bits.h"
#include "grpc_breaker/call_stats.h"

namespace grpc_breaker::internal {

struct LatencySegment {
  int64_t begin_ns;
  int64_t width_ns;  // Of a bucket.
  size_t buckets;
  size_t first;  // Of its buckets, among all.

  // The upper bound of the bucket.
  constexpr int64_t EndOf(size_t bucket) const {
    return begin_ns + static_cast<int64_t>(bucket + 1) * width_ns;
  }
};

inline constexpr size_t kLatencySegments = 3 * LatencyDistribution::kDecades;
inline constexpr size_t kMostBucketsPerSegment = 12;

constexpr std::array<LatencySegment, kLatencySegments> MakeLatencySegments() {
  std::array<LatencySegment, kLatencySegments> segments{};
  int64_t power = 10'000;
  size_t first = 0;
  for (size_t i = 0; i < kLatencySegments; i += 3) {
    segments[i] = {power, power / 10, 10, first};
    segments[i + 1] = {2 * power, power / 4, 12, first + 10};
    segments[i + 2] = {5 * power, power / 2, 10, first + 22};
    power *= 10;
    first += 32;
  }
  return segments;
}
inline constexpr std::array<LatencySegment, kLatencySegments> kSegmentTable =
    MakeLatencySegments();

// By the number of bits of a duration, the last segment that begins no later
// than the least such duration. The next one may fit as well, no other.
constexpr std::array<uint8_t, 65> MakeSegmentsByBits() {
  std::array<uint8_t, 65> table{};
  for (size_t bits = 1; bits <= 64; ++bits) {
    const uint64_t least = uint64_t{1} << (bits - 1);
    size_t segment = 0;
    while (segment + 1 < kLatencySegments &&
           static_cast<uint64_t>(kSegmentTable[segment + 1].begin_ns) <=
               least) {
      ++segment;
    }
    table[bits] = static_cast<uint8_t>(segment);
  }
  return table;
}
inline constexpr std::array<uint8_t, 65> kSegmentsByBits = MakeSegmentsByBits();

struct LatencyBucket {
  size_t segment;
  size_t index;  // Within it.
};

inline LatencyBucket LatencyBucketOf(int64_t ns) {
  // Less by one, for bounds that are inside at the upper end.
  const uint64_t value = ns > 0 ? static_cast<uint64_t>(ns - 1) : 0;
  size_t segment = kSegmentsByBits[static_cast<size_t>(absl::bit_width(value))];
  if (segment + 1 < kLatencySegments &&
      value >= static_cast<uint64_t>(kSegmentTable[segment + 1].begin_ns)) {
    ++segment;
  }
  const LatencySegment& found = kSegmentTable[segment];
  const auto begin = static_cast<uint64_t>(found.begin_ns);
  if (value < begin) return {segment, 0};
  const uint64_t index =
      (value - begin) / static_cast<uint64_t>(found.width_ns);
  return {segment, std::min<size_t>(index, found.buckets - 1)};
}

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_STATS_LATENCY_BUCKETS_H_
