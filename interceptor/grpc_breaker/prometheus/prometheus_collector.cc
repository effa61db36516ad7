#include "grpc_breaker/prometheus_collector.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "grpc_breaker/base/user_code.h"
#include "grpc_breaker/base/utf8.h"
#include "grpc_breaker/breaker/transition_counts.h"
#include "grpc_breaker/breaker_state.h"
#include "grpc_breaker/call_stats.h"
#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/method.h"
#include "grpc_breaker/policy_source.h"
#include "grpc_breaker/prometheus/exposition.h"
#include "grpc_breaker/prometheus/metrics.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/rejection.h"
#include "grpc_breaker/retry_budget.h"
#include "grpc_breaker/stats/latency_buckets.h"
#include "grpc_breaker/stop_reason.h"
#include "prometheus/metric_family.h"

namespace grpc_breaker {
namespace {

using internal::Exposition;
using internal::Metric;
using prometheus::MetricFamily;

// So that the directory's lock is held for a moment only, however many channels
// there are.
constexpr size_t kChannelsAtOnce = 64;

// Of an enum, in lower case: "half_open".
template <typename Enum>
std::string LabelOf(Enum value) {
  return absl::AsciiStrToLower(ToString(value));
}

// The same for all `n` of an enum, once.
template <typename Enum, size_t n>
const std::array<std::string, n>& AllLabels() {
  static const auto* const labels = [] {
    auto* result = new std::array<std::string, n>;
    for (size_t i = 0; i < n; ++i) {
      (*result)[i] = LabelOf(static_cast<Enum>(i));
    }
    return result;
  }();
  return *labels;
}

const std::array<std::string, kBreakerStates>& StateLabels() {
  return AllLabels<BreakerState, kBreakerStates>();
}

absl::string_view OutcomeOf(const CallTotals::Series& series) {
  if (series.rejected) return "rejected";
  return series.code == absl::StatusCode::kOk ? "succeeded" : "failed";
}

// One method on its way into an exposition.
class MethodCollection {
 public:
  MethodCollection(absl::string_view channel, const Method& method,
                   Exposition& exposition)
      : channel_(channel),
        // As gRPC's own metrics have it.
        method_(absl::StripPrefix(method.name(), "/")),
        exposition_(exposition) {}

  void AddBreaker(const BreakerCounts& counts) {
    for (size_t state = 0; state < kBreakerStates; ++state) {
      exposition_.Add(Metric::kState, {channel_, method_, StateLabels()[state]},
                      state == static_cast<size_t>(counts.state) ? 1 : 0);
    }
    for (size_t from = 0; from < kBreakerStates; ++from) {
      for (size_t to = 0; to < kBreakerStates; ++to) {
        const uint64_t count = counts.transitions[from][to];
        // What happens by itself is there before the first time, so that
        // Prometheus sees the step from 0 to 1.
        if (count == 0 &&
            internal::PlaceAmongOwn(static_cast<BreakerState>(from),
                                    static_cast<BreakerState>(to)) ==
                internal::kOwnTransitions.size()) {
          continue;
        }
        exposition_.Add(
            Metric::kTransitions,
            {channel_, method_, StateLabels()[from], StateLabels()[to]}, count);
      }
    }
    AddIfAny(Metric::kWouldHaveRejected, counts.would_have_rejected);
  }

  void AddCalls(const CallTotals& totals) {
    AddRejections(totals.rejections);
    AddSeriesOfCalls(totals.calls);
    for (const CallTotals::Series& series : totals.attempts) {
      exposition_.Add(Metric::kAttempts,
                      {channel_, method_, LabelOf(series.category),
                       absl::StatusCodeToString(series.code)},
                      series.latency.count());
    }
    AddDurations(Metric::kCallDuration, totals.calls);
    AddDurations(Metric::kAttemptDuration, totals.attempts);
    AddStops("false", totals.stopped_at_once);
    AddStops("true", totals.stopped_after_retries);
    Add(Metric::kRetries, totals.retries);
    AddIfAny(Metric::kHedges, totals.hedges);
    AddIfAny(Metric::kHedgesWon, totals.hedges_won);
    AddIfAny(Metric::kHedgesLost, totals.hedges_lost);
    AddIfAny(Metric::kFallbacks, totals.fallbacks);
  }

