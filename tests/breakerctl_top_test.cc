// Runs the real breakerctl top on a terminal, against a real server.

#include <signal.h>
#include <sys/wait.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "grpc_breaker/admin_authorizer.h"
#include "grpc_breaker/admin_server.h"
#include "grpc_breaker/registry.h"
#include "gtest/gtest.h"
#include "tests/breakerctl_fixture.h"
#include "tests/on_terminal.h"

namespace grpc_breaker {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class BreakerctlTopTest : public BreakerctlFixture {
 protected:
  std::unique_ptr<OnTerminal> Top(std::vector<std::string> flags = {},
                                  std::vector<std::string> environment = {}) {
    flags.insert(flags.begin(), "top");
    flags.push_back("--timeout=60s");
    environment.push_back("BREAKERCTL_ADDRESS=" + server_->address());
    environment.push_back("TERM=xterm");
    environment.push_back("LC_ALL=C.UTF-8");
    return std::make_unique<OnTerminal>(std::move(flags),
                                        std::move(environment));
  }

  void AllowChangesAfter(const absl::Notification& go_on) {
    AdminServerOptions options;
    options.authorizer = [&](const AdminRequest&) {
      go_on.WaitForNotification();
      return AdminDecision::Allow("bob");
    };
    server_ = Serve(absl::StrCat("unix:", path_, "/slow"), std::move(options));
  }

  static BreakerState StateOf(const Method& method) {
    return method.breaker().Snapshot(Environment::Default().Now()).state;
  }

  std::shared_ptr<Registry> channel_ = MakeChannel("shop");
  Method& method_ = channel_->FindOrCreate("/pkg.Shop/Buy");
};

#if BREAKERCTL_NCURSES

TEST_F(BreakerctlTopTest, ShowsBreakersUntilQ) {
  channel_->FindOrCreate("/pkg.Shop/Sell");
  Open(method_);
  const auto top = Top();
  EXPECT_TRUE(top->Shows("/pkg.Shop/Buy"));
  EXPECT_TRUE(top->Shows("/pkg.Shop/Sell"));
  EXPECT_TRUE(top->Shows("OPEN"));
  EXPECT_TRUE(top->Shows("CLOSED"));
  EXPECT_FALSE(top->IsRestored()) << "it is all of the screen";
  top->Type("q");
  const int status = top->Wait();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(top->IsRestored());
}

TEST_F(BreakerctlTopTest, ControlCEndsIt) {
  const auto top = Top();
  EXPECT_TRUE(top->Shows("/pkg.Shop/Buy"));
  top->Type("\x03");
  const int status = top->Wait();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(top->IsRestored());
}

TEST_F(BreakerctlTopTest, ASignalEndsItWithTheTerminalAsItWas) {
  const auto top = Top();
  EXPECT_TRUE(top->Shows("/pkg.Shop/Buy"));
  top->Signal(SIGTERM);
  const int status = top->Wait();
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
  EXPECT_TRUE(top->IsRestored());
}

TEST_F(BreakerctlTopTest, WhenNobodyIsThereAnyMoreItEnds) {
  const auto top = Top();
  EXPECT_TRUE(top->Shows("/pkg.Shop/Buy"));
  top->HangUp();
  const int status = top->Wait();
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGHUP);
}

// The interval does not end here.
TEST_F(BreakerctlTopTest, AChangeIsSeenAtOnce) {
  const auto top = Top({"--interval=24h"});
  EXPECT_TRUE(top->Shows("CLOSED"));
  Open(method_);
  EXPECT_TRUE(top->Shows("OPEN"));
  EXPECT_TRUE(top->Shows("consecutive")) << "the cause";
}

TEST_F(BreakerctlTopTest, ChangesItsSizeWithTheTerminal) {
  const auto top = Top();
  EXPECT_TRUE(top->Shows("CALLS/S"));
  EXPECT_TRUE(top->Shows("HISTORY"));
  top->Resize(44, 8);
  // Written anew, and without what does not fit any more.
  EXPECT_TRUE(top->Shows("CALLS/S"));
  while (absl::StrContains(top->written(), "HISTORY")) {
    ASSERT_TRUE(top->Shows("CALLS/S"));
  }
  top->Resize(120, 24);
  EXPECT_TRUE(top->Shows("HISTORY"));
}

