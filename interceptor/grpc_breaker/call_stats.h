#ifndef GRPC_BREAKER_CALL_STATS_H_
#define GRPC_BREAKER_CALL_STATS_H_

// What the calls of one method did: how they ended, how long they took, what
// attempts, retries and hedges it took, and how the last minute was.
//
// Every call of the method counts when it ends, whatever its kind; health
// checks and reflection, which pass by (Registry::Exempts), do not. A call
// takes from its first operation until its status is there, a fallback
// included; so does a stream, which may be hours. A stream whose application
// lets go of it without asking for its status has ended with CANCELLED then; a
// corked one that ends before its first message does not count at all.
//
// Thread-compatible: values.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/rejection.h"
#include "grpc_breaker/stop_reason.h"

namespace grpc_breaker {

namespace internal {
class LatencyHistogram;
}  // namespace internal

// How many durations there were of which length, in 256 buckets: those of
// (10 us, 1000 s], cut by the series 1, 2, 5, 10, ... into segments of 10, 12
// and 10 buckets of equal width (1.0, 1.1, ... 2.0, 2.25, ... 5.0, 5.5, ...).
// No bucket is wider than an eighth of its lower bound, so that a quantile is
// right to 6.25 %. What is shorter counts as 10 us, what is longer as 1000 s.
class GRPC_BREAKER_EXPORT LatencyDistribution {
 public:
  static constexpr size_t kDecades = 8;
  static constexpr size_t kBuckets = 32 * kDecades;

  uint64_t count() const;
  // Whatever the buckets: to a nanosecond for each duration of up to 10 ms, to
  // a microsecond, rounded down, for each longer one.
  absl::Duration sum() const { return sum_; }

  // Of those counted, the part `quantile`, in [0, 1], took no longer. Nothing
  // if there were none.
  std::optional<absl::Duration> Quantile(double quantile) const;

  // How many took no longer than `bound`: exact if that is the bound of a
  // bucket, such as 1, 2.5 or 5 times a power of ten. Else those of the bucket
  // in which it is are left out.
  uint64_t CountUpTo(absl::Duration bound) const;

  LatencyDistribution& operator+=(const LatencyDistribution& other);

 private:
  friend class internal::LatencyHistogram;

  std::array<uint64_t, kBuckets> counts_{};
  absl::Duration sum_;
};

// Since the method was called for the first time. Counts that belong together
// may miss each other's latest additions, but none ever goes down.
struct GRPC_BREAKER_EXPORT CallTotals {
  // Those that ended in one way.
  struct Series {
    absl::StatusCode code = absl::StatusCode::kOk;
    ErrorCategory category = ErrorCategory::kNone;
    // A call that the breaker refused before its first attempt.
    bool rejected = false;
    LatencyDistribution latency;
  };

  // By what the application got; in no particular order, one of each kind. OK
  // without a reply that parses is UNIMPLEMENTED.
  std::vector<Series> calls;
  // By what the server, or the way to it, answered. The attempts of a call that
  // is hedged which lost are CANCELLED, with no category.
  std::vector<Series> attempts;

  // Calls by why they made no further attempt: those of one attempt or none,
  // and those of more. Index: StopReason.
  std::array<uint64_t, kStopReasons> stopped_at_once{};
  std::array<uint64_t, kStopReasons> stopped_after_retries{};

  // Attempts beyond a call's first one: of calls that are not hedged, and of
  // those that are.
  uint64_t retries = 0;
  uint64_t hedges = 0;
  // Of the hedges, those that were answered first, and those that another
  // attempt made pointless. The others failed.
  uint64_t hedges_won = 0;
  uint64_t hedges_lost = 0;

  // Attempts that the breaker refused. Index: RejectionReason.
  std::array<uint64_t, kRejectionReasons> rejections{};
  // Calls that a fallback answered with OK.
  uint64_t fallbacks = 0;
};

// The same, in short.
struct CallCounts {
  uint64_t calls = 0;
  uint64_t failures = 0;  // Those whose code is not OK.
};

// Of the last minute, or as much of it as there is.
struct GRPC_BREAKER_EXPORT RecentCalls {
  // The time of which the calls are counted, up to now: 50 to 60 seconds; less
  // if the method is younger.
  absl::Duration window;

  uint64_t calls = 0;
  // Those whose code is not OK.
  uint64_t failures = 0;
  // Those that the breaker refused before their first attempt, whatever a
  // fallback made of them.
  uint64_t rejected = 0;

  // How long they took, without the rejected ones, which say nothing of the
  // server. Unset if there were none.
  std::optional<absl::Duration> p50;
  std::optional<absl::Duration> p95;
  std::optional<absl::Duration> p99;

  // calls / window; of a method younger than a second, as if it were that old.
  double calls_per_second() const;
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_CALL_STATS_H_
