// Use with fallbacks: while the circuit is open, callers get the last known
// answer within microseconds, and the server gets no calls.

#include <atomic>
#include <iostream>
#include <string>

#include "examples/shop.grpc.pb.h"
#include "examples/support/check.h"
#include "examples/support/server.h"
#include "grpc_breaker/channel.h"

int main() {
  shop::Server server;
  std::atomic<int> last_known{0};

  grpc_breaker::Options options;
  grpc_breaker::Policy& policy = options.Method<shop::Inventory>("GetStock");
  policy.retry.max_retries = 0;
  policy.breaker.consecutive_failures = 3;
  policy.fallback =
      grpc_breaker::Fallback::Typed<shop::GetStockRequest, shop::Stock>(
          [&](const shop::GetStockRequest& request,
              const grpc_breaker::FailedCall& call) {
            std::cout << (call.rejected ? "  open circuit" : "  failed attempt")
                      << ": last known count of " << request.sku() << "\n";
            shop::Stock stock;
            stock.set_count(last_known);
            return stock;
          });
  const auto channel = shop::ValueOrExit(grpc_breaker::CreateChannel(
      server.target(), grpc::InsecureChannelCredentials(), options));
  const auto stub = shop::Inventory::NewStub(channel);

  const auto count = [&] {
    grpc::ClientContext context;
    shop::GetStockRequest request;
    request.set_sku("hammers");
    shop::Stock stock;
    const grpc::Status status = stub->GetStock(&context, request, &stock);
    shop::Check(status.ok(), "the caller never sees an error");
    return stock.count();
  };
  last_known = count();

  server.FailNext(100, {grpc::StatusCode::UNAVAILABLE, "down"});
  for (int i = 0; i < 10; ++i) {
    shop::Check(count() == shop::kStock, "the last known answer is given");
  }
  std::cout << server.calls() << " calls reached the server\n";
  shop::Check(server.calls() == 1 + 3, "an open circuit spares the server");
}
