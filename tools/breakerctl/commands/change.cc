// breakerctl open, close, metrics-only and reset

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "tools/breakerctl/client.h"
#include "tools/breakerctl/command.h"
#include "tools/breakerctl/flags.h"
#include "tools/breakerctl/format_changes.h"
#include "tools/breakerctl/output.h"
#include "tools/breakerctl/processes.h"

namespace grpc_breaker::breakerctl {
namespace {

using admin::v1::HoldRequest;
using admin::v1::ResetRequest;

template <typename Request>
using ChangeRpc = Client::Rpc<Request, admin::v1::ChangeResponse>;

template <typename Request>
struct ChangeFlags {
  Request request;
  ConnectionFlags connection;
  OutputFlags output;
};

template <typename Request>
ExitCode Change(ChangeRpc<Request> rpc, const ChangeFlags<Request>& flags) {
  using Changes = std::vector<Answer<admin::v1::ChangeResponse>>;
  const absl::StatusOr<Processes> processes = Processes::Find(flags.connection);
  if (!processes.ok()) return FailUsage(processes.status().message());
  const Changes changes = processes->Ask<admin::v1::ChangeResponse>(
      [&](const Client& client, admin::v1::ChangeResponse* response) {
        return client.Call(rpc, flags.request, response);
      });
  const Style style = OutputStyle(flags.output);
  return Conclude<admin::v1::ChangeResponse>(
      *processes, changes, flags.output, [&](const Changes& good) {
        std::string text;
        for (const auto& change : good) {
          if (processes->several()) {
            absl::StrAppend(
                &text, text.empty() ? "" : "\n",
                Painted(Printable(change.address), Color::kBold, style), "\n");
          }
          absl::StrAppend(&text, FormatChanges(change.response,
                                               flags.request.dry_run(), style));
        }
        return text;
      });
}

template <typename Request>
void Add(CLI::App& program, Action* action, const std::string& name,
         const std::string& description, ChangeRpc<Request> rpc) {
  const auto flags = std::make_shared<ChangeFlags<Request>>();
  CLI::App* command = program.add_subcommand(name, description);
  command->footer(
      "Only methods that were called, or have a policy of their own, are "
      "changed. The process decides who may do this.");
  AddTarget(*command, flags->request.mutable_target());
  AddReasonFlags(*command, flags->request.mutable_reason(),
                 flags->request.mutable_actor());
  if constexpr (std::is_same_v<Request, HoldRequest>) {
    AddTimeToLiveFlag(*command, flags->request.mutable_ttl());
  }
  command->add_flag_function(
      "--dry-run",
      [flags](int64_t times) { flags->request.set_dry_run(times > 0); },
      "change nothing, and show what would be changed, as it is now");
  AddConnectionFlags(*command, &flags->connection);
  AddOutputFlags(*command, &flags->output);
  command->callback([=] {
    CheckTarget(flags->request.target());
    *action = [flags, rpc] { return Change(rpc, *flags); };
  });
}

}  // namespace

void AddChanges(CLI::App& program, Action* action) {
  using Stub = admin::v1::CircuitBreakerAdmin::Stub;
  Add<HoldRequest>(program, action, "open",
                   "holds breakers open: their calls are rejected",
                   &Stub::ForceOpen);
  Add<HoldRequest>(
      program, action, "close",
      "holds breakers closed: their calls pass and nothing is counted",
      &Stub::ForceClose);
  Add<HoldRequest>(program, action, "metrics-only",
                   "lets the calls of breakers pass, and counts those that "
                   "would have been rejected",
                   &Stub::SetMetricsOnly);
  Add<ResetRequest>(program, action, "reset",
                    "ends what is held by hand and any other state: CLOSED, "
                    "with an empty window",
                    &Stub::Reset);
}

}  // namespace grpc_breaker::breakerctl
