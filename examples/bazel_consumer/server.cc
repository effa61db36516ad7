// Fails the first two calls with UNAVAILABLE and then greets. Prints its port,
// and stops when its standard input ends.

#include <atomic>
#include <iostream>
#include <memory>
#include <string>

#include "greeter.grpc.pb.h"
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
  if (server == nullptr) return 1;
  std::cout << port << std::endl;
  std::cin.get();
}
