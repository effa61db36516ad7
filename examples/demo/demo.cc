// The demo: a server process that is told to fail, and a client that lives with
// it. Shows a table of what happens, and checks that it is what it should be.
//
//   demo [--fast] SERVER BREAKERCTL
//
// The arguments are the paths of the two other programs.

#include <signal.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "examples/demo/console.h"
#include "examples/demo/demo.grpc.pb.h"
#include "examples/demo/load.h"
#include "examples/demo/process.h"
#include "examples/demo/temporary_directory.h"
#include "grpc_breaker/admin_server.h"
#include "grpc_breaker/channel.h"
#include "grpcpp/create_channel.h"

namespace demo {
namespace {

using grpc_breaker::BreakerState;
using grpc_breaker::BreakerTransition;

constexpr BreakerState kClosed = BreakerState::kClosed;
constexpr BreakerState kOpen = BreakerState::kOpen;
constexpr BreakerState kHalfOpen = BreakerState::kHalfOpen;

constexpr char kMethod[] = "/demo.Prices/GetPrice";
constexpr int kThreads = 8;
constexpr absl::Duration kPeriod = absl::Milliseconds(40);

volatile sig_atomic_t interrupted = 0;

// How long things take.
struct Pace {
  absl::Duration tick;
  int ticks_per_phase;
  absl::Duration open_duration;
};
constexpr Pace kToWatch = {absl::Seconds(1), 4, absl::Seconds(5)};
constexpr Pace kFast = {absl::Milliseconds(100), 4, absl::Milliseconds(500)};

// Shows the breaker's changes as they happen, and remembers them.
class Watcher final : public grpc_breaker::BreakerListener {
 public:
  explicit Watcher(Console* console) : console_(*console) {}

  void OnTransition(const BreakerTransition& transition) override {
    console_.Transition(transition);
    const std::lock_guard<std::mutex> lock(mutex_);
    state_ = transition.to;
    states_.push_back(state_);
  }

  BreakerState state() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return state_;
  }

  // All so far, in order.
  std::vector<BreakerState> states() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return states_;
  }

 private:
  Console& console_;
  mutable std::mutex mutex_;
  BreakerState state_ = kClosed;
  std::vector<BreakerState> states_ = {kClosed};
};

grpc_breaker::Options MakeOptions(const Pace& pace,
                                  std::shared_ptr<Watcher> watcher) {
  grpc_breaker::Options options;
  options.channel_name = "prices";
  options.listeners.push_back(std::move(watcher));
  grpc_breaker::Policy& policy = options.Method<Prices>("GetPrice");
  policy.timeout = absl::Seconds(1);
  policy.retry.max_retries = 3;
  policy.retry.base_delay = absl::Milliseconds(10);
  policy.breaker.consecutive_failures = 20;
  policy.breaker.open_duration = pace.open_duration;
  Price cached;
  cached.set_cents(600);
  cached.set_from_cache(true);
  policy.fallback = grpc_breaker::Fallback::Reply(cached);
  return options;
}

// An answer that is later than nine of ten is asked for once more.
grpc_breaker::Options MakeHedgedOptions() {
  grpc_breaker::Options options;
  options.channel_name = "hedged prices";
  grpc_breaker::Policy& policy = options.Method<Prices>("GetPrice");
  policy.timeout = absl::Seconds(1);
  policy.hedging.max_hedges = 1;
  policy.hedging.delay = absl::Milliseconds(20);
  policy.hedging.delay_percentile = 90;
  return options;
}

// What was seen in one tick.
struct Row {
  Answers answers;
  int64_t server_calls = 0;
  BreakerState state = kClosed;  // At the end.
  bool steady = false;           // In that state throughout.
};
using Rows = std::vector<Row>;

// The numbers of calls.
Row Sum(const Rows& rows) {
  Row sum;
  for (const Row& row : rows) {
    sum.answers.from_server += row.answers.from_server;
    sum.answers.from_fallback += row.answers.from_fallback;
    sum.answers.failed += row.answers.failed;
    sum.answers.rejected += row.answers.rejected;
    sum.answers.latencies.insert(sum.answers.latencies.end(),
                                 row.answers.latencies.begin(),
                                 row.answers.latencies.end());
    sum.server_calls += row.server_calls;
  }
  return sum;
}

