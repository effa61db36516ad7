// Admin: one line adds the service that shows all breakers of this process to a
// server of the application.

#include <iostream>

#include "examples/shop.grpc.pb.h"
#include "examples/support/check.h"
#include "examples/support/server.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpc_breaker/admin_service.h"
#include "grpc_breaker/channel.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/server_builder.h"

namespace admin = grpc_breaker::admin::v1;

int main() {
  const auto service = grpc_breaker::MakeAdminService();
  grpc::ServerBuilder builder;
  builder.RegisterService(service.get());  // The line.
  const auto application = builder.BuildAndStart();

  shop::Server server;
  grpc_breaker::Options options;
  options.channel_name = "shop";
  const auto channel = shop::ValueOrExit(grpc_breaker::CreateChannel(
      server.target(), grpc::InsecureChannelCredentials(), options));
  const auto stub = shop::Inventory::NewStub(channel);
  grpc::ClientContext context;
  shop::Stock stock;
  shop::Check(stub->GetStock(&context, {}, &stock).ok(), "an answer");

  // What breakerctl does.
  const auto admin_stub = admin::CircuitBreakerAdmin::NewStub(
      application->InProcessChannel(grpc::ChannelArguments()));
  grpc::ClientContext listing;
  admin::ListBreakersResponse breakers;
  shop::Check(admin_stub->ListBreakers(&listing, {}, &breakers).ok(), "a list");
  for (const admin::Breaker& breaker : breakers.breakers()) {
    std::cout << breaker.channel() << " " << breaker.method() << " "
              << admin::State_Name(breaker.state()) << ", "
              << breaker.window().successes() << " call(s) succeeded\n";
  }
  shop::Check(breakers.breakers_size() == 1 &&
                  breakers.breakers(0).window().successes() == 1,
              "the method that was called");
}
