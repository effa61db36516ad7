// Changes breakers with the real breakerctl, and looks at what has happened.

#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "grpc_breaker/admin/event_log.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpc_breaker/admin_authorizer.h"
#include "grpc_breaker/admin_server.h"
#include "grpc_breaker/registry.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/breakerctl_fixture.h"

namespace grpc_breaker {
namespace {

using ::google::protobuf::util::JsonStringToMessage;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

// Whoever may open the socket may change breakers.
class BreakerctlChangesTest : public BreakerctlFixture {
 protected:
  BreakerctlChangesTest() { Authorize(AllowUnixSockets()); }

  void Authorize(AdminAuthorizer authorizer) {
    AdminServerOptions options;
    options.authorizer = std::move(authorizer);
    const std::string address = server_->address();
    server_.reset();
    server_ = Serve(address, std::move(options));
  }

  static BreakerState StateOf(const Method& method) {
    return method.breaker().Snapshot(Environment::Default().Now()).state;
  }
};

TEST_F(BreakerctlChangesTest, HoldsABreakerInEachStateAndResetsIt) {
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  const std::vector<std::pair<std::string, BreakerState>> steps = {
      {"open", BreakerState::kForcedOpen},
      {"close", BreakerState::kForcedClosed},
      {"metrics-only", BreakerState::kMetricsOnly},
      {"reset", BreakerState::kClosed}};
  for (const auto& [command, state] : steps) {
    const Result result = Run({command, "/pkg.S/M"});
    EXPECT_EQ(result.code, 0) << result.errors;
    EXPECT_EQ(StateOf(method), state) << command;
    ASSERT_EQ(result.lines().size(), 3u) << result.output;
    EXPECT_THAT(result.lines()[0],
                MatchesRegex("CHANNEL +METHOD +STATE +HELD FOR +BY +REASON"));
    EXPECT_THAT(
        result.lines()[1],
        MatchesRegex(absl::StrCat("a +/pkg.S/M +", ToString(state), " .*")));
    EXPECT_EQ(result.lines()[2], "1 breaker changed");
  }
}

TEST_F(BreakerctlChangesTest, RecordsReasonActorAndTime) {
  auto channel = MakeChannel("a");
  channel->FindOrCreate("/pkg.S/M");
  const Result result = Run({"open", "/pkg.S/M", "--reason=bad \x1b[31m deploy",
                             "--actor=alice", "--ttl=90m"});
  EXPECT_THAT(result.output,
              AllOf(HasSubstr(" 1h30m "), HasSubstr(" alice (claimed) "),
                    HasSubstr(" bad \\x1b[31m deploy\n")));
  EXPECT_THAT(Got("/pkg.S/M", "held"),
              MatchesRegex("by alice .claimed.: bad .* deploy, for another "
                           "1h29m"));
  EXPECT_THAT(Run({"open", "/pkg.S/M"}).output, HasSubstr(" until reset "));
  const Result brief = Run({"close", "/pkg.S/M", "--ttl=1h0.25s", "--json"});
  admin::v1::ChangeResponse response;
  ASSERT_TRUE(JsonStringToMessage(brief.output, &response).ok())
      << brief.output;
  EXPECT_EQ(response.count(), 1);
  ASSERT_EQ(response.breakers_size(), 1);
  EXPECT_EQ(response.breakers(0).manual().remaining().seconds(), 3600);
  EXPECT_EQ(response.breakers(0).manual().remaining().nanos(), 250'000'000);
}

TEST_F(BreakerctlChangesTest, TheActorIsThisUserUnlessToldOtherwise) {
  auto channel = MakeChannel("a");
  channel->FindOrCreate("/pkg.S/M");
  const auto actor = [this](const std::string& variable) {
    RunAsIs({"open", "/pkg.S/M", "--timeout=60s"},
            Process::Surroundings{
                {variable, "BREAKERCTL_ADDRESS=" + server_->address()}, 0});
    return Got("/pkg.S/M", "held");
  };
  EXPECT_THAT(actor("USER=bob"), MatchesRegex("by bob@.+ .claimed., until.*"));
  EXPECT_THAT(actor("USER="), StartsWith(absl::StrCat("by uid ", geteuid())));
}

TEST_F(BreakerctlChangesTest, ChangesAllThatBeginAlike) {
  auto a = MakeChannel("a");
  auto b = MakeChannel("b");
  Method& changed = a->FindOrCreate("/pkg.S/M");
  Method& too = a->FindOrCreate("/pkg.S/N");
  Method& of_other_service = a->FindOrCreate("/pkg.T/M");
  Method& of_other_channel = b->FindOrCreate("/pkg.S/M");
  const Result result = Run({"open", "--prefix=/pkg.S/", "--channel=a"});
  EXPECT_EQ(result.lines().back(), "2 breakers changed");
  EXPECT_EQ(StateOf(changed), BreakerState::kForcedOpen);
  EXPECT_EQ(StateOf(too), BreakerState::kForcedOpen);
  EXPECT_EQ(StateOf(of_other_service), BreakerState::kClosed);
  EXPECT_EQ(StateOf(of_other_channel), BreakerState::kClosed);
}

TEST_F(BreakerctlChangesTest, ADryRunShowsAndChangesNothing) {
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  for (const char* command : {"open", "reset"}) {
    const Result result = Run({command, "/pkg.S/M", "--dry-run"});
    EXPECT_EQ(result.code, 0) << result.errors;
    EXPECT_THAT(result.lines()[1],
                MatchesRegex("a +/pkg.S/M +CLOSED +- +- +-"));
    EXPECT_EQ(result.lines()[2], "1 breaker would be changed; nothing was");
  }
  EXPECT_EQ(StateOf(method), BreakerState::kClosed);
}

TEST_F(BreakerctlChangesTest, ChangesNothingWhereItWouldBeMoreThanItMay) {
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  channel->FindOrCreate("/pkg.S/N");
  const Result result = Run({"open", "--prefix=/", "--max-breakers=1"});
  EXPECT_EQ(result.code, 4);
  EXPECT_THAT(result.errors, HasSubstr("max_breakers"));
  EXPECT_EQ(StateOf(method), BreakerState::kClosed);
  EXPECT_EQ(Run({"open", "--prefix=/", "--max-breakers=2"}).code, 0);
}

TEST_F(BreakerctlChangesTest, SaysHowManyItDoesNotShow) {
  auto a = MakeChannel("a");
  auto b = MakeChannel("b");
  for (int i = 0; i < 1000; ++i) a->FindOrCreate(absl::StrCat("/pkg.S/M", i));
  b->FindOrCreate("/pkg.S/M");
  const Result result =
      Run({"open", "--prefix=/", "--max-breakers=2000", "--dry-run"});
  EXPECT_EQ(result.lines().size(), 1003u);
  EXPECT_EQ(result.lines()[1001], "and 1 more");
  EXPECT_EQ(result.lines()[1002],
            "1001 breakers would be changed; nothing was");
}

TEST_F(BreakerctlChangesTest, ExitsWith3WhereThereIsNothingToChange) {
  EXPECT_EQ(Run({"open", "/pkg.S/M"}).code, 3);
}

TEST_F(BreakerctlChangesTest, ExitsWith6WhereItIsNotAllowed) {
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  Authorize([](const AdminRequest&) { return AdminDecision::Deny("ask ops"); });
  const Result denied = Run({"open", "/pkg.S/M"});
  EXPECT_EQ(denied.code, 6);
  EXPECT_EQ(denied.errors,
            absl::StrCat("breakerctl: ", server_->address(), ": ask ops\n"));
  Authorize(AllowBearerTokens({}));
  EXPECT_EQ(Run({"open", "/pkg.S/M"}).code, 6);
  EXPECT_EQ(StateOf(method), BreakerState::kClosed);
}

TEST_F(BreakerctlChangesTest, ExitsWith2OnAWrongCommandLine) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"open"}, "open: neither METHOD nor --prefix is set"},
      {{"reset", "--channel=a"}, "reset: neither METHOD nor --prefix is set"},
      {{"open", "/pkg.S/M", "--prefix=/"}, "METHOD excludes --prefix"},
      {{"open", "/pkg.S/M", "--max-breakers=0"},
       "--max-breakers: must be at least 1, got 0"},
      {{"open", "/pkg.S/M", "--ttl=-1s"}, "--ttl: must be greater than 0"},
      {{"open", "/pkg.S/M", "--ttl=soon"}, "--ttl: must be a duration"},
      {{"open", "/pkg.S/M", "--ttl=1us"}, "ttl: must be at least 1ms"},
      {{"open", "pkg"}, "target.method: must be of the form"},
      {{"open", "/pkg.S/M", "--reason=" + std::string(257, 'x')},
       "reason: must be at most 256 bytes"},
      {{"reset", "/pkg.S/M", "--ttl=1s"},
       "--ttl is for top, open, close, metrics-only"},
      {{"events", "/pkg.S/M"}, "events: too much"},
  };
  for (const auto& [arguments, message] : cases) {
    const Result result = RunAsIs(arguments, server_->address());
    EXPECT_EQ(result.code, 2) << message << ": " << result.errors;
    EXPECT_THAT(result.errors, HasSubstr(message));
  }
}

