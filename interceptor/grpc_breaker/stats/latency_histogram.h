#ifndef GRPC_BREAKER_STATS_LATENCY_HISTOGRAM_H_
#define GRPC_BREAKER_STATS_LATENCY_HISTOGRAM_H_

// Counts durations, since it was made and in the last minute.
//
// The counts only grow. Time is cut into slots of ten seconds; the first
// duration of a slot has the counts as they were copied, so that those of the
// last minute are the difference to the oldest copy that is young enough.
// Recording hence costs two additions, never clears anything and never loses a
// count: threads that record while a copy is made may count in the slot before.
//
// All threads add to the same counts. Even where they do nothing else that
// takes less than 0.1 us, and a call over a loopback interface 20 us and more:
// shards would save less than they take of memory.
//
// Memory: 256 bytes, and 400 for each segment in which a duration fell (see
// latency_buckets.h): most methods need two to five of the 24.
//
// Memory order: relaxed for the counts, which guard no other data. A copy is
// published by its number, as in a sequence lock: a reader who sees the same
// number before and after has read that copy. Only a thread that is stopped for
// ten seconds while it copies can make the last minute look emptier.
//
// Thread-safe. Recording is wait-free, but for the allocation of a segment.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"
#include "grpc_breaker/call_stats.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/stats/latency_buckets.h"

namespace grpc_breaker::internal {

class GRPC_BREAKER_EXPORT LatencyHistogram {
 public:
  static constexpr int64_t kSlotNs = 10'000'000'000;
  static constexpr size_t kSlots = 6;

  LatencyHistogram();
  ~LatencyHistogram();
  LatencyHistogram(const LatencyHistogram&) = delete;
  LatencyHistogram& operator=(const LatencyHistogram&) = delete;

  // Less than none counts as none, and more than 30 days as that many.
  void Record(absl::Duration took, MonotonicTime now);

  uint64_t Count() const;
  void AddTotalTo(LatencyDistribution* distribution) const;
  // Of the window that ends now. The sum is not known, and left as it is.
  void AddRecentTo(MonotonicTime now, LatencyDistribution* distribution) const;

  // When the window that ends now began: kSlots slots with the one under way.
  static MonotonicTime WindowBegin(MonotonicTime now);

 private:
  using Counts = std::array<std::atomic<uint64_t>, kMostBucketsPerSegment>;
  // The low halves: more than they hold are not counted in a minute.
  using Copy = std::array<std::atomic<uint32_t>, kMostBucketsPerSegment>;

  struct Segment {
    Counts counts{};
    std::atomic<int64_t> sum{0};  // See kFirstInMicroseconds.
    std::array<Copy, kSlots> copies{};
  };

  static constexpr int64_t kNoSlot = -1;

  void BeginSlot(int64_t slot);
  Segment& MakeSegment(size_t index);
  // The oldest copy since then; kNoSlot if there is none.
  int64_t OldestCopySince(int64_t slot) const;

  // The latest that has begun.
  std::atomic<int64_t> slot_{kNoSlot};
  // At the beginning of which slot each copy was made.
  std::array<std::atomic<int64_t>, kSlots> copied_;
  std::array<std::atomic<Segment*>, kLatencySegments> segments_{};
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_STATS_LATENCY_HISTOGRAM_H_
