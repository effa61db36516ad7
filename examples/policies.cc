// Policies: one for each method, else for its service, else the default. The
// most specific one wins as a whole.

#include <iostream>

#include "examples/shop.grpc.pb.h"
#include "examples/support/check.h"
#include "examples/support/server.h"
#include "grpc_breaker/channel.h"

int main() {
  shop::Server server;
  grpc_breaker::Options options;
  options.default_policy.retry.base_delay = absl::Milliseconds(1);

  grpc_breaker::Policy inventory = options.default_policy;
  inventory.retry.max_retries = 4;
  options.services["/shop.Inventory/"] = inventory;

  grpc_breaker::Policy reserve = inventory;
  reserve.retry.max_retries = 1;
  options.methods["/shop.Inventory/Reserve"] = reserve;

  const auto channel = shop::ValueOrExit(grpc_breaker::CreateChannel(
      server.target(), grpc::InsecureChannelCredentials(), options));
  const auto inventory_stub = shop::Inventory::NewStub(channel);
  const auto payments_stub = shop::Payments::NewStub(channel);

  const auto attempts = [&](const char* method, auto call, int expected) {
    const int before = server.calls();
    server.FailNext(expected, {grpc::StatusCode::UNAVAILABLE, "restarting"});
    grpc::ClientContext context;
    call(context);
    std::cout << method << ": " << server.calls() - before << " attempts\n";
    shop::Check(server.calls() - before == expected, method);
  };
  shop::Stock stock;
  shop::Done done;
  attempts(
      "Inventory/GetStock, by its service",
      [&](auto& c) { inventory_stub->GetStock(&c, {}, &stock); }, 5);
  attempts(
      "Inventory/Reserve, by its own policy",
      [&](auto& c) { inventory_stub->Reserve(&c, {}, &done); }, 2);
  // The default policy repeats what its proto file declares safe, and no more.
  attempts(
      "Payments/Refund, by default, declared idempotent",
      [&](auto& c) { payments_stub->Refund(&c, {}, &done); }, 4);
  attempts(
      "Payments/Charge, by default, not declared so",
      [&](auto& c) { payments_stub->Charge(&c, {}, &done); }, 1);

  options.methods["/shop.Inventory/Reserve"].retry.max_retries = -1;
  const auto wrong = grpc_breaker::CreateChannel(
      server.target(), grpc::InsecureChannelCredentials(), options);
  shop::Check(!wrong.ok(), "a wrong value is noticed");
  std::cout << wrong.status().message() << "\n";
}
