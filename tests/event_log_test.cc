#include "grpc_breaker/admin/event_log.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Response = admin::v1::ListEventsResponse;

class EventLogTest : public ::testing::Test {
 protected:
  std::shared_ptr<Registry> MakeChannel(const std::string& name) {
    Options options;
    options.channel_name = name;
    options.directory = &directory_;
    options.environment = &channel_environment_;
    return *Registry::Create(options);
  }

  // Two events, each.
  static void ForceAndReset(Method& method) {
    ASSERT_TRUE(method.breaker()
                    .SetManualState({BreakerState::kForcedOpen, "", ""})
                    .ok());
    method.breaker().Reset("", "");
  }

  BreakerAudit Audit(const std::string& rpc, bool made = true) {
    BreakerAudit audit;
    audit.rpc = rpc;
    audit.method_prefix = "/";
    audit.status =
        made ? absl::OkStatus() : absl::PermissionDeniedError("not you");
    audit.at = environment_.Now();
    return audit;
  }

  Response List(const std::string& token = "", size_t at_most = 10000,
                const BreakerFilter& filter = {"", ""}) {
    return log_.List(token, filter, at_most);
  }

  // The states that changes led to, and the RPCs of audits.
  static std::vector<std::string> Lines(const Response& response) {
    std::vector<std::string> lines;
    for (const admin::v1::Event& event : response.events()) {
      lines.push_back(
          event.has_audit()
              ? event.audit().rpc()
              : admin::v1::State_Name(event.transition().to()).substr(6));
    }
    return lines;
  }

  static BreakerFilter Filter(const admin::v1::BreakerFilter& message) {
    Violations violations;
    return BreakerFilter::Parse(message, violations);
  }

  ManualEnvironment environment_;
  ManualEnvironment channel_environment_;
  Directory directory_;
  EventLog log_{directory_, environment_};
};

TEST_F(EventLogTest, IsEmptyAtFirstAndHasATokenForWhatComes) {
  const Response before = List();
  EXPECT_THAT(before.events(), IsEmpty());
  EXPECT_FALSE(before.more());
  log_.Add(Audit("Reset"));
  EXPECT_THAT(Lines(List(before.token())), ElementsAre("Reset"));
}

TEST_F(EventLogTest, KeepsTheOrderAcrossKinds) {
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  log_.Add(Audit("First"));
  ForceAndReset(method);
  log_.Add(Audit("Refused", /*made=*/false));
  ForceAndReset(method);
  log_.Add(Audit("Last"));
  EXPECT_THAT(Lines(List()),
              ElementsAre("First", "FORCED_OPEN", "CLOSED", "Refused",
                          "FORCED_OPEN", "CLOSED", "Last"));
}

TEST_F(EventLogTest, PagesShowEveryEventOnce) {
  for (int i = 0; i < 7; ++i) log_.Add(Audit(absl::StrCat(i)));
  for (const size_t size : {1, 2, 6, 7, 8}) {
    std::vector<std::string> all;
    Response page;
    do {
      page = List(page.token(), size);
      EXPECT_THAT(page.events(), SizeIs(testing::Le(size)));
      for (const std::string& line : Lines(page)) all.push_back(line);
      EXPECT_EQ(page.missed(), 0u);
    } while (page.more());
    EXPECT_THAT(all, ElementsAre("0", "1", "2", "3", "4", "5", "6")) << size;
    EXPECT_THAT(Lines(List(page.token(), size)), IsEmpty());
  }
}

TEST_F(EventLogTest, NoKindPushesOutAnother) {
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  log_.Add(Audit("Made"));
  log_.Add(Audit("Refused", /*made=*/false));
  ForceAndReset(method);
  const auto expect_all = [&] {
    const std::vector<std::string> lines = Lines(List());
    EXPECT_THAT(lines, testing::Contains("Made"));
    EXPECT_THAT(lines, testing::Contains("Refused"));
    EXPECT_THAT(lines, testing::Contains("FORCED_OPEN"));
    return lines.size();
  };
  for (int i = 0; i < 2000; ++i) log_.Add(Audit("Again", /*made=*/false));
  log_.Add(Audit("Refused", /*made=*/false));
  EXPECT_EQ(expect_all(), 1 + EventLog::kAudits + 2);
  for (int i = 0; i < 2000; ++i) log_.Add(Audit("Again"));
  log_.Add(Audit("Made"));
  EXPECT_EQ(expect_all(), 2 * EventLog::kAudits + 2);
  for (int i = 0; i < 2000; ++i) ForceAndReset(method);
  EXPECT_EQ(expect_all(), 2 * EventLog::kAudits + EventLog::kTransitions);
}

TEST_F(EventLogTest, TellsAFollowerHowManyItHasMissed) {
  const std::string at_the_start = List().token();
  log_.Add(Audit("Seen"));
  const std::string token = List().token();
  for (size_t i = 0; i < EventLog::kAudits + 30; ++i) log_.Add(Audit("Later"));
  EXPECT_EQ(List(token).missed(), 30u);
  EXPECT_EQ(List(at_the_start).missed(), 31u);
  // Once, however large the page.
  const Response one = List(token, 1);
  EXPECT_EQ(one.missed(), 30u);
  EXPECT_EQ(List(one.token()).missed(), 0u);
  EXPECT_EQ(List().missed(), 0u) << "who comes new has missed nothing";
}

