// Log the changes of a circuit's state: a ready-made listener writes lines, and
// one of your own feeds whatever watches over the program.

#include <atomic>
#include <iostream>
#include <memory>

#include "examples/shop.grpc.pb.h"
#include "examples/support/check.h"
#include "examples/support/server.h"
#include "grpc_breaker/channel.h"
#include "grpc_breaker/logging_listener.h"

namespace {

// Listeners must not block: this one counts.
class OpenedCounter final : public grpc_breaker::BreakerListener {
 public:
  void OnTransition(const grpc_breaker::BreakerTransition& change) override {
    if (change.to == grpc_breaker::BreakerState::kOpen) ++opened_;
  }
  int opened() const { return opened_; }

 private:
  std::atomic<int> opened_{0};
};

}  // namespace

int main() {
  shop::Server server;
  const auto counter = std::make_shared<OpenedCounter>();

  grpc_breaker::Options options;
  options.listeners.push_back(grpc_breaker::MakeLoggingListener());
  options.listeners.push_back(counter);
  options.default_policy.breaker.consecutive_failures = 3;
  options.default_policy.retry.max_retries = 0;
  const auto channel = shop::ValueOrExit(grpc_breaker::CreateChannel(
      server.target(), grpc::InsecureChannelCredentials(), options));
  const auto stub = shop::Inventory::NewStub(channel);

  server.FailNext(100, {grpc::StatusCode::UNAVAILABLE, "down"});
  for (int i = 0; i < 10; ++i) {
    grpc::ClientContext context;
    shop::Stock stock;
    stub->GetStock(&context, {}, &stock);
  }
  std::cout << "opened " << counter->opened() << " time(s)\n";
  shop::Check(counter->opened() == 1, "each change is told once");
}