 private:
  void Add(Metric metric, uint64_t count) {
    exposition_.Add(metric, {channel_, method_}, count);
  }
  void AddIfAny(Metric metric, uint64_t count) {
    if (count > 0) Add(metric, count);
  }

  void AddRejections(const std::array<uint64_t, kRejectionReasons>& counts) {
    const auto& labels = AllLabels<RejectionReason, kRejectionReasons>();
    for (size_t i = 0; i < kRejectionReasons; ++i) {
      if (counts[i] == 0 &&
          static_cast<RejectionReason>(i) != RejectionReason::kOpen) {
        continue;
      }
      exposition_.Add(Metric::kRejections, {channel_, method_, labels[i]},
                      counts[i]);
    }
  }

  void AddStops(absl::string_view retried,
                const std::array<uint64_t, kStopReasons>& counts) {
    const auto& labels = AllLabels<StopReason, kStopReasons>();
    for (size_t i = 0; i < kStopReasons; ++i) {
      if (counts[i] == 0) continue;
      exposition_.Add(Metric::kCallsStopped,
                      {channel_, method_, retried, labels[i]}, counts[i]);
    }
  }

  // Those that succeeded are there before the first one: what rates are divided
  // by.
  void AddSeriesOfCalls(const std::vector<CallTotals::Series>& all) {
    bool some_succeeded = false;
    for (const CallTotals::Series& series : all) {
      const absl::string_view outcome = OutcomeOf(series);
      some_succeeded |= outcome == "succeeded";
      exposition_.Add(Metric::kCalls,
                      {channel_, method_, outcome, LabelOf(series.category),
                       absl::StatusCodeToString(series.code)},
                      series.latency.count());
    }
    if (some_succeeded) return;
    exposition_.Add(Metric::kCalls,
                    {channel_, method_, "succeeded", "none", "OK"}, 0);
  }

  // By code alone.
  void AddDurations(Metric metric, const std::vector<CallTotals::Series>& all) {
    for (size_t i = 0; i < all.size(); ++i) {
      const absl::StatusCode code = all[i].code;
      const auto has_code = [code](const CallTotals::Series& series) {
        return series.code == code;
      };
      const auto here = all.begin() + static_cast<std::ptrdiff_t>(i);
      if (std::any_of(all.begin(), here, has_code)) continue;
      LatencyDistribution sum = here->latency;
      std::for_each(here + 1, all.end(), [&](const CallTotals::Series& series) {
        if (has_code(series)) sum += series.latency;
      });
      exposition_.Add(metric,
                      {channel_, method_, absl::StatusCodeToString(code)}, sum);
    }
  }

  const absl::string_view channel_;
  const absl::string_view method_;
  Exposition& exposition_;
};

// A source may be the application's, which may throw.
void AddConfig(absl::string_view channel, const PolicySource& source,
               Exposition& exposition) {
  PolicySourceStatus status;
  if (!internal::CallUserCode([&] { status = source.status(); })) return;
  exposition.Add(Metric::kConfigReloads, {channel, "succeeded"},
                 status.reloads);
  exposition.Add(Metric::kConfigReloads, {channel, "failed"}, status.failures);
  exposition.Add(Metric::kConfigLastReloadSuccessful, {channel},
                 status.error.empty() ? 1 : 0);
  if (status.loaded != absl::InfinitePast()) {
    exposition.Add(Metric::kConfigLastReloadTime, {channel},
                   absl::ToDoubleSeconds(status.loaded - absl::UnixEpoch()));
  }
  exposition.Add(Metric::kConfigInfo, {channel, internal::ToUtf8(status.hash)},
                 1);
}

void AddChannel(const Registry& registry, Exposition& exposition) {
  const absl::string_view channel = registry.channel_name();
  uint64_t events_dropped = 0;
  uint64_t events_failed = 0;
  const RetryBudget* budget = nullptr;
  registry.ForEachMethod([&](const Method& method) {
    const BreakerCounts breaker = method.breaker().Counts();
    events_dropped += breaker.events_dropped;
    events_failed += breaker.events_failed;
    budget = method.retry_budget();
    MethodCollection collection(channel, method, exposition);
    collection.AddBreaker(breaker);
    collection.AddCalls(method.call_totals());
  });
  exposition.Add(Metric::kEventsDropped, {channel}, events_dropped);
  exposition.Add(Metric::kEventsFailed, {channel}, events_failed);
  if (const PolicySource* const source = registry.policy_source().get()) {
    AddConfig(channel, *source, exposition);
  }
  if (budget == nullptr || budget->max_tokens() == 0) return;
  exposition.Add(Metric::kRetryBudgetTokens, {channel}, budget->tokens());
  exposition.Add(Metric::kRetryBudgetMaxTokens, {channel},
                 budget->max_tokens());
}

class PrometheusCollector final : public prometheus::Collectable {
 public:
  explicit PrometheusCollector(PrometheusOptions options)
      : options_(std::move(options)) {}

