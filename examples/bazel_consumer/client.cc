// Greets through a channel that retries and breaks circuits.
//
// Usage: client ADDRESS

#include <iostream>

#include "greeter.grpc.pb.h"
#include "grpc_breaker/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/security/credentials.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "Usage: client ADDRESS\n";
    return 2;
  }
  grpc_breaker::Options options;
  options.default_policy.retry.base_delay = absl::Milliseconds(10);
  auto channel = grpc_breaker::CreateChannel(
      argv[1], grpc::InsecureChannelCredentials(), options);
  if (!channel.ok()) {
    std::cerr << channel.status() << "\n";
    return 2;
  }
  const auto stub = greeter::Greeter::NewStub(*channel);
  grpc::ClientContext context;
  greeter::GreetRequest request;
  request.set_name("Bazel");
  greeter::GreetResponse response;
  const grpc::Status status = stub->Greet(&context, request, &response);
  if (!status.ok()) {
    std::cerr << status.error_message() << "\n";
    return 1;
  }
  std::cout << response.greeting() << "\n";
}
