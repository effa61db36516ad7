// breakerctl events

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tools/breakerctl/client.h"
#include "tools/breakerctl/command.h"
#include "tools/breakerctl/flags.h"
#include "tools/breakerctl/format_changes.h"
#include "tools/breakerctl/lines.h"
#include "tools/breakerctl/output.h"
#include "tools/breakerctl/processes.h"

namespace grpc_breaker::breakerctl {
namespace {

struct EventsFlags {
  admin::v1::BreakerFilter filter;
  bool follow = false;
  absl::Duration interval = absl::Seconds(1);
  ConnectionFlags connection;
  OutputFlags output;
};

// What is known of one process, and what has come of it in this round.
struct Follower {
  admin::v1::ListEventsRequest request;
  std::vector<admin::v1::Event> events;
  uint64_t missed = 0;
  grpc::Status status;
};

void AskForMore(const Client& client, Follower& follower) {
  bool more = true;
  while (more && follower.status.ok()) {
    admin::v1::ListEventsResponse page;
    follower.status =
        client.Call(&admin::v1::CircuitBreakerAdmin::Stub::ListEvents,
                    follower.request, &page);
    follower.events.insert(follower.events.end(), page.events().begin(),
                           page.events().end());
    follower.missed += page.missed();
    follower.request.set_token(page.token());
    more = page.more();
  }
}

// Writes what has come, of several processes by their wall clocks. False if it
// cannot be written.
bool Show(const Processes& processes, std::vector<Follower>& followers,
          Lines& lines) {
  struct Shown {
    const Client* client;
    const admin::v1::Event* event;
  };
  std::vector<Shown> shown;
  for (size_t i = 0; i < followers.size(); ++i) {
    const Client& client = *processes.clients()[i];
    if (followers[i].missed > 0) {
      lines.Note(client, FormatMissed(followers[i].missed));
    }
    for (const auto& event : followers[i].events) {
      shown.push_back({&client, &event});
    }
  }
  if (processes.several()) {
    std::stable_sort(shown.begin(), shown.end(),
                     [](const Shown& a, const Shown& b) {
                       return TimeOf(*a.event) < TimeOf(*b.event);
                     });
  }
  for (const auto& [client, event] : shown) {
    if (!lines.Write(*client, *event, FormatEvent(*event, lines.style()))) {
      return false;
    }
  }
  return true;
}

ExitCode Events(const EventsFlags& flags) {
  const absl::StatusOr<Processes> processes = Processes::Find(flags.connection);
  if (!processes.ok()) return FailUsage(processes.status().message());
  Lines lines(*processes, flags.output);
  std::vector<Follower> followers(processes->clients().size());
  for (Follower& follower : followers) {
    *follower.request.mutable_filter() = flags.filter;
    follower.request.set_page_size(Client::kPageSize);
  }
  for (;;) {
    processes->ForEach([&](size_t i, const Client& client) {
      followers[i].events.clear();
      followers[i].missed = 0;
      const bool was_lost = !followers[i].status.ok();
      AskForMore(client, followers[i]);
      if (!was_lost && !followers[i].status.ok()) {
        lines.Fail(client, followers[i].status);
      }
    });
    if (!Show(*processes, followers, lines)) return lines.code();
    const bool all_lost = std::none_of(
        followers.begin(), followers.end(),
        [](const Follower& follower) { return follower.status.ok(); });
    if (all_lost || !flags.follow) return lines.code();
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
