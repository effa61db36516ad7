// What a project that depends on grpc_breaker has: a client of some service
// whose channel breaks circuits. The service is the library's own admin
// service, which tells of the very breaker that watches over the call to it.

#include <iostream>
#include <string>

#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpc_breaker/admin_server.h"
#include "grpc_breaker/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/security/credentials.h"

int main() {
  auto server = grpc_breaker::AdminServer::Start("127.0.0.1:0");
  if (!server.ok()) {
    std::cerr << server.status() << "\n";
    return 1;
  }
  auto channel = grpc_breaker::CreateChannel(
      (*server)->address(), grpc::InsecureChannelCredentials());
  if (!channel.ok()) {
    std::cerr << channel.status() << "\n";
    return 1;
  }

  const auto stub =
      grpc_breaker::admin::v1::CircuitBreakerAdmin::NewStub(*channel);
  grpc::ClientContext context;
  grpc_breaker::admin::v1::ListBreakersResponse response;
  const grpc::Status status = stub->ListBreakers(&context, {}, &response);
  if (!status.ok()) {
    std::cerr << status.error_message() << "\n";
    return 1;
  }
  for (const auto& breaker : response.breakers()) {
    std::cout << breaker.method() << "\n";
  }
}
