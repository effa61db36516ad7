#ifndef GRPC_BREAKER_RETRY_RECENT_LATENCIES_H_
#define GRPC_BREAKER_RETRY_RECENT_LATENCIES_H_

// How long the successful attempts of one method took lately: of the last one
// to two half windows, a histogram whose buckets grow by an eighth of a power
// of two, so that a quantile is right to some 6 %, from 1 us to 18 minutes.
//
// Each half of the window has a set of counts, used for every other half. The
// first attempt of a half empties its set; what other threads count at that
// moment may be lost. Relaxed order: the counts guard no other data.
//
// Thread-safe.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

class GRPC_BREAKER_EXPORT RecentLatencies {
 public:
  static constexpr absl::Duration kHalfWindow = absl::Seconds(30);
  // Fewer say nothing.
  static constexpr uint64_t kLeastCount = 10;

  RecentLatencies() = default;
  ~RecentLatencies();
  RecentLatencies(const RecentLatencies&) = delete;
  RecentLatencies& operator=(const RecentLatencies&) = delete;

  void Record(absl::Duration took, MonotonicTime now);

  // Of which the part `quantile`, in [0, 1], took no longer. Nothing if there
  // were too few.
  std::optional<absl::Duration> Quantile(double quantile,
                                         MonotonicTime now) const;

 private:
  static constexpr int kBucketsPerOctave = 8;
  static constexpr int kOctaves = 30;
  static constexpr size_t kBuckets = kOctaves * kBucketsPerOctave;

  struct Half {
    std::atomic<int64_t> number{-1};
    std::array<std::atomic<uint32_t>, kBuckets> counts{};
  };
  using Window = std::array<Half, 2>;

  static size_t BucketOf(absl::Duration took);
  static absl::Duration MiddleOf(size_t bucket);
  static int64_t HalfAt(MonotonicTime time);
  Window& window();

  // Made at the first record: many methods are never called.
  std::atomic<Window*> window_{nullptr};
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RETRY_RECENT_LATENCIES_H_
