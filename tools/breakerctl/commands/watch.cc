// breakerctl watch

#include <memory>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "tools/breakerctl/client.h"
#include "tools/breakerctl/command.h"
#include "tools/breakerctl/flags.h"
#include "tools/breakerctl/format.h"
#include "tools/breakerctl/lines.h"
#include "tools/breakerctl/output.h"
#include "tools/breakerctl/processes.h"

namespace grpc_breaker::breakerctl {
namespace {

struct WatchFlags {
  admin::v1::BreakerFilter filter;
  ConnectionFlags connection;
  OutputFlags output;
};

ExitCode Watch(const WatchFlags& flags) {
  const absl::StatusOr<Processes> processes = Processes::Find(flags.connection);
  if (!processes.ok()) return FailUsage(processes.status().message());
  Lines lines(*processes, flags.output);
  processes->ForEach([&](size_t, const Client& client) {
    const grpc::Status status =
        client.Watch(flags.filter, [&](const Client::Event& event) {
          return lines.Write(client, event,
                             FormatEvent(event, absl::Now(), lines.style()));
        });
    if (!status.ok()) lines.Fail(client, status);
  });
  return lines.code();
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
