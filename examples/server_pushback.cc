// Give servers time to recover: a server that knows how long it will take says
// so, and the retry waits just that long instead of its own backoff.

#include <iostream>

#include "examples/shop.grpc.pb.h"
#include "examples/support/check.h"
#include "examples/support/server.h"
#include "grpc_breaker/channel.h"

int main() {
  shop::Server server;
  server.HandleNext(1, [](grpc::ServerContext& context) {
    context.AddTrailingMetadata("grpc-retry-pushback-ms", "100");
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "loading its data");
  });

  grpc_breaker::Options options;
  options.Service<shop::Inventory>().retry.base_delay = absl::Seconds(60);
  const auto channel = shop::ValueOrExit(grpc_breaker::CreateChannel(
      server.target(), grpc::InsecureChannelCredentials(), options));
  const auto stub = shop::Inventory::NewStub(channel);

  grpc::ClientContext context;
  shop::Stock stock;
  const absl::Time start = absl::Now();
  shop::Check(stub->GetStock(&context, {}, &stock).ok(), "an answer");
  const absl::Duration waited = absl::Now() - start;
  std::cout << "answered after " << absl::Trunc(waited, absl::Milliseconds(1))
            << "\n";
  shop::Check(waited >= absl::Milliseconds(100), "not sooner than asked");
  shop::Check(waited < absl::Seconds(30), "and not by its own backoff");
}
