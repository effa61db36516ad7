// Options from a file: GRPC_BREAKER_CONFIG=examples/shop.yaml. Fallbacks stay
// in code; the file names them.

#include <iostream>

#include "examples/shop.grpc.pb.h"
#include "examples/support/check.h"
#include "examples/support/server.h"
#include "grpc_breaker/channel.h"
#include "grpc_breaker/config_file.h"

int main() {
  shop::Server server;

  grpc_breaker::NamedFunctions functions;
  shop::Stock unknown;
  unknown.set_count(-1);
  functions.fallbacks["unknown_stock"] = grpc_breaker::Fallback::Reply(unknown);

  // What is set here holds where the file says nothing.
  grpc_breaker::Options options;
  options.default_policy.retry.jitter = grpc_breaker::Jitter::kFull;
  options = shop::ValueOrExit(
      grpc_breaker::OptionsFromConfigFile(options, functions));

  const auto channel = shop::ValueOrExit(grpc_breaker::CreateChannel(
      server.target(), grpc::InsecureChannelCredentials(), options));
  const auto stub = shop::Inventory::NewStub(channel);

  const auto attempts = [&](auto call) {
    const int before = server.calls();
    grpc::ClientContext context;
    call(context);
    return server.calls() - before;
  };

  server.FailNext(1, {grpc::StatusCode::NOT_FOUND, "not yet"});
  shop::Stock stock;
  int made = attempts([&](auto& c) { stub->GetStock(&c, {}, &stock); });
  std::cout << "GetStock: " << made << " attempts\n";
  shop::Check(made == 2, "the file lets NOT_FOUND be retried");

  server.FailNext(5, {grpc::StatusCode::UNAVAILABLE, "restarting"});
  made = attempts([&](auto& c) { stub->GetStock(&c, {}, &stock); });
  std::cout << "GetStock: " << made << " attempts, " << stock.count() << "\n";
  shop::Check(made == 5, "its service has 4 retries");
  shop::Check(stock.count() == -1, "the file names the fallback");

  server.FailNext(2, {grpc::StatusCode::UNAVAILABLE, "restarting"});
  shop::Done done;
  made = attempts([&](auto& c) { stub->Reserve(&c, {}, &done); });
  std::cout << "Reserve: " << made << " attempts\n";
  shop::Check(made == 2, "Reserve has 1 retry");

  // All that is wrong in a file is told, with its line.
  const auto wrong = grpc_breaker::ParseConfig(
      "default_policy:\n"
      "  timeout: 5\n"
      "  retry: {max_retrys: 3}\n",
      grpc_breaker::ConfigFormat::kYaml, "wrong.yaml");
  shop::Check(!wrong.ok(), "what is wrong is noticed");
  std::cout << wrong.status().message() << "\n";
}