std::string Milliseconds(absl::Duration duration) {
  return absl::FormatDuration(absl::Trunc(duration, absl::Milliseconds(1)));
}

struct Story {
  Rows healthy;
  Rows failing;
  Rows down;  // And until the breaker has found that it no longer is.
  Rows recovered;
  Rows late;                   // Some answers, and no hedges.
  Rows hedged;                 // The same with hedges.
  bool stayed_closed = false;  // While failing.
  bool listed = false;         // breakerctl showed what it should.
};

class Demo {
 public:
  Demo(const Pace& pace, std::string server_path, std::string breakerctl_path)
      : pace_(pace),
        server_path_(std::move(server_path)),
        breakerctl_path_(std::move(breakerctl_path)) {}

  // Starts the server and connects to it.
  absl::Status Start();

  // After Start. True if everything went as it should.
  bool Run() {
    const Story story = Tell();
    return GoesOn() && Judge(story);
  }

 private:
  // What happens, on the console and for Judge.
  Story Tell();
  bool Judge(const Story& story);
  bool GoesOn() const { return !interrupted && !server_lost_; }

  // Shows ticks until `end()` holds after one, at most `most` of them.
  void Watch(
      absl::string_view phase, int most, Rows* rows,
      const std::function<bool()>& end = [] { return false; });
  Row Tick(absl::string_view phase);
  // From now on.
  void StartTick();

  void SetFailureRate(double rate);
  void SetDelayRate(double rate);
  int64_t ServerCalls();
  void CheckControl(const grpc::Status& status);

  // Runs breakerctl; true if it lists the method, with `state`.
  bool ShowBreakers(BreakerState state);

  // Whether the breaker has gone through these states, from the start.
  bool Went(const std::vector<BreakerState>& states) const;
  bool Expect(bool holds, absl::string_view what);

  const Pace pace_;
  const std::string server_path_;
  const std::string breakerctl_path_;
  Console console_;
  const std::shared_ptr<Watcher> watcher_ =
      std::make_shared<Watcher>(&console_);
  const TemporaryDirectory directory_;
  std::unique_ptr<Process> server_;
  std::unique_ptr<Control::Stub> control_;
  std::shared_ptr<grpc::Channel> channel_;
  std::shared_ptr<grpc::Channel> hedged_channel_;
  std::unique_ptr<grpc_breaker::AdminServer> admin_;
  std::unique_ptr<Load> load_;
  absl::Time next_tick_;
  int64_t server_calls_ = 0;
  size_t changes_ = 0;
  bool server_lost_ = false;
};

absl::Status Demo::Start() {
  auto server = Process::Start({server_path_});
  if (!server.ok()) return server.status();
  server_ = *std::move(server);
  const std::string target(absl::StripSuffix(server_->ReadLine(), "\n"));
  control_ = Control::NewStub(
      grpc::CreateChannel(target, grpc::InsecureChannelCredentials()));

  auto channel = grpc_breaker::CreateChannel(
      target, grpc::InsecureChannelCredentials(), MakeOptions(pace_, watcher_));
  if (!channel.ok()) return channel.status();
  channel_ = *std::move(channel);
  channel = grpc_breaker::CreateChannel(
      target, grpc::InsecureChannelCredentials(), MakeHedgedOptions());
  if (!channel.ok()) return channel.status();
  hedged_channel_ = *std::move(channel);

  if (directory_.path().empty()) {
    return absl::UnavailableError("cannot make a temporary directory");
  }
  auto admin = grpc_breaker::AdminServer::Start(
      absl::StrCat("unix:", directory_.path(), "/admin.sock"));
  if (!admin.ok()) return admin.status();
  admin_ = *std::move(admin);
  return absl::OkStatus();
}