TEST_F(BreakerctlTopTest, ShowsDetailsOfABreaker) {
  const auto top = Top();
  EXPECT_TRUE(top->Shows("/pkg.Shop/Buy"));
  top->Type("\r");
  EXPECT_TRUE(top->Shows("transitions:"));
  top->Type("\x1b[6~");  // PgDn
  EXPECT_TRUE(top->Shows("recovers:"));
  top->Type("\x1b");
  EXPECT_TRUE(top->Shows("sort"));
}

TEST_F(BreakerctlTopTest, OpensABreakerForAReason) {
  AdminServerOptions options;
  options.authorizer = AllowUnixSockets();
  server_ = Serve(absl::StrCat("unix:", path_, "/changes"), std::move(options));
  const auto top = Top({"--allow-changes", "--actor=bob", "--ttl=1h"});
  EXPECT_TRUE(top->Shows("/pkg.Shop/Buy"));
  top->Type("o");
  EXPECT_TRUE(top->Shows("why?"));
  top->Type("maintenance\r");
  EXPECT_TRUE(top->Shows("(maintenance)?"));
  EXPECT_EQ(StateOf(method_), BreakerState::kClosed);
  top->Type("y");
  EXPECT_TRUE(top->Shows("FORCED_OPEN"));
  const BreakerSnapshot snapshot =
      method_.breaker().Snapshot(Environment::Default().Now());
  EXPECT_EQ(snapshot.state, BreakerState::kForcedOpen);
  ASSERT_TRUE(snapshot.manual.has_value());
  EXPECT_EQ(snapshot.manual->reason, "maintenance");
  EXPECT_EQ(snapshot.manual->actor, "bob (claimed)");
  EXPECT_LE(snapshot.manual->time_to_live, absl::Hours(1));
  top->Type("xdone\ry");
  EXPECT_TRUE(top->Shows("CLOSED"));
  EXPECT_EQ(StateOf(method_), BreakerState::kClosed);
}

TEST_F(BreakerctlTopTest, ChangesThatWaitForAnotherAreAllMade) {
  channel_->FindOrCreate("/pkg.Shop/Get");
  channel_->FindOrCreate("/pkg.Shop/Put");
  absl::Notification go_on;
  AllowChangesAfter(go_on);
  const auto top = Top({"--allow-changes"});
  EXPECT_TRUE(top->Shows("3 CLOSED"));
  for (const std::string reason : {"one", "two", "three"}) {
    top->Type("o");
    EXPECT_TRUE(top->Shows("why?"));
    top->Type(reason + "\r");
    EXPECT_TRUE(top->Shows(absl::StrCat("(", reason, ")?")));
    top->Type("y");
    EXPECT_TRUE(top->Shows("sort")) << "nothing is asked any more";
    top->Type("\x1bOB");  // Down
  }
  go_on.Notify();
  EXPECT_TRUE(top->Shows("3 FORCED_OPEN"));
}

TEST_F(BreakerctlTopTest, WhoLeavesBeforeChangesAreMadeIsAsked) {
  absl::Notification go_on;
  AllowChangesAfter(go_on);
  const auto top = Top({"--allow-changes"});
  const auto another = Top({"--allow-changes"});
  for (OnTerminal* who : {top.get(), another.get()}) {
    EXPECT_TRUE(who->Shows("/pkg.Shop/Buy"));
    who->Type("o");
    EXPECT_TRUE(who->Shows("why?"));
    who->Type("maintenance\ry");
    EXPECT_TRUE(who->Shows("sort"));
    who->Type("q");
    EXPECT_TRUE(who->Shows("1 change not made yet"));
  }
  another->Type("q");
  EXPECT_EQ(another->Wait(), 0);
  go_on.Notify();
  EXPECT_TRUE(top->Shows("FORCED_OPEN"));
  EXPECT_TRUE(top->Shows("1 breaker changed"));
  top->Type("q");
  EXPECT_EQ(top->Wait(), 0);
}

TEST_F(BreakerctlTopTest, WhatIsNotAllowedIsSaid) {
  const auto top = Top({"--allow-changes"});
  EXPECT_TRUE(top->Shows("/pkg.Shop/Buy"));
  top->Type("owhy\ry");
  EXPECT_TRUE(top->Shows("authorizer"));
  EXPECT_THAT(top->written(), Not(HasSubstr("PERMISSION_DENIED")))
      << "as other commands say it";
  EXPECT_EQ(StateOf(method_), BreakerState::kClosed);
}