TEST_F(BreakerctlChangesTest, EventsTellWhatHasHappenedAndWhoDidIt) {
  auto channel = MakeChannel("a");
  Open(channel->FindOrCreate("/pkg.S/M"));
  Run({"reset", "/pkg.S/M", "--actor=alice", "--reason=fixed\n"});
  Run({"open", "--prefix=/pkg.", "--channel=a", "--actor=", "--ttl=1h"});
  Run({"open", "/pkg.S/Lost", "--actor=bob"});
  const Result result = Run({"events"});
  EXPECT_EQ(result.code, 0) << result.errors;
  EXPECT_EQ(result.errors, "");
  const std::string time = "[0-9T:.-]+Z ";
  EXPECT_THAT(
      result.lines(),
      ElementsAre(
          MatchesRegex(time + "CHANGED a /pkg.S/M CLOSED -> OPEN \\(.+\\)"),
          MatchesRegex(time + "CHANGED a /pkg.S/M OPEN -> CLOSED \\(.+\\)"),
          MatchesRegex(time + "Reset /pkg.S/M by alice \\(claimed\\) from "
                              "unix:.* \\(fixed\\\\x0a\\): 1 breaker changed"),
          MatchesRegex(time +
                       "CHANGED a /pkg.S/M CLOSED -> FORCED_OPEN \\(.+\\)"),
          MatchesRegex(time + "ForceOpen /pkg.\\* of a from unix:.* for 1h: 1 "
                              "breaker changed"),
          MatchesRegex(time +
                       "ForceOpen /pkg.S/Lost by bob \\(claimed\\) from "
                       "unix:.*: refused: NOT_FOUND: target: no method.*")));

  EXPECT_THAT(Run({"events", "--state=OPEN"}).lines(),
              ElementsAre(HasSubstr("CLOSED -> OPEN")));
  EXPECT_THAT(Run({"events", "--prefix=/pkg.T/"}).lines(),
              Not(testing::Contains(HasSubstr("CHANGED"))));
}