  std::vector<MetricFamily> Collect() const override {
    Exposition exposition(options_.latency_bounds, options_.grpc_names);
    std::string from;
    for (;;) {
      const std::vector<std::shared_ptr<Registry>> channels =
          options_.directory->RegistriesFrom(from, kChannelsAtOnce);
      for (const auto& channel : channels) AddChannel(*channel, exposition);
      if (channels.size() < kChannelsAtOnce) break;
      // The next name that there can be.
      from = channels.back()->channel_name() + '\0';
    }
    return std::move(exposition).Take();
  }

 private:
  const PrometheusOptions options_;
};

bool IsExact(absl::Duration bound) {
  const int64_t ns = absl::ToInt64Nanoseconds(bound);
  if (absl::Nanoseconds(ns) != bound || ns <= 0) return false;
  const internal::LatencyBucket bucket = internal::LatencyBucketOf(ns);
  return internal::kSegmentTable[bucket.segment].EndOf(bucket.index) == ns;
}

absl::Status BadBound(size_t i, absl::string_view rule, absl::Duration got) {
  return absl::InvalidArgumentError(absl::StrCat("latency_bounds[", i,
                                                 "]: must be ", rule, ", got ",
                                                 absl::FormatDuration(got)));
}

std::vector<absl::Duration> Milliseconds(
    std::initializer_list<double> milliseconds) {
  std::vector<absl::Duration> bounds;
  for (const double bound : milliseconds) {
    // By whole microseconds, which are exact.
    bounds.push_back(absl::Microseconds(std::llround(bound * 1000)));
  }
  return bounds;
}

}  // namespace

std::vector<absl::Duration> DefaultLatencyBounds() {
  return Milliseconds(
      {1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000});
}

std::vector<absl::Duration> GrpcLatencyBounds() {
  return Milliseconds({0.05, 0.1,  0.3,  0.6,   0.8,   1,     2,     3,
                       4,    5,    6,    8,     10,    13,    16,    20,
                       25,   30,   40,   50,    65,    80,    100,   130,
                       160,  200,  250,  300,   400,   500,   650,   800,
                       1000, 2000, 5000, 10000, 20000, 50000, 100000});
}

PrometheusOptions::PrometheusOptions() : directory(&Directory::Default()) {}

absl::Status PrometheusOptions::Validate() const {
  if (directory == nullptr) {
    return absl::InvalidArgumentError("directory: must not be null");
  }
  for (size_t i = 0; i < latency_bounds.size(); ++i) {
    const absl::Duration bound = latency_bounds[i];
    if (!IsExact(bound)) {
      return BadBound(i,
                      "from 11us to 1000s, and 1.0, 1.1, ... 2.0, 2.25, ... "
                      "5.0, 5.5, ... 9.5 times a power of ten",
                      bound);
    }
    if (i > 0 && bound <= latency_bounds[i - 1]) {
      return BadBound(i,
                      absl::StrCat("more than the one before, ",
                                   absl::FormatDuration(latency_bounds[i - 1])),
                      bound);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<prometheus::Collectable>>
MakePrometheusCollector(PrometheusOptions options) {
  if (absl::Status status = options.Validate(); !status.ok()) return status;
  return std::make_shared<PrometheusCollector>(std::move(options));
}

}  // namespace grpc_breaker
