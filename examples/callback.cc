// Callback API: the same channel; no thread is blocked by a backoff.

#include <iostream>

#include "absl/synchronization/notification.h"
#include "examples/shop.grpc.pb.h"
#include "examples/support/check.h"
#include "examples/support/server.h"
#include "grpc_breaker/channel.h"

int main() {
  shop::Server server;
  grpc_breaker::Options options;
  options.Service<shop::Inventory>().retry.base_delay = absl::Milliseconds(1);
  const auto channel = shop::ValueOrExit(grpc_breaker::CreateChannel(
      server.target(), grpc::InsecureChannelCredentials(), options));
  const auto stub = shop::Inventory::NewStub(channel);
  server.FailNext(2, {grpc::StatusCode::UNAVAILABLE, "restarting"});

  grpc::ClientContext context;
  shop::GetStockRequest request;
  shop::Stock stock;
  grpc::Status answer;
  absl::Notification done;
  stub->async()->GetStock(&context, &request, &stock, [&](grpc::Status status) {
    answer = std::move(status);
    done.Notify();
  });
  done.WaitForNotification();

  shop::Check(answer.ok() && stock.count() == shop::kStock, "an answer");
  shop::Check(server.calls() == 3, "after two retries");
  std::cout << "answered after " << server.calls() << " attempts\n";
}
