// Quick start: a channel whose calls are retried, broken off while the server
// is down, and answered by a fallback then. README.md quotes the marked region.

#include <cstdlib>
#include <iostream>
#include <string>

#include "examples/support/check.h"
#include "examples/support/server.h"

// [quick start]
#include "examples/shop.grpc.pb.h"
#include "grpc_breaker/channel.h"
#include "grpcpp/grpcpp.h"

int CountStock(const std::string& target, const std::string& sku) {
  grpc_breaker::Options options;
  grpc_breaker::Policy& policy = options.Method<shop::Inventory>("GetStock");
  policy.timeout = absl::Seconds(2);  // For the whole call, retries included.
  policy.retry.max_retries = 4;
  policy.retry.base_delay = absl::Milliseconds(20);
  policy.breaker.consecutive_failures = 5;
  policy.breaker.open_duration = absl::Seconds(10);
  policy.fallback = grpc_breaker::Fallback::Reply(shop::Stock());

  auto channel = grpc_breaker::CreateChannel(
      target, grpc::InsecureChannelCredentials(), options);
  if (!channel.ok()) {  // An option is wrong; the message says which.
    std::cerr << channel.status() << std::endl;
    std::exit(EXIT_FAILURE);
  }

  auto stub = shop::Inventory::NewStub(*channel);
  grpc::ClientContext context;
  shop::GetStockRequest request;
  request.set_sku(sku);
  shop::Stock stock;
  grpc::Status status = stub->GetStock(&context, request, &stock);
  return status.ok() ? stock.count() : -1;
}
// [quick start]

int main() {
  shop::Server server;
  server.FailNext(2, {grpc::StatusCode::UNAVAILABLE, "restarting"});
  const int count = CountStock(server.target(), "hammer");
  std::cout << count << " hammers, after " << server.calls() << " attempts\n";
  shop::Check(count == shop::kStock, "the third attempt brings the answer");
  shop::Check(server.calls() == 3, "two failures are retried");

  server.FailNext(100, {grpc::StatusCode::UNAVAILABLE, "down"});
  shop::Check(CountStock(server.target(), "hammer") == 0,
              "the fallback answers for a server that is down");
}
