#ifndef GRPC_BREAKER_PROMETHEUS_METRICS_H_
#define GRPC_BREAKER_PROMETHEUS_METRICS_H_

// The metrics that there are: names, types and labels, as docs/metrics.md has
// them.
//
// Thread-safe: constants.

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "grpc_breaker/export.h"
#include "prometheus/metric_type.h"

namespace grpc_breaker::internal {

// In the order in which they are exported.
enum class Metric {
  kState,
  kTransitions,
  kRejections,
  kWouldHaveRejected,
  kCalls,
  kAttempts,
  kCallsStopped,
  kRetries,
  kHedges,
  kHedgesWon,
  kHedgesLost,
  kFallbacks,
  kRetryBudgetTokens,
  kRetryBudgetMaxTokens,
  kEventsDropped,
  kEventsFailed,
  kConfigReloads,
  kConfigLastReloadSuccessful,
  kConfigLastReloadTime,
  kConfigInfo,
  kCallDuration,
  kAttemptDuration,
};
inline constexpr size_t kMetrics = 22;

struct MetricInfo {
  std::string name;
  prometheus::MetricType type;
  std::vector<std::string> labels;
  std::string help;
  // The name is gRPC's, too.
  bool from_grpc = false;

  // `name`, or one that no metric of gRPC has.
  std::string NameApart() const;
};

// One for each Metric, by its number.
GRPC_BREAKER_EXPORT const std::vector<MetricInfo>& MetricInfos();

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_PROMETHEUS_METRICS_H_
