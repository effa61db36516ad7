// breakerctl events

#include <memory>

#include "CLI/CLI.hpp"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tools/breakerctl/client.h"
#include "tools/breakerctl/command.h"
#include "tools/breakerctl/flags.h"
#include "tools/breakerctl/format_changes.h"
#include "tools/breakerctl/output.h"

namespace grpc_breaker::breakerctl {
namespace {

struct EventsFlags {
  admin::v1::BreakerFilter filter;
  bool follow = false;
  absl::Duration interval = absl::Seconds(1);
  ConnectionFlags connection;
  OutputFlags output;
};

ExitCode Show(const admin::v1::ListEventsResponse& page, const Style& style,
              const EventsFlags& flags) {
  if (page.missed() > 0) Note(FormatMissed(page.missed()));
  for (const admin::v1::Event& event : page.events()) {
    const ExitCode code = flags.output.json
                              ? PrintJson(event, /*on_one_line=*/true)
                              : Print(FormatEvent(event, style));
    if (code != ExitCode::kDone) return code;
  }
  return ExitCode::kDone;
}

ExitCode Events(const EventsFlags& flags) {
  const Client client(flags.connection);
  const Style style = OutputStyle(flags.output);
  admin::v1::ListEventsRequest request;
  *request.mutable_filter() = flags.filter;
  request.set_page_size(Client::kPageSize);
  for (;;) {
    admin::v1::ListEventsResponse page;
    const grpc::Status status = client.Call(
        &admin::v1::CircuitBreakerAdmin::Stub::ListEvents, request, &page);
    if (!status.ok()) return Fail(status, client.address());
    const ExitCode code = Show(page, style, flags);
    if (code != ExitCode::kDone) return code;
    request.set_token(page.token());
    if (page.more()) continue;
    if (!flags.follow) return ExitCode::kDone;
    absl::SleepFor(flags.interval);
  }
}

}  // namespace

void AddEvents(CLI::App& program, Action* action) {
  const auto flags = std::make_shared<EventsFlags>();
  CLI::App* command = program.add_subcommand(
      "events",
      "a line per change of state, and per change that was asked for, of the "
      "last ones that the process keeps; the oldest first");
  command->footer(
      "--json writes one object on each line. Changes that were asked for are "
      "not shown where --state chooses.");
  AddFilterFlags(*command, &flags->filter);
  command->add_flag("-f,--follow", flags->follow,
                    "go on with what happens, until interrupted");
  AddDurationFlag(*command, "--interval", &flags->interval, absl::Hours(24),
                  "how often --follow asks")
      ->default_str(absl::FormatDuration(flags->interval));
  AddConnectionFlags(*command, &flags->connection);
  AddOutputFlags(*command, &flags->output);
  command->callback([=] { *action = [flags] { return Events(*flags); }; });
}

}  // namespace grpc_breaker::breakerctl