TEST_F(BreakerctlTopTest, ColoursAreAsTheEnvironmentSays) {
  Open(method_);
  constexpr char kRed[] = "\x1b[31m";
  EXPECT_TRUE(Top()->Shows(kRed));
  const auto top = Top({}, {"NO_COLOR=1"});
  EXPECT_TRUE(top->Shows("OPEN"));
  EXPECT_THAT(top->written(), Not(HasSubstr(kRed)));
}

TEST_F(BreakerctlTopTest, ATerminalThatIsNotKnownIsAnError) {
  const Result result = RunAsIs(
      {"top"}, Process::Surroundings{{"BREAKERCTL_ADDRESS=unix:x"}, 80});
  EXPECT_NE(result.code, 0);
  OnTerminal top({"top", "--address=unix:x"}, {"TERM=no-such-terminal"});
  EXPECT_TRUE(top.Shows("no-such-terminal"));
  EXPECT_EQ(WEXITSTATUS(top.Wait()), 1);
}

TEST_F(BreakerctlTopTest, WithoutATerminalItSaysWhatToUse) {
  const Result result = Run({"top"});
  EXPECT_EQ(result.code, 2);
  EXPECT_EQ(result.output, "");
  EXPECT_EQ(result.errors,
            "breakerctl: top: needs a terminal for input and output: use list, "
            "watch, or top --once; see breakerctl --help\n");
}

#else

TEST_F(BreakerctlTopTest, ABuildWithoutNcursesSaysSo) {
  const Result result = Run({"top"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.errors, HasSubstr("this build has no ncurses"));
}

#endif

TEST_F(BreakerctlTopTest, WritesOneFrame) {
  channel_->FindOrCreate("/pkg.Shop/Sell");
  Open(method_);
  const Result result = Run({"top", "--once", "--interval=10ms"});
  EXPECT_EQ(result.code, 0) << result.errors;
  ASSERT_EQ(result.lines().size(), 4u) << result.output;
  EXPECT_THAT(result.lines()[0],
              StartsWith("breakerctl top  2 breakers: 1 OPEN, 1 CLOSED"));
  EXPECT_THAT(result.lines()[1], StartsWith("STATE   METHOD"));
  EXPECT_THAT(result.lines()[2], AllOf(StartsWith("OPEN    /pkg.Shop/Buy "),
                                       HasSubstr("1 consecutive failure")));
  EXPECT_THAT(result.lines()[3], StartsWith("CLOSED  /pkg.Shop/Sell "));
}

TEST_F(BreakerctlTopTest, WritesOneFrameOfSeveralProcesses) {
  Directory directory;
  AdminServerOptions options;
  options.directory = &directory;
  const auto other = *AdminServer::Start(absl::StrCat("unix:", path_, "/other"),
                                         std::move(options));
  Options there;
  there.channel_name = "shop";
  there.directory = &directory;
  const auto registry = *Registry::Create(there);
  registry->FindOrCreate("/pkg.Shop/Buy");
  Open(method_);
  const std::string nobody = absl::StrCat("unix:", path_, "/nobody");
  const Result result =
      RunAsIs({"top", "--once", "--interval=10ms", "--timeout=60s",
               absl::StrCat("--address=", server_->address(), ",",
                            other->address(), ",", nobody)});
  EXPECT_EQ(result.code, 1) << "one does not answer";
  EXPECT_THAT(result.errors, StartsWith("breakerctl: " + nobody));
  ASSERT_EQ(result.lines().size(), 4u) << result.output;
  EXPECT_THAT(result.lines()[0], HasSubstr("3 processes  2 breakers"));
  EXPECT_THAT(result.lines()[1], StartsWith(nobody + ": no answer for "));
  EXPECT_THAT(result.lines()[3],
              StartsWith("OPEN   /pkg.Shop/Buy  1 OPEN, 1 CLOSED "));
}

TEST_F(BreakerctlTopTest, ItsFlagsAreChecked) {
  const Result result = Run({"top", "--once", "--interval=1ms"});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.errors,
              HasSubstr("interval: must be from 10ms to 24h, got 1ms"));
}

}  // namespace
}  // namespace grpc_breaker
