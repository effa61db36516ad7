// How long a scrape takes, by the number of methods: to collect the metrics,
// and to write them as Prometheus reads them. A method of these has calls that
// succeeded, in three segments of latencies, and some that failed after a
// retry.

#include <benchmark/benchmark.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "grpc_breaker/directory.h"
#include "grpc_breaker/method.h"
#include "grpc_breaker/prometheus_collector.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/stats/call_records.h"
#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"
#include "prometheus/text_serializer.h"

namespace grpc_breaker {
namespace {

class Client {
 public:
  explicit Client(int methods) {
    Options options;
    options.directory = &directory_;
    options.max_methods = methods;
    registry_ = *Registry::Create(options);
    for (int i = 0; i < methods; ++i) {
      Call(registry_->FindOrCreate(absl::StrCat("/shop.v1.Inventory/Get", i)));
    }
    PrometheusOptions of_collector;
    of_collector.directory = &directory_;
    collector_ = *MakePrometheusCollector(of_collector);
  }

  const prometheus::Collectable& collector() const { return *collector_; }

 private:
  static void Call(Method& method) {
    const MonotonicTime now = Environment::Default().Now();
    internal::CallRecords& records = method.records();
    for (const int ms : {1, 3, 8}) {
      records.AddSuccessAtOnce(absl::Milliseconds(ms), now);
    }
    const auto code = absl::StatusCode::kUnavailable;
    records.AddAttempt(code, ErrorCategory::kNetwork, absl::Milliseconds(1),
                       now);
    records.AddAttempt(code, ErrorCategory::kNetwork, absl::Milliseconds(1),
                       now);
    records.AddRetry();
    records.AddCall({code, ErrorCategory::kNetwork, StopReason::kExhausted, 2,
                     absl::Milliseconds(30)},
                    now);
  }

  Directory directory_;
  std::shared_ptr<Registry> registry_;
  std::shared_ptr<prometheus::Collectable> collector_;
};

size_t SeriesOf(const std::vector<prometheus::MetricFamily>& families) {
  size_t series = 0;
  for (const prometheus::MetricFamily& family : families) {
    for (const prometheus::ClientMetric& metric : family.metric) {
      // Of a histogram: its buckets, the last one, sum and count.
      series += family.type == prometheus::MetricType::Histogram
                    ? metric.histogram.bucket.size() + 3
                    : 1;
    }
  }
  return series;
}

void BM_Collect(benchmark::State& state) {
  const Client client(static_cast<int>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(client.collector().Collect());
  state.counters["series"] =
      static_cast<double>(SeriesOf(client.collector().Collect()));
}

void BM_Serialize(benchmark::State& state) {
  const Client client(static_cast<int>(state.range(0)));
  const auto families = client.collector().Collect();
  size_t bytes = 0;
  for (auto _ : state) {
    bytes = prometheus::TextSerializer().Serialize(families).size();
  }
  state.counters["bytes"] = static_cast<double>(bytes);
}

BENCHMARK(BM_Collect)
    ->Arg(10)
    ->Arg(100)
    ->Arg(1000)
    ->Arg(10000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Serialize)
    ->Arg(10)
    ->Arg(100)
    ->Arg(1000)
    ->Arg(10000)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace grpc_breaker

BENCHMARK_MAIN();