TEST_F(EventLogTest, ATokenOfAnotherLogOrOfNobodyBeginsAtTheOldest) {
  log_.Add(Audit("First"));
  const EventLog other(directory_, environment_);
  const std::string foreign = other.List("", {"", ""}, 1).token();
  const std::string own = List().token();
  EXPECT_THAT(Lines(List(own)), IsEmpty());
  for (const std::string& token :
       {foreign, std::string("nonsense"), std::string("1-1"), own + "x",
        own.substr(0, own.find('-'))}) {
    EXPECT_THAT(Lines(List(token)), ElementsAre("First")) << token;
    EXPECT_EQ(List(token).missed(), 0u);
  }
}

// The fleet goes by that.
TEST_F(EventLogTest, ATokenTellsItsLogFromOthersBeforeItsDash) {
  const auto log_of = [](const std::string& token) {
    return token.substr(0, token.find('-'));
  };
  EventLog other(directory_, environment_);
  const std::string before = List().token();
  log_.Add(Audit("First"));
  EXPECT_NE(List().token(), before);
  EXPECT_EQ(log_of(List().token()), log_of(before));
  EXPECT_NE(log_of(other.List("", {"", ""}, 1).token()), log_of(before));
}

TEST_F(EventLogTest, FiltersChangesOfState) {
  auto a = MakeChannel("a");
  auto b = MakeChannel("b");
  ForceAndReset(a->FindOrCreate("/pkg.S/M"));
  ForceAndReset(a->FindOrCreate("/pkg.T/M"));
  ForceAndReset(b->FindOrCreate("/pkg.S/M"));
  const auto count = [&](const admin::v1::BreakerFilter& filter) {
    return List("", 100, Filter(filter)).events_size();
  };
  admin::v1::BreakerFilter filter;
  EXPECT_EQ(count(filter), 6);
  filter.set_method_prefix("/pkg.S/");
  EXPECT_EQ(count(filter), 4);
  filter.set_channel("a");
  EXPECT_EQ(count(filter), 2);
  filter.add_states(admin::v1::STATE_FORCED_OPEN);
  EXPECT_EQ(count(filter), 1);
}

TEST_F(EventLogTest, FiltersAuditsByWhatTheyMayHaveBeenAbout) {
  BreakerAudit of_prefix = Audit("Prefix");
  of_prefix.method_prefix = "/pkg.S/M";
  BreakerAudit of_method = Audit("Method");
  of_method.method_prefix = "";
  of_method.method = "/pkg.S/M";
  of_method.channel = "a";
  log_.Add(of_prefix);
  log_.Add(of_method);
  const auto lines = [&](const std::string& prefix,
                         const std::string& channel) {
    return Lines(List("", 100, {channel, prefix}));
  };
  EXPECT_THAT(lines("", ""), ElementsAre("Prefix", "Method"));
  EXPECT_THAT(lines("/pkg.S/", ""), ElementsAre("Prefix", "Method"));
  EXPECT_THAT(lines("/pkg.S/MM", ""), ElementsAre("Prefix"));
  EXPECT_THAT(lines("/pkg.T/", ""), IsEmpty());
  EXPECT_THAT(lines("", "a"), ElementsAre("Prefix", "Method"));
  EXPECT_THAT(lines("", "b"), ElementsAre("Prefix"));
  admin::v1::BreakerFilter of_state;
  of_state.add_states(admin::v1::STATE_OPEN);
  EXPECT_THAT(Lines(List("", 100, Filter(of_state))), IsEmpty());
}

// Else a follower would be shown the events in between again and again.
TEST_F(EventLogTest, ATokenIsBehindWhatDidNotMatch) {
  log_.Add(Audit("Reset"));
  admin::v1::BreakerFilter of_state;
  of_state.add_states(admin::v1::STATE_OPEN);
  EXPECT_THAT(Lines(List(List("", 100, Filter(of_state)).token())), IsEmpty());
}

TEST_F(EventLogTest, AgesGrowByTheClockOfTheServiceWhateverTheChannels) {
  channel_environment_.Advance(absl::Hours(1000));
  auto channel = MakeChannel("a");
  ASSERT_TRUE(channel->FindOrCreate("/pkg.S/M")
                  .breaker()
                  .SetManualState({BreakerState::kForcedOpen, "", ""})
                  .ok());
  log_.Add(Audit("Reset"));
  environment_.Advance(absl::Seconds(7));
  const Response response = List();
  ASSERT_EQ(response.events_size(), 2);
  EXPECT_EQ(response.events(0).transition().age().seconds(), 7);
  EXPECT_EQ(response.events(1).audit().age().seconds(), 7);
}

TEST_F(EventLogTest, AFollowerSeesEveryEventOfManyThreadsOnce) {
  constexpr int kThreads = 4;
  constexpr int kEach = 40;  // So many that all are kept.
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this] {
      for (int i = 0; i < kEach; ++i) log_.Add(Audit("Reset"));
    });
  }
  int seen = 0;
  std::string token;
  while (seen < kThreads * kEach) {
    const Response response = List(token, 7);
    seen += response.events_size();
    EXPECT_EQ(response.missed(), 0u);
    token = response.token();
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seen, kThreads * kEach);
  EXPECT_THAT(List(token).events(), IsEmpty());
}

}  // namespace
}  // namespace grpc_breaker::internal
