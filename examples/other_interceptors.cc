// Beside other interceptors: one placed before the breaker sees the calls of
// the application, one placed after it sees the attempts, whose messages are
// bytes.

#include <atomic>
#include <iostream>

#include "examples/shop.grpc.pb.h"
#include "examples/support/check.h"
#include "examples/support/server.h"
#include "grpc_breaker/channel.h"
#include "grpcpp/create_channel.h"

namespace {

using grpc::experimental::ClientInterceptorFactoryInterface;
using grpc::experimental::ClientRpcInfo;
using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;

// Counts what is sent, and the pieces in stock that it is told of. gRPC asks
// every factory for its interceptor when a call begins, also those after the
// breaker, but the call itself stops there.
class Counter final : public ClientInterceptorFactoryInterface {
 public:
  Counter(std::atomic<int>* sent, std::atomic<int>* pieces)
      : sent_(sent), pieces_(pieces) {}

  Interceptor* CreateClientInterceptor(ClientRpcInfo* info) override {
    return new CountingInterceptor(grpc_breaker::IsAttempt(info), sent_,
                                   pieces_);
  }

 private:
  class CountingInterceptor final : public Interceptor {
   public:
    CountingInterceptor(bool is_attempt, std::atomic<int>* sent,
                        std::atomic<int>* pieces)
        : is_attempt_(is_attempt), sent_(*sent), pieces_(*pieces) {}

    void Intercept(InterceptorBatchMethods* batch) override {
      sent_ += batch->QueryInterceptionHookPoint(
          InterceptionHookPoints::PRE_SEND_INITIAL_METADATA);
      if (batch->QueryInterceptionHookPoint(
              InterceptionHookPoints::POST_RECV_MESSAGE) &&
          batch->GetRecvMessage() != nullptr) {
        pieces_ += StockOf(batch->GetRecvMessage()).count();
      }
      batch->Proceed();
    }

   private:
    shop::Stock StockOf(void* message) const {
      if (!is_attempt_) return *static_cast<shop::Stock*>(message);
      grpc::ByteBuffer bytes = *static_cast<grpc::ByteBuffer*>(message);
      shop::Stock stock;
      shop::Check(
          grpc::SerializationTraits<shop::Stock>::Deserialize(&bytes, &stock)
              .ok(),
          "a reply of the server's parses");
      return stock;
    }

    const bool is_attempt_;
    std::atomic<int>& sent_;
    std::atomic<int>& pieces_;
  };

  std::atomic<int>* const sent_;
  std::atomic<int>* const pieces_;
};

}  // namespace

int main() {
  shop::Server server;
  grpc_breaker::Options options;
  options.Service<shop::Inventory>().retry.base_delay = absl::Milliseconds(1);

  std::atomic<int> calls{0}, pieces_of_calls{0};
  std::atomic<int> attempts{0}, pieces_of_attempts{0};
  std::vector<std::unique_ptr<ClientInterceptorFactoryInterface>> factories;
  factories.push_back(std::make_unique<Counter>(&calls, &pieces_of_calls));
  factories.push_back(
      shop::ValueOrExit(grpc_breaker::MakeInterceptorFactory(options)));
  factories.push_back(
      std::make_unique<Counter>(&attempts, &pieces_of_attempts));
  grpc::ChannelArguments arguments;
  shop::Check(grpc_breaker::DisableConfiguredRetries(&arguments).ok(),
              "gRPC's configured retries do not multiply ours");
  const auto channel = grpc::experimental::CreateCustomChannelWithInterceptors(
      server.target(), grpc::InsecureChannelCredentials(), arguments,
      std::move(factories));
  const auto stub = shop::Inventory::NewStub(channel);

  server.FailNext(2, {grpc::StatusCode::UNAVAILABLE, "restarting"});
  grpc::ClientContext context;
  shop::Stock stock;
  shop::Check(stub->GetStock(&context, {}, &stock).ok(), "the third answers");
  std::cout << calls << " call, " << attempts << " attempts\n";
  shop::Check(calls == 1 && attempts == 3, "before: calls; after: attempts");
  shop::Check(
      pieces_of_calls == stock.count() && pieces_of_attempts == stock.count(),
      "both see the one reply");
}
