#ifndef GRPC_BREAKER_STATS_CALL_RECORDS_H_
#define GRPC_BREAKER_STATS_CALL_RECORDS_H_

// Where the calls of one method record what became of them; see call_stats.h.
//
// What most calls do is to succeed at their first attempt: then call and
// attempt are one duration, which is counted once, for both. Everything else is
// counted by kind, code and category, in a list of those that were seen.
//
// Memory: about 600 bytes, and a histogram for each kind that was seen.
//
// Memory order: relaxed, as in LatencyHistogram; an entry of the list is
// published by a release store, and none is ever taken out.
//
// Thread-safe. Recording is wait-free, but for the allocation of what is seen
// for the first time.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpc_breaker/call_stats.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/rejection.h"
#include "grpc_breaker/stats/latency_histogram.h"
#include "grpc_breaker/stop_reason.h"

namespace grpc_breaker::internal {

// How a call ended that did not succeed at once.
struct EndedCall {
  absl::StatusCode code = absl::StatusCode::kOk;
  ErrorCategory category = ErrorCategory::kNone;
  StopReason stopped = StopReason::kSucceeded;
  size_t attempts = 0;
  absl::Duration took;

  bool rejected() const {
    return attempts == 0 && stopped == StopReason::kBreakerOpen;
  }
};

class GRPC_BREAKER_EXPORT CallRecords {
 public:
  // Fewer attempts say nothing of how long they take.
  static constexpr uint64_t kLeastCount = 10;

  // `since`: when the method was made.
  explicit CallRecords(MonotonicTime since) : since_(since) {}
  ~CallRecords();
  CallRecords(const CallRecords&) = delete;
  CallRecords& operator=(const CallRecords&) = delete;

  // A call whose only attempt succeeded: that attempt, too.
  void AddSuccessAtOnce(absl::Duration took, MonotonicTime now) {
    at_once_.Record(took, now);
  }
  void AddCall(const EndedCall& call, MonotonicTime now);
  void AddAttempt(absl::StatusCode code, ErrorCategory category,
                  absl::Duration took, MonotonicTime now);
  // One that another one of its call made pointless. `overtaken`: a first one,
  // by one that succeeded, so that it would have taken longer still.
  void AddLostAttempt(bool overtaken, absl::Duration took, MonotonicTime now);

  void AddRetry() { Increment(retries_); }
  void AddHedge() { Increment(hedges_); }
  void AddWonHedge() { Increment(hedges_won_); }
  void AddLostHedge() { Increment(hedges_lost_); }
  void AddFallback() { Increment(fallbacks_); }
  void AddRejection(RejectionReason reason) {
    Increment(rejections_[static_cast<size_t>(reason)]);
  }

  CallTotals Totals() const;
  CallCounts Counts() const;
  RecentCalls Recent(MonotonicTime now) const;

  // Of the attempts of the last minute that succeeded, the part `quantile` took
  // no longer. Those that were overtaken count, as long as they were let run:
  // without them quantiles would sink from hedge to hedge. Nothing if there
  // were too few.
  std::optional<absl::Duration> AttemptQuantile(double quantile,
                                                MonotonicTime now) const;

 private:
  enum class Kind : uint8_t {
    kCall,
    kRejectedCall,
    kAttempt,
    kOvertakenAttempt,
    kLostAttempt,
  };

  // Those that ended in one way.
  struct Series {
    const Kind kind;
    const absl::StatusCode code;
    const ErrorCategory category;
    LatencyHistogram latency{};
    Series* next = nullptr;  // Fixed before the entry is published.

    bool IsOfCalls() const {
      return kind == Kind::kCall || kind == Kind::kRejectedCall;
    }
    bool Is(Kind a, absl::StatusCode b, ErrorCategory c) const {
      return kind == a && code == b && category == c;
    }
  };

  using Counter = std::atomic<uint64_t>;
  static void Increment(Counter& counter) {
    counter.fetch_add(1, std::memory_order_relaxed);
  }

  void Record(Kind kind, absl::StatusCode code, ErrorCategory category,
              absl::Duration took, MonotonicTime now);
  Series& FindOrAdd(Kind kind, absl::StatusCode code, ErrorCategory category);

  const MonotonicTime since_;
  LatencyHistogram at_once_;
  std::atomic<Series*> series_{nullptr};
  std::array<Counter, kStopReasons> stopped_at_once_{};
  std::array<Counter, kStopReasons> stopped_after_retries_{};
  Counter retries_{0};
  Counter hedges_{0};
  Counter hedges_won_{0};
  Counter hedges_lost_{0};
  Counter fallbacks_{0};
  std::array<Counter, kRejectionReasons> rejections_{};
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_STATS_CALL_RECORDS_H_
