// Permanent errors are not retried, and do not open the circuit: a server that
// says NOT_FOUND is well.

#include <iostream>

#include "examples/shop.grpc.pb.h"
#include "examples/support/check.h"
#include "examples/support/server.h"
#include "grpc_breaker/channel.h"

int main() {
  shop::Server server;
  grpc_breaker::Options options;
  grpc_breaker::Policy& policy = options.Service<shop::Inventory>();
  policy.retry.max_retries = 3;
  policy.retry.base_delay = absl::Milliseconds(1);
  policy.breaker.consecutive_failures = 5;
  const auto channel = shop::ValueOrExit(grpc_breaker::CreateChannel(
      server.target(), grpc::InsecureChannelCredentials(), options));
  const auto stub = shop::Inventory::NewStub(channel);
  const auto get_stock = [&] {
    grpc::ClientContext context;
    shop::Stock stock;
    return stub->GetStock(&context, {}, &stock).error_code();
  };

  server.FailNext(10, {grpc::StatusCode::NOT_FOUND, "no such article"});
  for (int i = 0; i < 10; ++i) {
    shop::Check(get_stock() == grpc::StatusCode::NOT_FOUND, "as answered");
  }
  std::cout << "10 times NOT_FOUND: " << server.calls() << " attempts\n";
  shop::Check(server.calls() == 10, "one attempt each, the circuit closed");

  server.FailNext(1, {grpc::StatusCode::UNAVAILABLE, "restarting"});
  shop::Check(get_stock() == grpc::StatusCode::OK, "a second attempt helped");
  std::cout << "once UNAVAILABLE: " << server.calls() - 10 << " attempts\n";
  shop::Check(server.calls() == 12, "a transient error is retried");
}