Story Demo::Tell() {
  Story story;
  // More than any wait for the breaker should take.
  const int most = static_cast<int>(2 * pace_.open_duration / pace_.tick) + 10;

  console_.Say(absl::StrCat(
      "A server (process ", server_->pid(), ") sells hammers. ", kThreads,
      " threads of this process ask it for their price.\n"
      "Each call has up to 4 attempts; 20 failed attempts in a row open the "
      "breaker for ",
      absl::FormatDuration(pace_.open_duration),
      ".\nWhere no answer is to be had, the fallback gives a cached price.\n"));
  load_ = std::make_unique<Load>(channel_, kThreads, kPeriod);
  StartTick();

  console_.TableHead();
  Watch("healthy", pace_.ticks_per_phase, &story.healthy);

  console_.Say("        The server is told to fail every fifth call.");
  SetFailureRate(0.2);
  Watch("failing", pace_.ticks_per_phase, &story.failing);
  story.stayed_closed = Went({kClosed}) && !Went({kClosed, kOpen});
  story.listed = ShowBreakers(kClosed);

  console_.TableHead();
  console_.Say("        The server is told to fail every call.");
  SetFailureRate(1);
  Watch("down", most, &story.down, [&] { return Went({kClosed, kOpen}); });
  Watch("down", 2, &story.down);
  story.listed &= ShowBreakers(kOpen);
  console_.TableHead();
  Watch("down", most, &story.down, [&] {
    return Went({kClosed, kOpen, kHalfOpen, kOpen});
  });

  console_.Say(
      "        The server is well again; it is for the breaker to find out.");
  SetFailureRate(0);
  Watch("recovering", most, &story.down,
        [&] { return watcher_->state() == kClosed; });
  Watch("healthy", pace_.ticks_per_phase, &story.recovered);
  story.listed &= ShowBreakers(kClosed);

  console_.TableHead();
  console_.Say(
      "        The server is told to be late with 3 % of its answers.");
  SetDelayRate(0.03);
  Watch("late", pace_.ticks_per_phase, &story.late);
  console_.Say(
      "        The same with hedges: what is later than nine answers of ten is "
      "asked for once more.");
  load_ = std::make_unique<Load>(hedged_channel_, kThreads, kPeriod);
  StartTick();
  Watch("hedged", pace_.ticks_per_phase, &story.hedged);
  return story;
}

bool Demo::Judge(const Story& story) {
  const Row healthy = Sum(story.healthy);
  const Row failing = Sum(story.failing);
  const Row recovered = Sum(story.recovered);
  const Row late = Sum(story.late);
  const Row hedged = Sum(story.hedged);
  Row open;
  bool fast = true;
  for (const Row& row : story.down) {
    if (!row.steady || row.state != kOpen || row.answers.calls() == 0) continue;
    open = Sum({open, row});
    fast &= row.answers.Latency(0.5) < absl::Milliseconds(1);
  }
  std::vector<BreakerState> states = watcher_->states();
  std::reverse(states.begin(), states.end());

  console_.Say("What was seen:");
  bool all = true;
  all &= Expect(healthy.answers.from_server == healthy.answers.calls(),
                "healthy: the server answered every call");
  all &= Expect(
      failing.server_calls > failing.answers.calls() &&
          failing.answers.from_server > 0.95 * failing.answers.calls() &&
          story.stayed_closed,
      "failing: retries hid nearly all failures, the breaker stayed CLOSED");
  all &= Expect(open.answers.calls() > 0 && open.server_calls == 0,
                "OPEN: no call reached the server");
  all &= Expect(open.answers.rejected == open.answers.calls() &&
                    open.answers.from_fallback == open.answers.calls() && fast,
                "OPEN: the fallback answered all calls, in under 1 ms");
  all &= Expect(Went({kClosed, kOpen, kHalfOpen, kOpen}),
                "HALF_OPEN: a failed probe opened the breaker again");
  all &= Expect(
      states.size() > 2 && states[0] == kClosed && states[1] == kHalfOpen,
      "HALF_OPEN: probes of the recovered server closed it");
  all &= Expect(recovered.answers.from_server == recovered.answers.calls(),
                "healthy again: the server answered every call");
  const absl::Duration p99_late = late.answers.Latency(0.99);
  const absl::Duration p99_hedged = hedged.answers.Latency(0.99);
  all &=
      Expect(p99_hedged < p99_late,
             absl::StrCat(
                 "late: of 100 calls, 99 took up to ", Milliseconds(p99_late),
                 "; with hedges ", Milliseconds(p99_hedged), ", for ",
                 hedged.server_calls - hedged.answers.calls(),
                 " more attempts than the ", hedged.answers.calls(), " calls"));
  all &= Expect(story.listed, "breakerctl said the same");
  return all;
}

