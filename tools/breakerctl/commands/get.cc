// breakerctl get

#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "tools/breakerctl/client.h"
#include "tools/breakerctl/command.h"
#include "tools/breakerctl/flags.h"
#include "tools/breakerctl/format.h"
#include "tools/breakerctl/output.h"

namespace grpc_breaker::breakerctl {
namespace {

struct GetFlags {
  std::string method;
  std::string channel;
  ConnectionFlags connection;
  OutputFlags output;
};

ExitCode Get(const GetFlags& flags) {
  const Client client(flags.connection);
  admin::v1::Breaker breaker;
  const grpc::Status status = client.Get(flags.method, flags.channel, &breaker);
  if (!status.ok()) return Fail(status, client.address());
  if (flags.output.json) return PrintJson(breaker, /*on_one_line=*/false);
  return Print(FormatBreaker(breaker, OutputStyle(flags.output)));
}

}  // namespace

void AddGet(CLI::App& program, Action* action) {
  const auto flags = std::make_shared<GetFlags>();
  CLI::App* command = program.add_subcommand(
      "get", "all of one breaker, with its policy and its history");
  AddMethod(*command, &flags->method);
  AddChannelFlag(*command, &flags->channel);
  AddConnectionFlags(*command, &flags->connection);
  AddOutputFlags(*command, &flags->output);
  command->callback([=] { *action = [flags] { return Get(*flags); }; });
}

}  // namespace grpc_breaker::breakerctl
