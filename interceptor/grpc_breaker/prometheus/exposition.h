#ifndef GRPC_BREAKER_PROMETHEUS_EXPOSITION_H_
#define GRPC_BREAKER_PROMETHEUS_EXPOSITION_H_

// Gathers values of metrics, in the form in which prometheus-cpp takes them.
//
// Thread-compatible.

#include <initializer_list>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpc_breaker/call_stats.h"
#include "grpc_breaker/prometheus/metrics.h"
#include "prometheus/client_metric.h"
#include "prometheus/metric_family.h"

namespace grpc_breaker::internal {

class Exposition {
 public:
  // The values of a metric's labels, in their order.
  using Labels = std::initializer_list<absl::string_view>;

  // `bounds`, of the buckets of durations, outlive it.
  Exposition(const std::vector<absl::Duration>& bounds, bool grpc_names);

  void Add(Metric metric, Labels labels, double value);
  void Add(Metric metric, Labels labels,
           const LatencyDistribution& distribution);

  // Those that have a value.
  std::vector<prometheus::MetricFamily> Take() &&;

 private:
  prometheus::ClientMetric& NewSeries(Metric metric, Labels labels);

  const std::vector<absl::Duration>& bounds_;
  std::vector<double> bounds_in_seconds_;
  std::vector<prometheus::MetricFamily> families_;  // By the number of Metric.
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_PROMETHEUS_EXPOSITION_H_
