// One bad backend of several. A breaker knows methods, not servers: behind a
// load balancer one broken server opens it for all. With a channel for each
// backend there is a breaker for each, and calls go past those that are broken.

#include <atomic>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "examples/shop.grpc.pb.h"
#include "examples/support/check.h"
#include "examples/support/server.h"
#include "grpc_breaker/channel.h"
#include "grpc_breaker/grpc_status.h"

// Thread-safe.
class Backends {
 public:
  explicit Backends(const std::vector<std::string>& targets) {
    grpc_breaker::Options options;
    options.default_policy.retry.max_retries = 0;  // Others are tried instead.
    options.default_policy.breaker.consecutive_failures = 3;
    for (const std::string& target : targets) {
      stubs_.push_back(
          shop::Payments::NewStub(shop::ValueOrExit(grpc_breaker::CreateChannel(
              target, grpc::InsecureChannelCredentials(), options))));
    }
  }

  // Begins with the next backend in turn, and goes on to others until one
  // answers. `repeatable`: even where the call may have reached one already.
  template <typename Function>
  grpc::Status Call(bool repeatable, Function&& function) {
    const size_t first = next_++;
    grpc::Status status;
    for (size_t i = 0; i < stubs_.size(); ++i) {
      status = function(*stubs_[(first + i) % stubs_.size()]);
      const bool another =
          grpc_breaker::IsBreakerRejection(status) ||
          grpc_breaker::ClassifyError(status).never_sent ||
          (repeatable && status.error_code() == grpc::StatusCode::UNAVAILABLE);
      if (!another) break;
    }
    return status;
  }

 private:
  std::vector<std::unique_ptr<shop::Payments::Stub>> stubs_;
  std::atomic<size_t> next_{0};
};

int main() {
  shop::Server good, broken;
  broken.FailNext(1000, {grpc::StatusCode::UNAVAILABLE, "broken"});
  const auto refund = [](shop::Payments::Stub& stub) {
    grpc::ClientContext context;
    shop::Done done;
    return stub.Refund(&context, {}, &done);
  };
  Backends backends({broken.target(), good.target()});
  for (int i = 0; i < 100; ++i) {
    shop::Check(backends.Call(/*repeatable=*/true, refund).ok(),
                "the good backend answers every call");
  }
  std::cout << "100 calls: " << good.calls() << " to the good backend, "
            << broken.calls() << " to the broken one\n";
  shop::Check(good.calls() == 100 && broken.calls() == 3,
              "the broken backend's breaker opens, and only that one");

  const auto charge = [](shop::Payments::Stub& stub) {
    grpc::ClientContext context;
    shop::Done done;
    return stub.Charge(&context, {}, &done);
  };
  // Nothing listens on the first.
  Backends half_gone({"127.0.0.1:1", good.target()});
  for (int i = 0; i < 10; ++i) {
    shop::Check(half_gone.Call(/*repeatable=*/false, charge).ok(),
                "what was never sent can go to another backend");
  }
  std::cout << "10 orders charged once each, though a backend is gone\n";
  shop::Check(good.calls("Charge") == 10, "nothing is charged twice");
}
