// Don't ignore an open circuit: a rejection is not the server's word. It can be
// told apart, and says when it makes sense to come back.

#include <iostream>
#include <string>

#include "examples/shop.grpc.pb.h"
#include "examples/support/check.h"
#include "examples/support/server.h"
#include "grpc_breaker/channel.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/trailing_metadata.h"

int main() {
  shop::Server server;
  server.FailNext(100, {grpc::StatusCode::UNAVAILABLE, "down"});

  grpc_breaker::Options options;
  grpc_breaker::Policy& policy = options.Service<shop::Payments>();
  policy.retry.max_retries = 0;
  policy.breaker.consecutive_failures = 1;
  policy.breaker.open_duration = absl::Seconds(60);
  const auto channel = shop::ValueOrExit(grpc_breaker::CreateChannel(
      server.target(), grpc::InsecureChannelCredentials(), options));
  const auto stub = shop::Payments::NewStub(channel);

  for (const bool rejected : {false, true}) {
    grpc::ClientContext context;
    shop::Done done;
    const grpc::Status status = stub->Charge(&context, {}, &done);
    shop::Check(status.error_code() == grpc::StatusCode::UNAVAILABLE,
                "both look alike to code that does not care");
    shop::Check(grpc_breaker::IsBreakerRejection(status) == rejected,
                "code that cares can tell");
    if (!rejected) continue;

    const auto& trailers = context.GetServerTrailingMetadata();
    const auto retry_after = trailers.find(grpc_breaker::kRetryAfterKey);
    shop::Check(retry_after != trailers.end(), "a rejection says for how long");
    const std::string milliseconds(retry_after->second.data(),
                                   retry_after->second.size());
    std::cout << status.error_message() << "\n"
              << "put the order aside, try again in " << milliseconds
              << " ms\n";
    shop::Check(std::stoi(milliseconds) > 59000, "about a minute");
  }
  shop::Check(server.calls() == 1, "the rejected call was never sent");
}
