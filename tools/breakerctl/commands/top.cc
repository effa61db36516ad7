// breakerctl top

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/fleet/fleet.h"
#include "grpc_breaker/fleet/fleet_snapshot.h"
#include "grpc_breaker/mutex_lock.h"
#include "tools/breakerctl/client.h"
#include "tools/breakerctl/command.h"
#include "tools/breakerctl/flags.h"
#include "tools/breakerctl/format.h"
#include "tools/breakerctl/frame.h"
#include "tools/breakerctl/output.h"
#include "tools/breakerctl/processes.h"
#include "tools/breakerctl/terminal.h"
#include "tools/breakerctl/text.h"
#include "tools/breakerctl/top_screen.h"

namespace grpc_breaker::breakerctl {
namespace {

using admin::v1::CircuitBreakerAdmin;
using internal::Fleet;
using internal::FleetSnapshot;

struct TopFlags {
  admin::v1::BreakerFilter filter;
  absl::Duration interval = absl::Seconds(1);
  bool once = false;
  bool allow_changes = false;
  std::string actor;
  google::protobuf::Duration ttl;
  ConnectionFlags connection;
  OutputFlags output;
};

// How long a key or an answer may wait for the other.
constexpr absl::Duration kTick = absl::Milliseconds(50);

// Times that are shown are no older.
constexpr absl::Duration kLongestStill = absl::Milliseconds(500);

absl::StatusOr<std::unique_ptr<Fleet>> StartFleet(const Processes& processes,
                                                  const TopFlags& flags) {
  std::vector<internal::FleetProcess> all;
  for (const auto& client : processes.clients()) {
    all.push_back({client->address(), client->channel(),
                   [&client = *client](grpc::ClientContext& context) {
                     return client.Authorize(context);
                   }});
  }
  internal::FleetOptions options;
  options.filter = flags.filter;
  options.interval = flags.interval;
  options.timeout = flags.connection.timeout;
  return Fleet::Start(std::move(all), options);
}

TopOptions OptionsOf(const Processes& processes, const TopFlags& flags) {
  TopOptions options;
  options.several = processes.several();
  options.allow_changes = flags.allow_changes;
  options.unicode = Terminal::IsUnicode();
  options.interval = flags.interval;
  return options;
}

// What takes time, and is done beside the screen, one after the other.
class Errand {
 public:
  // What is to be told to the screen afterwards.
  using Result = std::function<void(TopScreen& screen)>;

  explicit Errand(const Processes& processes) : processes_(processes) {}
  // Cancels what is under way.
  ~Errand() {
    if (!thread_.joinable()) return;
    for (const auto& client : processes_.clients()) client->Cancel();
    thread_.join();
  }
  Errand(const Errand&) = delete;
  Errand& operator=(const Errand&) = delete;

  bool under_way() const { return thread_.joinable(); }

  // If none is under way.
  void Start(std::function<Result()> errand) {
    thread_ = std::thread([this, errand = std::move(errand)] {
      Result result = errand();
      internal::MutexLock lock(mutex_);
      result_ = std::move(result);
    });
  }

  // True if one has ended.
  bool Deliver(TopScreen& screen) {
    Result result;
    {
      internal::MutexLock lock(mutex_);
      result = std::exchange(result_, nullptr);
    }
    if (result == nullptr) return false;
    thread_.join();
    result(screen);
    return true;
  }

