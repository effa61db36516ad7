// breakerctl list

#include <memory>

#include "CLI/CLI.hpp"
#include "tools/breakerctl/client.h"
#include "tools/breakerctl/command.h"
#include "tools/breakerctl/flags.h"
#include "tools/breakerctl/format.h"
#include "tools/breakerctl/output.h"

namespace grpc_breaker::breakerctl {
namespace {

struct ListFlags {
  admin::v1::BreakerFilter filter;
  ConnectionFlags connection;
  OutputFlags output;
};

ExitCode List(const ListFlags& flags) {
  const Client client(flags.connection);
  admin::v1::ListBreakersResponse list;
  const grpc::Status status = client.List(flags.filter, &list);
  if (!status.ok()) return Fail(status, client.address());
  if (flags.output.json) return PrintJson(list, /*on_one_line=*/false);
  return Print(FormatTable(list.breakers(), OutputStyle(flags.output)));
}

}  // namespace

void AddList(CLI::App& program, Action* action) {
  const auto flags = std::make_shared<ListFlags>();
  CLI::App* command = program.add_subcommand("list", "a line per breaker");
  AddFilterFlags(*command, &flags->filter);
  AddConnectionFlags(*command, &flags->connection);
  AddOutputFlags(*command, &flags->output);
  command->callback([=] { *action = [flags] { return List(*flags); }; });
}

}  // namespace grpc_breaker::breakerctl
