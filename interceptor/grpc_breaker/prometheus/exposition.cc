#include "grpc_breaker/prometheus/exposition.h"

#include <algorithm>
#include <cassert>
#include <cstddef>

namespace grpc_breaker::internal {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

Exposition::Exposition(const std::vector<absl::Duration>& bounds,
                       bool grpc_names)
    : bounds_(bounds) {
  bounds_in_seconds_.reserve(bounds.size());
  for (const absl::Duration bound : bounds) {
    bounds_in_seconds_.push_back(absl::ToDoubleSeconds(bound));
  }
  families_.reserve(kMetrics);
  for (const MetricInfo& info : MetricInfos()) {
    MetricFamily& family = families_.emplace_back();
    family.name = grpc_names ? info.name : info.NameApart();
    family.help = info.help;
    family.type = info.type;
  }
}

void Exposition::Add(Metric metric, Labels labels, double value) {
  ClientMetric& series = NewSeries(metric, labels);
  if (MetricInfos()[static_cast<size_t>(metric)].type == MetricType::Gauge) {
    series.gauge.value = value;
  } else {
    series.counter.value = value;
  }
}

void Exposition::Add(Metric metric, Labels labels,
                     const LatencyDistribution& distribution) {
  ClientMetric::Histogram& histogram = NewSeries(metric, labels).histogram;
  histogram.sample_count = distribution.count();
  histogram.sample_sum = absl::ToDoubleSeconds(distribution.sum());
  histogram.bucket.reserve(bounds_.size());
  for (size_t i = 0; i < bounds_.size(); ++i) {
    histogram.bucket.push_back(
        {distribution.CountUpTo(bounds_[i]), bounds_in_seconds_[i]});
  }
}

std::vector<MetricFamily> Exposition::Take() && {
  std::vector<MetricFamily> families = std::move(families_);
  families.erase(std::remove_if(families.begin(), families.end(),
                                [](const MetricFamily& family) {
                                  return family.metric.empty();
                                }),
                 families.end());
  return families;
}

ClientMetric& Exposition::NewSeries(Metric metric, Labels labels) {
  const auto& names = MetricInfos()[static_cast<size_t>(metric)].labels;
  assert(labels.size() == names.size());
  ClientMetric& series =
      families_[static_cast<size_t>(metric)].metric.emplace_back();
  series.label.reserve(names.size());
  auto name = names.begin();
  for (const absl::string_view value : labels) {
    series.label.push_back({*name++, std::string(value)});
  }
  return series;
}

}  // namespace grpc_breaker::internal
