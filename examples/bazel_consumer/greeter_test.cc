// Greets, through a channel that retries and breaks circuits, a server that
// fails the first two attempts.

#include <atomic>
#include <iostream>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "greeter.grpc.pb.h"
#include "grpc_breaker/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"

class GreeterService final : public greeter::Greeter::Service {
  grpc::Status Greet(grpc::ServerContext* /*context*/,
                     const greeter::GreetRequest* request,
                     greeter::GreetResponse* response) override {
    if (calls_++ < 2) return {grpc::StatusCode::UNAVAILABLE, "warming up"};
    response->set_greeting("Hello " + request->name());
    return grpc::Status::OK;
  }

  std::atomic<int> calls_ = 0;
};

int main() {
  GreeterService service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 2;

  grpc_breaker::Options options;
  options.default_policy.retry.base_delay = absl::Milliseconds(10);
  auto channel =
      grpc_breaker::CreateChannel("127.0.0.1:" + std::to_string(port),
                                  grpc::InsecureChannelCredentials(), options);
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
  return response.greeting() == "Hello Bazel" ? 0 : 1;
}
