// A dashboard of this process, which says where it is.

#include <iostream>

#include "grpc_breaker/channel.h"
#include "grpc_breaker/dashboard_server.h"

int main() {
  auto channel = grpc_breaker::CreateChannel(
      "localhost:1", grpc::InsecureChannelCredentials(), {});
  if (!channel.ok()) return 1;
  const auto dashboard = grpc_breaker::DashboardServer::Start();
  if (!dashboard.ok()) {
    std::cerr << dashboard.status() << std::endl;
    return 1;
  }
  std::cout << (*dashboard)->url() << std::endl;
}