TEST_F(BreakerctlChangesTest, EventsTellWhatAnUpdateOfAPolicyHasChanged) {
  auto channel = MakeChannel("a");
  channel->FindOrCreate("/pkg.S/M");
  admin::v1::UpdatePolicyRequest request;
  request.mutable_target()->set_method("/pkg.S/M");
  request.mutable_policy()->mutable_retry()->set_max_retries(7);
  request.mutable_policy()->mutable_timeout()->set_seconds(2);
  grpc::ClientContext context;
  admin::v1::UpdatePolicyResponse response;
  ASSERT_TRUE(admin::v1::CircuitBreakerAdmin::NewStub(
                  grpc::CreateChannel(server_->address(),
                                      grpc::InsecureChannelCredentials()))
                  ->UpdatePolicy(&context, request, &response)
                  .ok());
  EXPECT_THAT(Run({"events"}).lines(),
              ElementsAre(testing::EndsWith(
                  ": 1 breaker changed; retry.max_retries: 3 -> 7; timeout: "
                  "unset -> 2s")));
}

TEST_F(BreakerctlChangesTest, EventsAreAllPagesOfThem) {
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  const MonotonicTime now = Environment::Default().Now();
  for (int i = 0; i < 600; ++i) {
    ASSERT_TRUE(method.breaker()
                    .SetManualState({BreakerState::kForcedOpen, "", ""}, now)
                    .ok());
    method.breaker().Reset("", "", now);
  }
  // More than a page.
  for (int i = 0; i < 100; ++i) Run({"reset", "/pkg.S/M"});
  const Result result = Run({"events"});
  EXPECT_EQ(result.lines().size(), internal::EventLog::kTransitions + 100);
}

TEST_F(BreakerctlChangesTest, EventsAreOneJsonObjectPerLine) {
  auto channel = MakeChannel("a");
  Open(channel->FindOrCreate("/pkg.S/M"));
  Run({"reset", "/pkg.S/M"});
  const Result result = Run({"events", "--json"});
  ASSERT_EQ(result.lines().size(), 3u);
  admin::v1::Event event;
  ASSERT_TRUE(JsonStringToMessage(result.lines()[0], &event).ok());
  EXPECT_EQ(event.transition().to(), admin::v1::STATE_OPEN);
  ASSERT_TRUE(JsonStringToMessage(result.lines()[2], &event).ok());
  EXPECT_EQ(event.audit().rpc(), "Reset");
}

TEST_F(BreakerctlChangesTest, EventsFollowWhatHappensAndSayWhatTheyMissed) {
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  Open(method);
  Process process({"events", "--follow", "--interval=10ms", "--timeout=60s"},
                  server_->address());
  EXPECT_THAT(process.ReadLine(), HasSubstr("CLOSED -> OPEN"));
  const MonotonicTime now = Environment::Default().Now();
  method.breaker().Reset("", "", now);
  EXPECT_THAT(process.ReadLine(), HasSubstr("OPEN -> CLOSED"));

  process.Pause();
  for (size_t i = 0; i < internal::EventLog::kTransitions; ++i) {
    ASSERT_TRUE(method.breaker()
                    .SetManualState({BreakerState::kForcedOpen, "", ""}, now)
                    .ok());
    method.breaker().Reset("", "", now);
  }
  Open(channel->FindOrCreate("/pkg.S/End"));
  process.Resume();
  size_t seen = 1;
  while (!absl::StrContains(process.ReadLine(), "/pkg.S/End")) ++seen;
  EXPECT_GE(seen, internal::EventLog::kTransitions);
  server_.reset();
  EXPECT_EQ(process.Wait(), 1);
  EXPECT_THAT(
      process.ReadErrors(),
      StartsWith(absl::StrCat("breakerctl: missed ",
                              2 * internal::EventLog::kTransitions + 1 - seen,
                              " events: no longer kept\nbreakerctl: unix:")));
}

}  // namespace
}  // namespace grpc_breaker
