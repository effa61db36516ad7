#include "grpc_breaker/stats/call_records.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace grpc_breaker::internal {
namespace {

// There are codes from 0 to 16; a server may send any number.
absl::StatusCode Canonical(absl::StatusCode code) {
  const int number = static_cast<int>(code);
  return number >= 0 && number <= 16 ? code : absl::StatusCode::kUnknown;
}

template <size_t n>
void Load(const std::array<std::atomic<uint64_t>, n>& from,
          std::array<uint64_t, n>* to) {
  for (size_t i = 0; i < n; ++i) {
    (*to)[i] = from[i].load(std::memory_order_relaxed);
  }
}

LatencyDistribution& LatencyOf(std::vector<CallTotals::Series>& all,
                               absl::StatusCode code, ErrorCategory category,
                               bool rejected) {
  for (CallTotals::Series& series : all) {
    if (series.code == code && series.category == category &&
        series.rejected == rejected) {
      return series.latency;
    }
  }
  all.push_back({code, category, rejected, {}});
  return all.back().latency;
}

}  // namespace

CallRecords::~CallRecords() {
  Series* series = series_.load(std::memory_order_acquire);
  while (series != nullptr) delete std::exchange(series, series->next);
}

void CallRecords::AddCall(const EndedCall& call, MonotonicTime now) {
  auto& stopped = call.attempts > 1 ? stopped_after_retries_ : stopped_at_once_;
  Increment(stopped[static_cast<size_t>(call.stopped)]);
  Record(call.rejected() ? Kind::kRejectedCall : Kind::kCall, call.code,
         call.category, call.took, now);
}

void CallRecords::AddAttempt(absl::StatusCode code, ErrorCategory category,
                             absl::Duration took, MonotonicTime now) {
  Record(Kind::kAttempt, code, category, took, now);
}

void CallRecords::AddLostAttempt(bool overtaken, absl::Duration took,
                                 MonotonicTime now) {
  Record(overtaken ? Kind::kOvertakenAttempt : Kind::kLostAttempt,
         absl::StatusCode::kCancelled, ErrorCategory::kNone, took, now);
}

void CallRecords::Record(Kind kind, absl::StatusCode code,
                         ErrorCategory category, absl::Duration took,
                         MonotonicTime now) {
  FindOrAdd(kind, Canonical(code), category).latency.Record(took, now);
}

// Wait-free, since only a few entries can ever be added.
CallRecords::Series& CallRecords::FindOrAdd(Kind kind, absl::StatusCode code,
                                            ErrorCategory category) {
  Series* head = series_.load(std::memory_order_acquire);
  const Series* searched = nullptr;  // From here on there is none.
  std::unique_ptr<Series> made;
  for (;;) {
    for (Series* series = head; series != searched; series = series->next) {
      if (series->Is(kind, code, category)) return *series;
    }
    searched = head;
    if (made == nullptr) made.reset(new Series{kind, code, category});
    made->next = head;
    if (series_.compare_exchange_weak(head, made.get(),
                                      std::memory_order_acq_rel)) {
      return *made.release();
    }
  }
}

CallTotals CallRecords::Totals() const {
  CallTotals totals;
  LatencyDistribution at_once;
  at_once_.AddTotalTo(&at_once);
  const uint64_t at_once_count = at_once.count();
  if (at_once_count > 0) {
    for (auto* all : {&totals.calls, &totals.attempts}) {
      LatencyOf(*all, absl::StatusCode::kOk, ErrorCategory::kNone,
                /*rejected=*/false) = at_once;
    }
  }
  for (const Series* series = series_.load(std::memory_order_acquire);
       series != nullptr; series = series->next) {
    const bool rejected = series->kind == Kind::kRejectedCall;
    auto& all = series->IsOfCalls() ? totals.calls : totals.attempts;
    series->latency.AddTotalTo(
        &LatencyOf(all, series->code, series->category, rejected));
  }
  Load(stopped_at_once_, &totals.stopped_at_once);
  totals.stopped_at_once[static_cast<size_t>(StopReason::kSucceeded)] +=
      at_once_count;
  Load(stopped_after_retries_, &totals.stopped_after_retries);
  totals.retries = retries_.load(std::memory_order_relaxed);
  totals.hedges = hedges_.load(std::memory_order_relaxed);
  totals.hedges_won = hedges_won_.load(std::memory_order_relaxed);
  totals.hedges_lost = hedges_lost_.load(std::memory_order_relaxed);
  totals.fallbacks = fallbacks_.load(std::memory_order_relaxed);
  Load(rejections_, &totals.rejections);
  return totals;
}

CallCounts CallRecords::Counts() const {
  CallCounts counts;
  counts.calls = at_once_.Count();
  for (const Series* series = series_.load(std::memory_order_acquire);
       series != nullptr; series = series->next) {
    if (!series->IsOfCalls()) continue;
    const uint64_t count = series->latency.Count();
    counts.calls += count;
    if (series->code != absl::StatusCode::kOk) counts.failures += count;
  }
  return counts;
}

RecentCalls CallRecords::Recent(MonotonicTime now) const {
  RecentCalls recent;
  const MonotonicTime begin =
      std::max(LatencyHistogram::WindowBegin(now), since_);
  recent.window = std::max(absl::FromChrono(now - begin), absl::ZeroDuration());

  LatencyDistribution latency;
  at_once_.AddRecentTo(now, &latency);
  for (const Series* series = series_.load(std::memory_order_acquire);
       series != nullptr; series = series->next) {
    const bool rejected = series->kind == Kind::kRejectedCall;
    if (!series->IsOfCalls()) continue;
    LatencyDistribution of_series;
    series->latency.AddRecentTo(now, &of_series);
    const uint64_t count = of_series.count();
    if (series->code != absl::StatusCode::kOk) recent.failures += count;
    if (rejected) {
      recent.rejected += count;
    } else {
      latency += of_series;
    }
  }
  recent.calls = latency.count() + recent.rejected;
  recent.p50 = latency.Quantile(0.5);
  recent.p95 = latency.Quantile(0.95);
  recent.p99 = latency.Quantile(0.99);
  return recent;
}

std::optional<absl::Duration> CallRecords::AttemptQuantile(
    double quantile, MonotonicTime now) const {
  LatencyDistribution latency;
  at_once_.AddRecentTo(now, &latency);
  for (const Series* series = series_.load(std::memory_order_acquire);
       series != nullptr; series = series->next) {
    const bool succeeded =
        series->kind == Kind::kAttempt && series->code == absl::StatusCode::kOk;
    if (succeeded || series->kind == Kind::kOvertakenAttempt) {
      series->latency.AddRecentTo(now, &latency);
    }
  }
  if (latency.count() < kLeastCount) return std::nullopt;
  return latency.Quantile(quantile);
}

}  // namespace grpc_breaker::internal
