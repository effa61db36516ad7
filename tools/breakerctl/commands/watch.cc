// breakerctl watch

#include <memory>

#include "CLI/CLI.hpp"
#include "absl/time/clock.h"
#include "tools/breakerctl/client.h"
#include "tools/breakerctl/command.h"
#include "tools/breakerctl/flags.h"
#include "tools/breakerctl/format.h"
#include "tools/breakerctl/output.h"

namespace grpc_breaker::breakerctl {
namespace {

struct WatchFlags {
  admin::v1::BreakerFilter filter;
  ConnectionFlags connection;
  OutputFlags output;
};

ExitCode Watch(const WatchFlags& flags) {
  const Client client(flags.connection);
  const Style style = OutputStyle(flags.output);
  ExitCode code = ExitCode::kDone;
  const grpc::Status status =
      client.Watch(flags.filter, [&](const Client::Event& event) {
        code = flags.output.json
                   ? PrintJson(event, /*on_one_line=*/true)
                   : Print(FormatEvent(event, absl::Now(), style));
        return code == ExitCode::kDone;
      });
  return status.ok() ? code : Fail(status, client.address());
}

}  // namespace

void AddWatch(CLI::App& program, Action* action) {
  const auto flags = std::make_shared<WatchFlags>();
  CLI::App* command = program.add_subcommand(
      "watch",
      "a line per breaker, and then one per change, until interrupted");
  command->footer("--timeout is for the connection.");
  AddFilterFlags(*command, &flags->filter);
  AddConnectionFlags(*command, &flags->connection);
  AddOutputFlags(*command, &flags->output);
  command->callback([=] { *action = [flags] { return Watch(*flags); }; });
}

}  // namespace grpc_breaker::breakerctl
