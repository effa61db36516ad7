// breakerctl channels

#include <memory>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "tools/breakerctl/client.h"
#include "tools/breakerctl/command.h"
#include "tools/breakerctl/flags.h"
#include "tools/breakerctl/format.h"
#include "tools/breakerctl/output.h"

namespace grpc_breaker::breakerctl {
namespace {

struct ChannelsFlags {
  ConnectionFlags connection;
  OutputFlags output;
};

ExitCode Channels(const ChannelsFlags& flags) {
  const Client client(flags.connection);
  admin::v1::ListChannelsResponse list;
  const grpc::Status status = client.ListChannels(&list);
  if (!status.ok()) return Fail(status, client.address());
  if (flags.output.json) return PrintJson(list, /*on_one_line=*/false);
  return Print(FormatChannels(list.channels(), OutputStyle(flags.output)));
}

}  // namespace

void AddChannels(CLI::App& program, Action* action) {
  const auto flags = std::make_shared<ChannelsFlags>();
  CLI::App* command = program.add_subcommand(
      "channels", "the client channels, and where their policies come from");
  AddConnectionFlags(*command, &flags->connection);
  AddOutputFlags(*command, &flags->output);
  command->callback([=] { *action = [flags] { return Channels(*flags); }; });
}

}  // namespace grpc_breaker::breakerctl
