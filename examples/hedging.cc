// Hedging: an answer that is late is asked for once more, and the one that
// comes first counts. For calls that may be repeated.

#include <iostream>
#include <string>

#include "examples/shop.grpc.pb.h"
#include "examples/support/check.h"
#include "examples/support/server.h"
#include "grpc_breaker/call_history.h"
#include "grpc_breaker/channel.h"

int main() {
  shop::Server server;
  grpc_breaker::Options options;
  grpc_breaker::Policy& policy = options.Method<shop::Inventory>("GetStock");
  policy.hedging.max_hedges = 2;
  policy.hedging.delay = absl::Milliseconds(20);
  // Once ten answers have come: after what 95 % of them took.
  policy.hedging.delay_percentile = 95;
  // One hedge in ten calls, so that a server which is slow for all of them does
  // not get thrice the load.
  options.retry_budget.ratio = 0.1;
  const auto channel = shop::ValueOrExit(grpc_breaker::CreateChannel(
      server.target(), grpc::InsecureChannelCredentials(), options));
  const auto stub = shop::Inventory::NewStub(channel);

  server.HandleNext(1, shop::Server::Hang);
  grpc::ClientContext context;
  shop::Stock stock;
  const grpc::Status status = stub->GetStock(&context, {}, &stock);
  std::cout << (status.ok() ? "an answer" : status.error_message()) << " after "
            << server.calls() << " attempts\n";
  shop::Check(status.ok(), "the second attempt brings the answer");

  const auto history = grpc_breaker::CallHistoryOf(context);
  shop::Check(history.has_value() && history->attempts.size() == 2 &&
                  history->attempts[0].code == grpc::StatusCode::CANCELLED,
              "the first attempt, which was late, is cancelled");
}
