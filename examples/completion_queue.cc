// Completion queue API: one tag per call, however many attempts it takes.

#include <iostream>

#include "examples/shop.grpc.pb.h"
#include "examples/support/check.h"
#include "examples/support/server.h"
#include "grpc_breaker/channel.h"
#include "grpcpp/completion_queue.h"

int main() {
  shop::Server server;
  grpc_breaker::Options options;
  options.Service<shop::Inventory>().retry.base_delay = absl::Milliseconds(1);
  const auto channel = shop::ValueOrExit(grpc_breaker::CreateChannel(
      server.target(), grpc::InsecureChannelCredentials(), options));
  const auto stub = shop::Inventory::NewStub(channel);
  server.FailNext(2, {grpc::StatusCode::UNAVAILABLE, "restarting"});

  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  const auto reader = stub->AsyncGetStock(&context, {}, &queue);
  shop::Stock stock;
  grpc::Status status;
  reader->Finish(&stock, &status, /*tag=*/&stock);

  void* tag = nullptr;
  bool ok = false;
  shop::Check(queue.Next(&tag, &ok) && ok && tag == &stock, "the call's tag");
  shop::Check(status.ok() && stock.count() == shop::kStock, "an answer");
  shop::Check(server.calls() == 3, "after two retries");
  std::cout << "answered after " << server.calls() << " attempts\n";

  queue.Shutdown();
  shop::Check(!queue.Next(&tag, &ok), "no other tag");
}
