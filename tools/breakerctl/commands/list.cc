// breakerctl list

#include <memory>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "tools/breakerctl/aggregate.h"
#include "tools/breakerctl/client.h"
#include "tools/breakerctl/command.h"
#include "tools/breakerctl/flags.h"
#include "tools/breakerctl/format.h"
#include "tools/breakerctl/output.h"
#include "tools/breakerctl/processes.h"

namespace grpc_breaker::breakerctl {
namespace {

struct ListFlags {
  admin::v1::BreakerFilter filter;
  bool aggregate = false;
  ConnectionFlags connection;
  OutputFlags output;
};

ExitCode Aggregate(const Lists& lists, const OutputFlags& output,
                   const Style& style) {
  const ExitCode code = Print(output.json ? AggregateToJson(lists)
                                          : FormatAggregate(lists, style));
  const ExitCode failed = FailSeveral({lists.begin(), lists.end()});
  return code == ExitCode::kDone ? failed : code;
}

ExitCode List(const ListFlags& flags) {
  const absl::StatusOr<Processes> processes = Processes::Find(flags.connection);
  if (!processes.ok()) return FailUsage(processes.status().message());
  const Lists lists = processes->Ask<admin::v1::ListBreakersResponse>(
      [&](const Client& client, admin::v1::ListBreakersResponse* list) {
        return client.List(flags.filter, list);
      });
  const Style style = OutputStyle(flags.output);
  if (flags.aggregate) return Aggregate(lists, flags.output, style);
  return Conclude<admin::v1::ListBreakersResponse>(
      *processes, lists, flags.output, [&](const Lists& good) {
        if (!processes->several()) {
          return FormatTable(good[0].response.breakers(), style);
        }
        std::vector<BreakersOfProcess> all;
        for (const auto& list : good) {
          all.push_back({list.address, &list.response.breakers()});
        }
        return FormatTable(all, style);
      });
}

}  // namespace

void AddList(CLI::App& program, Action* action) {
  const auto flags = std::make_shared<ListFlags>();
  CLI::App* command = program.add_subcommand("list", "a line per breaker");
  AddFilterFlags(*command, &flags->filter);
  command->add_flag("--aggregate", flags->aggregate,
                    "a line per breaker for all processes together: the worst "
                    "state, the sums, and the state in each process");
  AddConnectionFlags(*command, &flags->connection);
  AddOutputFlags(*command, &flags->output);
  command->callback([=] { *action = [flags] { return List(*flags); }; });
}

}  // namespace grpc_breaker::breakerctl
