// Timeouts: a time limit for each attempt, so that one stuck attempt can be
// retried, and one for the whole call.

#include <iostream>

#include "examples/shop.grpc.pb.h"
#include "examples/support/check.h"
#include "examples/support/server.h"
#include "grpc_breaker/channel.h"

int main() {
  shop::Server server;
  grpc_breaker::Options options;
  grpc_breaker::Policy& policy = options.Service<shop::Inventory>();
  policy.attempt_timeout = absl::Milliseconds(100);
  policy.timeout = absl::Milliseconds(450);
  policy.retry.max_retries = 100;
  policy.retry.base_delay = absl::Milliseconds(1);
  policy.retry.max_delay = absl::Milliseconds(1);
  policy.breaker.enabled = false;
  const auto channel = shop::ValueOrExit(grpc_breaker::CreateChannel(
      server.target(), grpc::InsecureChannelCredentials(), options));
  const auto stub = shop::Inventory::NewStub(channel);
  const auto get_stock = [&] {
    grpc::ClientContext context;
    shop::Stock stock;
    const absl::Time start = absl::Now();
    const grpc::Status status = stub->GetStock(&context, {}, &stock);
    std::cout << (status.ok() ? "an answer" : status.error_message())
              << " after "
              << absl::Trunc(absl::Now() - start, absl::Milliseconds(1))
              << " and " << server.calls() << " attempts so far\n";
    return status;
  };

  server.HandleNext(1, shop::Server::Hang);
  shop::Check(get_stock().ok(), "a stuck attempt is given up and repeated");
  shop::Check(server.calls() == 2, "the second attempt brings the answer");

  server.HandleNext(100, shop::Server::Hang);
  const absl::Time start = absl::Now();
  shop::Check(get_stock().error_code() == grpc::StatusCode::DEADLINE_EXCEEDED,
              "the whole call has a limit as well");
  shop::Check(absl::Now() - start < absl::Seconds(5), "and keeps to it");
}
