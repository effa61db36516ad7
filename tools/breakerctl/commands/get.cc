// breakerctl get

#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "tools/breakerctl/client.h"
#include "tools/breakerctl/command.h"
#include "tools/breakerctl/flags.h"
#include "tools/breakerctl/format.h"
#include "tools/breakerctl/output.h"
#include "tools/breakerctl/processes.h"

namespace grpc_breaker::breakerctl {
namespace {

struct GetFlags {
  std::string method;
  std::string channel;
  ConnectionFlags connection;
  OutputFlags output;
};

ExitCode Get(const GetFlags& flags) {
  using Breakers = std::vector<Answer<admin::v1::Breaker>>;
  const absl::StatusOr<Processes> processes = Processes::Find(flags.connection);
  if (!processes.ok()) return FailUsage(processes.status().message());
  const Breakers breakers = processes->Ask<admin::v1::Breaker>(
      [&](const Client& client, admin::v1::Breaker* breaker) {
        return client.Get(flags.method, flags.channel, breaker);
      });
  const Style style = OutputStyle(flags.output);
  return Conclude<admin::v1::Breaker>(
      *processes, breakers, flags.output, [&](const Breakers& found) {
        std::string text;
        for (const auto& breaker : found) {
          if (processes->several()) {
            absl::StrAppend(&text, text.empty() ? "" : "\n",
                            "process:            ", Printable(breaker.address),
                            "\n");
          }
          absl::StrAppend(&text, FormatBreaker(breaker.response, style));
        }
        return text;
      });
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