void Demo::Watch(absl::string_view phase, int most, Rows* rows,
                 const std::function<bool()>& end) {
  for (int i = 0; i < most && GoesOn(); ++i) {
    rows->push_back(Tick(phase));
    if (end()) return;
  }
}

void Demo::StartTick() {
  next_tick_ = absl::Now();
  load_->Take();
  server_calls_ = ServerCalls();
  changes_ = watcher_->states().size();
}

Row Demo::Tick(absl::string_view phase) {
  next_tick_ += pace_.tick;
  std::this_thread::sleep_for(
      absl::ToChronoNanoseconds(next_tick_ - absl::Now()));
  Row row;
  row.answers = load_->Take();
  const int64_t server_calls = ServerCalls();
  row.server_calls = server_calls - std::exchange(server_calls_, server_calls);
  const std::vector<BreakerState> states = watcher_->states();
  row.steady = std::exchange(changes_, states.size()) == states.size();
  row.state = states.back();
  console_.TableRow(phase, row.answers, row.server_calls, pace_.tick,
                    row.state);
  return row;
}

void Demo::SetFailureRate(double rate) {
  grpc::ClientContext context;
  SetFailureRateRequest request;
  request.set_failure_rate(rate);
  SetFailureRateResponse response;
  CheckControl(control_->SetFailureRate(&context, request, &response));
}

void Demo::SetDelayRate(double rate) {
  grpc::ClientContext context;
  SetDelayRateRequest request;
  request.set_delay_rate(rate);
  SetDelayRateResponse response;
  CheckControl(control_->SetDelayRate(&context, request, &response));
}

int64_t Demo::ServerCalls() {
  grpc::ClientContext context;
  Statistics statistics;
  CheckControl(control_->GetStatistics(&context, {}, &statistics));
  return statistics.calls();
}

void Demo::CheckControl(const grpc::Status& status) {
  if (status.ok() || std::exchange(server_lost_, true)) return;
  console_.Say("the server is lost: " + status.error_message());
}

bool Demo::ShowBreakers(BreakerState state) {
  if (!GoesOn()) return false;
  auto breakerctl = Process::Start(
      {breakerctl_path_, "--address", admin_->address(), "list"});
  if (!breakerctl.ok()) {
    console_.Say(breakerctl.status().ToString());
    return false;
  }
  bool found = false;
  std::string output;
  for (std::string line; !(line = (*breakerctl)->ReadLine()).empty();) {
    found |= absl::StrContains(line, kMethod) &&
             absl::StrContains(line, absl::StrCat(" ", ToString(state), " "));
    absl::StrAppend(&output, line);
  }
  console_.Say(absl::StrCat("\n$ breakerctl --address ", admin_->address(),
                            " list\n", output));
  const bool succeeded = (*breakerctl)->Wait() == 0;
  StartTick();
  return succeeded && found;
}

bool Demo::Went(const std::vector<BreakerState>& states) const {
  const std::vector<BreakerState> all = watcher_->states();
  return all.size() >= states.size() &&
         std::equal(states.begin(), states.end(), all.begin());
}

bool Demo::Expect(bool holds, absl::string_view what) {
  console_.Say(absl::StrCat(holds ? "  yes  " : "  NO   ", what));
  return holds;
}

int Main(std::vector<std::string> arguments) {
  const bool fast = !arguments.empty() && arguments[0] == "--fast";
  if (fast) arguments.erase(arguments.begin());
  if (arguments.size() != 2) {
    std::cerr << "usage: demo [--fast] SERVER BREAKERCTL" << std::endl;
    return 2;
  }
  // So that a user's Ctrl-C cleans up as well.
  signal(SIGINT, [](int) { interrupted = 1; });
  signal(SIGTERM, [](int) { interrupted = 1; });
  Demo demo(fast ? kFast : kToWatch, arguments[0], arguments[1]);
  if (const absl::Status status = demo.Start(); !status.ok()) {
    std::cerr << "demo: " << status << std::endl;
    return EXIT_FAILURE;
  }
  return demo.Run() ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace demo

int main(int argc, char** argv) {
  return demo::Main(std::vector<std::string>(argv + 1, argv + argc));
}
