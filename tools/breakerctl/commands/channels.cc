// breakerctl channels

#include <memory>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "tools/breakerctl/client.h"
#include "tools/breakerctl/command.h"
#include "tools/breakerctl/flags.h"
#include "tools/breakerctl/format.h"
#include "tools/breakerctl/output.h"
#include "tools/breakerctl/processes.h"

namespace grpc_breaker::breakerctl {
namespace {

struct ChannelsFlags {
  ConnectionFlags connection;
  OutputFlags output;
};

ExitCode Channels(const ChannelsFlags& flags) {
  using Lists = std::vector<Answer<admin::v1::ListChannelsResponse>>;
  const absl::StatusOr<Processes> processes = Processes::Find(flags.connection);
  if (!processes.ok()) return FailUsage(processes.status().message());
  const Lists lists = processes->Ask<admin::v1::ListChannelsResponse>(
      [](const Client& client, admin::v1::ListChannelsResponse* list) {
        return client.ListChannels(list);
      });
  const Style style = OutputStyle(flags.output);
  return Conclude<admin::v1::ListChannelsResponse>(
      *processes, lists, flags.output, [&](const Lists& good) {
        if (!processes->several()) {
          return FormatChannels(good[0].response.channels(), style);
        }
        std::vector<ChannelsOfProcess> all;
        for (const auto& list : good) {
          all.push_back({list.address, &list.response.channels()});
        }
        return FormatChannels(all, style);
      });
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
