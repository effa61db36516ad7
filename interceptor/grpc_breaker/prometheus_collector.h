#ifndef GRPC_BREAKER_PROMETHEUS_COLLECTOR_H_
#define GRPC_BREAKER_PROMETHEUS_COLLECTOR_H_

// What breakers, retries and calls of a process did, as metrics for Prometheus,
// by the library prometheus-cpp:
//
//   auto metrics = grpc_breaker::MakePrometheusCollector();
//   if (!metrics.ok()) ...  // An option is wrong.
//   prometheus::Exposer exposer("127.0.0.1:9464");
//   exposer.RegisterCollectable(*metrics);
//
// The library opens no port: the application registers the collector with an
// exposer, a gateway or what else takes a prometheus::Collectable. One is
// enough for all channels of a directory. docs/metrics.md lists the metrics.
//
// Nothing is recorded for them: they are what breakers and methods count
// anyway. Collecting them takes no lock that a call takes while all is well,
// and runs no code of the application's, its environment included, but for the
// status() of a policy source that it has made itself, and what the end of a
// channel brings about where that ends meanwhile: its listeners are destroyed,
// and those of its directory told. The series of a channel end with it; one of
// the same name begins anew, at 0.
//
// Lifetime: the directory outlives the collector. An exposer holds it weakly,
// so keep the pointer.
//
// Thread-safe: several may collect at the same time.

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpc_breaker/directory.h"
#include "grpc_breaker/export.h"
#include "prometheus/collectable.h"

namespace grpc_breaker {

// 1 ms to 10 s in 13 steps of about 2.
GRPC_BREAKER_EXPORT std::vector<absl::Duration> DefaultLatencyBounds();
// Those of gRPC's own metrics (gRFC A66), but for the two that are too short to
// be told apart: 50 us to 100 s in 39 steps.
GRPC_BREAKER_EXPORT std::vector<absl::Duration> GrpcLatencyBounds();

struct GRPC_BREAKER_EXPORT PrometheusOptions {
  PrometheusOptions();  // The directory is the process-wide one.

  // Whose channels are shown. Not null.
  Directory* directory;

  // The upper bounds of the buckets of durations, in ascending order, from 11
  // us to 1000 s. Each is one to which LatencyDistribution::CountUpTo is exact,
  // such as 1, 2.5 or 6.5 times a power of ten. There may be none.
  std::vector<absl::Duration> latency_bounds = DefaultLatencyBounds();

  // Metrics that are the same as gRPC's own have gRPC's names, which begin with
  // grpc_client_. Turned off, these begin with grpc_breaker_client_: for a
  // process whose gRPC exports its own, too.
  bool grpc_names = true;

  // InvalidArgument, naming the field, if one is wrong.
  absl::Status Validate() const;
};

// Fails if the options are not valid.
GRPC_BREAKER_EXPORT absl::StatusOr<std::shared_ptr<prometheus::Collectable>>
MakePrometheusCollector(PrometheusOptions options = PrometheusOptions());

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_PROMETHEUS_COLLECTOR_H_