 private:
  const Processes& processes_;
  internal::Mutex mutex_;
  Result result_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

// All of the breaker, in each process that has it.
Errand::Result AskForDetails(const Processes& processes,
                             const TopTarget& target, int width) {
  std::vector<Answer<admin::v1::Breaker>> answers =
      processes.AskThese<admin::v1::Breaker>(
          target.processes,
          [&](const Client& client, admin::v1::Breaker* breaker) {
            return client.Get(target.method, target.channel, breaker);
          });
  std::vector<std::string> lines;
  for (const auto& answer : answers) {
    if (!lines.empty()) lines.emplace_back();
    if (processes.several()) {
      lines.push_back(
          absl::StrCat("process:            ", Printable(answer.address)));
    }
    if (!answer.status.ok()) {
      lines.push_back(absl::StrCat("no answer: ", Describe(answer.status)));
      continue;
    }
    Style style;
    style.width = width;
    const std::string text = FormatBreaker(answer.response, style);
    for (const absl::string_view line :
         absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      lines.emplace_back(line);
    }
  }
  return
      [target, lines](TopScreen& screen) { screen.SetDetails(target, lines); };
}

grpc::Status Change(const Client& client, const TopRequest& request,
                    const TopFlags& flags,
                    admin::v1::ChangeResponse* response) {
  const auto fill = [&](auto* message) {
    message->mutable_target()->set_method(request.target.method);
    message->mutable_target()->set_channel(request.target.channel);
    message->set_reason(request.reason);
    message->set_actor(flags.actor);
  };
  if (request.kind == TopRequest::kReset) {
    admin::v1::ResetRequest reset;
    fill(&reset);
    return client.Call(&CircuitBreakerAdmin::Stub::Reset, reset, response);
  }
  admin::v1::HoldRequest hold;
  fill(&hold);
  *hold.mutable_ttl() = flags.ttl;
  return client.Call(request.kind == TopRequest::kOpen
                         ? &CircuitBreakerAdmin::Stub::ForceOpen
                         : &CircuitBreakerAdmin::Stub::ForceClose,
                     hold, response);
}

Errand::Result MakeChange(const Processes& processes, const TopRequest& request,
                          const TopFlags& flags) {
  const auto answers = processes.AskThese<admin::v1::ChangeResponse>(
      request.target.processes,
      [&](const Client& client, admin::v1::ChangeResponse* response) {
        return Change(client, request, flags, response);
      });
  int64_t changed = 0;
  std::string failures;
  for (const auto& answer : answers) {
    if (answer.status.ok()) {
      changed += answer.response.count();
      continue;
    }
    absl::StrAppend(&failures, failures.empty() ? "" : "; ", answer.address,
                    ": ", Describe(answer.status));
  }
  const std::string message =
      failures.empty()
          ? absl::StrCat(Count(changed, "breaker"), " changed")
          : absl::StrCat(failures,
                         changed == 0
                             ? ""
                             : absl::StrCat("; ", Count(changed, "breaker"),
                                            " changed"));
  return [message, failed = !failures.empty()](TopScreen& screen) {
    screen.Say(message, failed);
  };
}

// One frame, when there are rates or errors of all processes.
ExitCode ShowOnce(const Processes& processes, Fleet& fleet,
                  const TopFlags& flags) {
  std::shared_ptr<const FleetSnapshot> snapshot = fleet.snapshot();
  const auto is_known = [](const auto& process) {
    return process->stale() || process->intervals >= 2;
  };
  while (!std::all_of(snapshot->processes.begin(), snapshot->processes.end(),
                      is_known)) {
    snapshot = fleet.WaitForChange(snapshot->version, absl::Seconds(60));
  }
  TopScreen screen(OptionsOf(processes, flags));
  screen.SetSnapshot(snapshot, Environment::Default().Now());
  const Style style = OutputStyle(flags.output);
  const ExitCode code =
      Print(ToText(screen.DrawOnce(static_cast<size_t>(style.width)), style));
  const auto failed =
      std::find_if(snapshot->processes.begin(), snapshot->processes.end(),
                   [](const auto& process) { return process->stale(); });
  if (failed == snapshot->processes.end()) return code;
  return Fail((*failed)->status, (*failed)->name);
}

// Until a key or a signal ends it, which is told.
int ShowUntilTheEnd(const Processes& processes, Fleet& fleet,
                    const TopFlags& flags, Terminal& terminal) {
  TopScreen screen(OptionsOf(processes, flags));
  Errand errand(processes);
  std::deque<TopRequest> waiting;  // In the order in which they were made.
  bool changing = false;           // What is under way is one of them.
  bool leaving = false;            // Pressed to quit, while there are some.
  std::optional<TopTarget> details;
  std::shared_ptr<const FleetSnapshot> seen;
  std::pair<size_t, size_t> seen_size;
  MonotonicTime next_frame;
  while (terminal.signal() == 0) {
    std::shared_ptr<const FleetSnapshot> snapshot = fleet.snapshot();
    const bool is_new = snapshot != seen;
    seen = std::move(snapshot);
    const MonotonicTime now = Environment::Default().Now();
    const auto size = std::pair(terminal.width(), terminal.height());
    // Also where nothing is new, as time goes by.
    bool is_changed = is_new || now >= next_frame || size != seen_size;
    seen_size = size;
    if (is_changed) {
      screen.SetSnapshot(seen, now);
      next_frame = TimeAfter(now, kLongestStill);
    }
    if (errand.Deliver(screen)) {
      is_changed = true;
      fleet.Refresh();
    }
    const std::optional<TopTarget> wanted = screen.wanted_details();
    if (!errand.under_way()) {
      if (!waiting.empty()) {
        errand.Start([&processes, &flags, request = waiting.front()] {
          return MakeChange(processes, request, flags);
        });
        waiting.pop_front();
        changing = true;
      } else if (wanted && (is_new || !(wanted == details))) {
        errand.Start([&processes, target = *wanted,
                      width = static_cast<int>(terminal.width())] {
          return AskForDetails(processes, target, width);
        });
        details = wanted;
        changing = false;
      }
    }
    if (is_changed) {
      terminal.Show(screen.Draw(size.first, size.second));
    }
    const std::optional<Key> key = terminal.ReadKey(kTick);
    if (!key) continue;
    next_frame = now;
    const TopRequest request = screen.Press(*key);
    if (request.kind == TopRequest::kQuit) {
      const int64_t undone = static_cast<int64_t>(waiting.size()) +
                             (changing && errand.under_way() ? 1 : 0);
      if (undone == 0 || leaving) return 0;
      screen.Say(absl::StrCat(Count(undone, "change"),
                              " not made yet: q again leaves without"),
                 /*is_error=*/true);
    } else if (request.kind != TopRequest::kNone) {
      waiting.push_back(request);
    }
    leaving = request.kind == TopRequest::kQuit;
  }
  return terminal.signal();
}

ExitCode ShowLive(const Processes& processes, Fleet& fleet,
                  const TopFlags& flags) {
  int signal = 0;
  {
    absl::StatusOr<std::unique_ptr<Terminal>> terminal =
        Terminal::Open(OutputStyle(flags.output).color);
    if (!terminal.ok()) {
      return Fail(ExitCode::kFailed,
                  absl::StrCat("top: ", terminal.status().message()));
    }
    signal = ShowUntilTheEnd(processes, fleet, flags, **terminal);
  }
  // As it would have ended by it.
  if (signal != 0 && signal != SIGINT) raise(signal);
  return ExitCode::kDone;
}

ExitCode Top(const TopFlags& flags) {
  const bool live = !flags.once;
  if (live && !Terminal::IsSupported()) {
    return Fail(ExitCode::kFailed, Terminal::Open(false).status().message());
  }
  if (live && (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0)) {
    return FailUsage(
        "top: needs a terminal for input and output: use list, watch, or top "
        "--once");
  }
  const absl::StatusOr<Processes> processes = Processes::Find(flags.connection);
  if (!processes.ok()) return FailUsage(processes.status().message());
  const absl::StatusOr<std::unique_ptr<Fleet>> fleet =
      StartFleet(*processes, flags);
  if (!fleet.ok()) return FailUsage(fleet.status().message());
  return live ? ShowLive(*processes, **fleet, flags)
              : ShowOnce(*processes, **fleet, flags);
}

}  // namespace

void AddTop(CLI::App& program, Action* action) {
  const auto flags = std::make_shared<TopFlags>();
  CLI::App* command = program.add_subcommand(
      "top",
      "all breakers live on the whole screen, those in trouble first; ? tells "
      "of its keys");
  command->footer(
      "Keys open, close and reset a breaker with --allow-changes, for which "
      "--actor and --ttl are. The process decides who may do this.");
  AddFilterFlags(*command, &flags->filter);
  AddDurationFlag(*command, "--interval", &flags->interval, absl::Hours(24),
                  "how often to ask, at least 10ms; what has changed is seen "
                  "sooner")
      ->default_str(absl::FormatDuration(flags->interval));
  command->add_flag("--once", flags->once,
                    "write one frame as plain text, when there are rates");
  command->add_flag("--allow-changes", flags->allow_changes,
                    "let keys change breakers");
  AddActorFlag(*command, &flags->actor);
  AddTimeToLiveFlag(*command, &flags->ttl);
  AddConnectionFlags(*command, &flags->connection);
  AddColorFlag(*command, &flags->output);
  command->callback([=] { *action = [flags] { return Top(*flags); }; });
}

}  // namespace grpc_breaker::breakerctl
