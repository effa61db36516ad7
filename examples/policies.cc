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

  // Each begins as a copy of the next broader one.
  options.Service<shop::Inventory>().retry.max_retries = 4;
  grpc_breaker::Policy& reserve = options.Method<shop::Inventory>("Reserve");
  reserve.retry.max_retries = 1;
  // The proto file does not say that it may be repeated: we know it.
  reserve.idempotency = grpc_breaker::Idempotency::kRepeatable;

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
  // What nobody vouches for is repeated only if no server has seen it.
  attempts(
      "Payments/Refund, by default, declared idempotent",
      [&](auto& c) { payments_stub->Refund(&c, {}, &done); }, 4);
  attempts(
      "Payments/Charge, by default, not declared so",
      [&](auto& c) { payments_stub->Charge(&c, {}, &done); }, 1);

  reserve.retry.max_retries = -1;
  const auto wrong = grpc_breaker::CreateChannel(
      server.target(), grpc::InsecureChannelCredentials(), options);
  shop::Check(!wrong.ok(), "a wrong value is noticed");
  std::cout << wrong.status().message() << "\n";
  reserve.retry.max_retries = 1;

  options.Method<shop::Inventory>("Reserv").timeout = absl::Seconds(1);
  const auto unknown = grpc_breaker::CreateChannel(
      server.target(), grpc::InsecureChannelCredentials(), options);
  shop::Check(!unknown.ok(), "and so is a method that there is not");
  std::cout << unknown.status().message() << "\n";
}
