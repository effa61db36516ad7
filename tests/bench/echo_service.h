#ifndef GRPC_BREAKER_TESTS_BENCH_ECHO_SERVICE_H_
#define GRPC_BREAKER_TESTS_BENCH_ECHO_SERVICE_H_

// What the benchmarks of unary calls call: a method that answers with what it
// was sent, or fails if that is "fail"; and what they attach to their channels.
//
// Thread-safe.

#include <memory>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "tests/bench/bench_util.h"

namespace grpc_breaker::bench {

class EchoService final : public admin::v1::CircuitBreakerAdmin::Service {
  grpc::Status GetBreaker(grpc::ServerContext* /*context*/,
                          const admin::v1::GetBreakerRequest* request,
                          admin::v1::Breaker* reply) override {
    if (request->method() == "fail") {
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "as asked");
    }
    reply->set_method(request->method());
    return grpc::Status::OK;
  }
};

// With a connection of its own.
inline std::shared_ptr<grpc::Channel> ChannelUnder(Policy policy,
                                                   const std::string& address) {
  Options options;
  options.Service<admin::v1::CircuitBreakerAdmin>() = std::move(policy);
  return ChannelUnder(std::move(options), address, OwnConnection());
}

inline Policy BreakerOnlyPolicy() {
  Policy policy;
  policy.retry.max_retries = 0;
  return policy;
}

// With a limit per attempt, which the application's own call cannot have.
inline Policy HijackingPolicy() {
  Policy policy;
  policy.attempt_timeout = absl::Hours(1);
  return policy;
}

}  // namespace grpc_breaker::bench

#endif  // GRPC_BREAKER_TESTS_BENCH_ECHO_SERVICE_H_
