// Compensation: an order is charged, then its goods are reserved. If the second
// step fails for good, a hook rolls the first one back.

#include <iostream>

#include "examples/shop.grpc.pb.h"
#include "examples/support/check.h"
#include "examples/support/server.h"
#include "grpc_breaker/channel.h"
#include "grpcpp/support/proto_buffer_reader.h"

int main() {
  shop::Server server;
  // The hook must not block, so that it only notes what is to be undone.
  std::string order_to_refund;

  grpc_breaker::Options options;
  grpc_breaker::Policy& reserve = options.Method<shop::Inventory>("Reserve");
  // An order is reserved once, however often it comes.
  reserve.idempotency = grpc_breaker::Idempotency::kRepeatable;
  reserve.retry.max_retries = 2;
  reserve.retry.base_delay = absl::Milliseconds(1);
  reserve.on_final_failure = [&](const grpc_breaker::FailedCall& call) {
    const auto order = call.ParseRequest<shop::Order>();
    shop::Check(order.ok(), "the request, as sent");
    order_to_refund = order->id();
  };
  const auto channel = shop::ValueOrExit(grpc_breaker::CreateChannel(
      server.target(), grpc::InsecureChannelCredentials(), options));
  const auto inventory = shop::Inventory::NewStub(channel);
  const auto payments = shop::Payments::NewStub(channel);

  shop::Order order;
  order.set_id("order 7");
  shop::Done done;
  grpc::ClientContext charging;
  shop::Check(payments->Charge(&charging, order, &done).ok(), "charged");

  server.FailNext(3, {grpc::StatusCode::UNAVAILABLE, "warehouse closed"});
  grpc::ClientContext reserving;
  shop::Check(!inventory->Reserve(&reserving, order, &done).ok(), "no goods");
  shop::Check(server.calls("Reserve") == 3, "three attempts, one failure");
  shop::Check(order_to_refund == order.id(), "the hook knows what to undo");

  grpc::ClientContext refunding;
  shop::Check(payments->Refund(&refunding, order, &done).ok(), "refunded");
  std::cout << order_to_refund << " was charged, and refunded\n";
  shop::Check(server.calls("Refund") == 1, "one refund for one failure");
}
