// breakerctl dashboard

#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "tools/breakerctl/client.h"
#include "tools/breakerctl/command.h"
#include "tools/breakerctl/flags.h"
#include "tools/breakerctl/output.h"

#ifdef BREAKERCTL_DASHBOARD
#include <signal.h>

#include <algorithm>
#include <cstddef>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "grpc_breaker/dashboard_server.h"
#include "tools/breakerctl/processes.h"
#endif

namespace grpc_breaker::breakerctl {
namespace {

struct DashboardFlags {
  std::string listen = "127.0.0.1:0";
  std::vector<std::string> host_names;
  bool allow_changes = false;
  admin::v1::BreakerFilter filter;
  ConnectionFlags connection;
};

#ifdef BREAKERCTL_DASHBOARD

// What asks the program to end, for sigwait() in one of its threads: those that
// are made later take over that these are blocked.
sigset_t BlockEndings() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// What is wrong with the options, or cannot be, by the names of the flags; what
// was given stays as it is.
std::string ByFlags(absl::string_view message) {
  const size_t given = std::min(message.find("got \""), message.size());
  return absl::StrCat(absl::StrReplaceAll(message.substr(0, given),
                                          {{"address: ", "--listen: "},
                                           {"host_names", "--host-name"},
                                           {"timeout: ", "--timeout: "}}),
                      message.substr(given));
}

ExitCode Dashboard(const DashboardFlags& flags) {
  const sigset_t endings = BlockEndings();
  const absl::StatusOr<Processes> processes = Processes::Find(flags.connection);
  if (!processes.ok()) return FailUsage(processes.status().message());
  DashboardOptions options;
  options.address = flags.listen;
  options.host_names = flags.host_names;
  options.allow_changes = flags.allow_changes;
  options.filter = flags.filter;
  options.timeout = flags.connection.timeout;
  for (const auto& client : processes->clients()) {
    options.processes.push_back(
        {client->address(), client->channel(),
         [&client = *client](grpc::ClientContext& context) {
           return client.Authorize(context);
         }});
  }
  const auto server = DashboardServer::Start(options);
  if (!server.ok()) {
    const std::string message = ByFlags(server.status().message());
    return absl::IsInvalidArgument(server.status())
               ? FailUsage(message)
               : Fail(ExitCode::kFailed, message);
  }
  const ExitCode code = Print(absl::StrCat((*server)->url(), "\n"));
  if (code != ExitCode::kDone) return code;
  int signal;
  sigwait(&endings, &signal);
  return ExitCode::kDone;
}

#else

ExitCode Dashboard(const DashboardFlags&) {
  return Fail(ExitCode::kFailed,
              "dashboard: this breakerctl was built without cpp-httplib, which "
              "serves the page (Debian: libcpp-httplib-dev)");
}

#endif

}  // namespace

void AddDashboard(CLI::App& program, Action* action) {
  const auto flags = std::make_shared<DashboardFlags>();
  CLI::App* command = program.add_subcommand(
      "dashboard", "serves a page that shows breakers live, until interrupted");
  command->footer(
      "Every user of this machine can open the page; it changes nothing "
      "without --allow-changes, and then what the processes allow.");
  command
      ->add_option("--listen", flags->listen,
                   "where browsers find it: a loopback address with a port, 0 "
                   "for a free one; with --host-name any address")
      ->type_name(kAddressType)
      ->capture_default_str();
  command
      ->add_option("--host-name", flags->host_names,
                   "names under which browsers find it beside those of this "
                   "machine, between commas: as a proxy has them")
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name(kNameType);
  command->add_flag("--allow-changes", flags->allow_changes,
                    "let the page hold breakers open or closed and reset them, "
                    "by the credentials of this command");
  AddFilterFlags(*command, &flags->filter);
  AddConnectionFlags(*command, &flags->connection);
  command->callback([=] { *action = [flags] { return Dashboard(*flags); }; });
}

}  // namespace grpc_breaker::breakerctl
