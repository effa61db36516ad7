// One of the processes of fleet_test: makes calls when it is told to.
//
//   fleet_client TARGET ADDRESS
//
// Serves the admin service at ADDRESS and metrics at a port of 127.0.0.1, which
// it prints. For each line of its input it calls TARGET and prints the code of
// the status. Lives until its input ends.

#include <cstdlib>
#include <iostream>
#include <string>

#include "grpc_breaker/admin_server.h"
#include "grpc_breaker/channel.h"
#include "grpc_breaker/prometheus_collector.h"
#include "prometheus/exposer.h"
#include "tests/e2e/unary_flavours.h"

namespace grpc_breaker::e2e {
namespace {

int Main(const std::string& target, const std::string& address) {
  Options options;
  options.channel_name = "shop";
  options.default_policy.breaker.consecutive_failures = 2;
  options.default_policy.breaker.open_duration = absl::Hours(1);
  options.default_policy.retry.max_retries = 0;
  const auto channel =
      CreateChannel(target, grpc::InsecureChannelCredentials(), options);
  const auto admin = AdminServer::Start(address);
  if (!channel.ok() || !admin.ok()) {
    std::cerr << channel.status() << ", " << admin.status() << std::endl;
    return EXIT_FAILURE;
  }
  const auto metrics = MakePrometheusCollector();
  if (!metrics.ok()) return EXIT_FAILURE;
  prometheus::Exposer exposer("127.0.0.1:0");
  exposer.RegisterCollectable(*metrics);
  std::cout << exposer.GetListeningPorts().at(0) << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << Call(Flavour::kSync, *channel, line).status.error_code()
              << std::endl;
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace grpc_breaker::e2e

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: fleet_client TARGET ADDRESS" << std::endl;
    return EXIT_FAILURE;
  }
  return grpc_breaker::e2e::Main(argv[1], argv[2]);
}
