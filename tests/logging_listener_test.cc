#include "grpc_breaker/logging_listener.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

BreakerTransition Opening() {
  BreakerTransition transition;
  transition.breaker = "/pkg.S/M";
  transition.from = BreakerState::kClosed;
  transition.to = BreakerState::kOpen;
  transition.cause = "5 consecutive failures";
  transition.counts.successes = 7;
  transition.counts.failures = 5;
  transition.wall_time =
      absl::FromCivil(absl::CivilSecond(2025, 12, 3, 10, 15, 0),
                      absl::UTCTimeZone()) +
      absl::Milliseconds(250);
  return transition;
}

std::vector<std::string> LinesOf(const BreakerTransition& transition) {
  std::vector<std::string> lines;
  MakeLoggingListener([&lines](absl::string_view line) {
    lines.emplace_back(line);
  })->OnTransition(transition);
  return lines;
}

TEST(LoggingListenerTest, SaysWhenWhatAndWhyOnOneLine) {
  EXPECT_THAT(LinesOf(Opening()),
              ElementsAre("2025-12-03T10:15:00.250Z breaker /pkg.S/M: CLOSED "
                          "-> OPEN (5 consecutive failures; 12 calls, 5 "
                          "failed)"));
}

TEST(LoggingListenerTest, NamesTheChannel) {
  BreakerTransition transition = Opening();
  transition.channel = "prices\n";
  EXPECT_THAT(LinesOf(transition),
              ElementsAre(HasSubstr("Z breaker prices\\n /pkg.S/M: CLOSED")));
}

TEST(LoggingListenerTest, SaysWhatWasDropped) {
  BreakerEventsDropped dropped;
  dropped.breaker = "/pkg.S/M";
  dropped.channel = "prices";
  dropped.dropped = 7;
  dropped.wall_time = Opening().wall_time;
  std::string line;
  const auto listener = MakeLoggingListener(
      [&line](absl::string_view l) { line = std::string(l); });
  listener->OnEventsDropped(dropped);
  EXPECT_EQ(line,
            "2025-12-03T10:15:00.250Z breaker prices /pkg.S/M: 7 events were "
            "dropped, as listeners are too slow");
  dropped.dropped = 1;
  listener->OnEventsDropped(dropped);
  EXPECT_THAT(line, HasSubstr("1 event was dropped"));
}

TEST(LoggingListenerTest, SaysWhetherOtherPoliciesAreInForce) {
  std::vector<std::string> lines;
  const auto listener = MakeLoggingListener(
      [&lines](absl::string_view line) { lines.emplace_back(line); });
  PolicyReload reload;
  reload.channel = "prices";
  reload.source = "/etc/shop.yaml";
  reload.hash = "0123456789abcdef";
  reload.wall_time = absl::FromUnixMillis(1);
  listener->OnPolicyReload(reload);
  reload.error = "/etc/shop.yaml:3: x\n/etc/shop.yaml:4: y";
  listener->OnPolicyReload(reload);
  EXPECT_THAT(
      lines,
      ::testing::ElementsAre(
          "1970-01-01T00:00:00.001Z policies prices /etc/shop.yaml: now those "
          "of 0123456789abcdef",
          "1970-01-01T00:00:00.001Z policies prices /etc/shop.yaml: as before: "
          "/etc/shop.yaml:3: x\\n/etc/shop.yaml:4: y"));
}

TEST(LoggingListenerTest, SpeaksOfOneCallInTheSingular) {
  BreakerTransition transition = Opening();
  transition.counts = {0, 1, 0};
  EXPECT_THAT(LinesOf(transition),
              ElementsAre(HasSubstr("; 1 call, 1 failed")));
}

TEST(LoggingListenerTest, KeepsControlCharactersOutOfTheLog) {
  BreakerTransition transition = Opening();
  transition.cause = "first\nsecond \x1b[31m";
  EXPECT_THAT(LinesOf(transition),
              ElementsAre(HasSubstr("(first\\nsecond \\033[31m; ")));
}

TEST(LoggingListenerTest, WritesToStderrByDefault) {
  testing::internal::CaptureStderr();
  MakeLoggingListener()->OnTransition(Opening());
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("breaker /pkg.S/M: CLOSED -> OPEN"));
}

}  // namespace
}  // namespace grpc_breaker
