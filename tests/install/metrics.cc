// The metrics of a process with one channel, as Prometheus would be shown them.

#include <iostream>
#include <memory>

#include "grpc_breaker/channel.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/prometheus_collector.h"
#include "grpcpp/security/credentials.h"
#include "prometheus/exposer.h"
#include "prometheus/text_serializer.h"

int main() {
  grpc_breaker::Options options;
  options.methods["/shop.Inventory/GetStock"];
  auto channel = grpc_breaker::CreateChannel(
      "localhost:1", grpc::InsecureChannelCredentials(), options);
  auto metrics = grpc_breaker::MakePrometheusCollector();
  if (!channel.ok() || !metrics.ok()) return 1;
  prometheus::Exposer exposer("127.0.0.1:0");
  exposer.RegisterCollectable(*metrics);
  prometheus::TextSerializer().Serialize(std::cout, (*metrics)->Collect());
}
