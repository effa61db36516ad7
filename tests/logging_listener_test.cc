#include "grpc_breaker/logging_listener.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/log_severity.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using absl::LogSeverity;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const absl::Time kTime =
    absl::FromCivil(absl::CivilSecond(2025, 12, 3, 10, 15, 0),
                    absl::UTCTimeZone()) +
    absl::Milliseconds(250);

BreakerTransition Opening() {
  BreakerTransition transition;
  transition.breaker = "/pkg.S/M";
  transition.channel = "prices";
  transition.from = BreakerState::kClosed;
  transition.to = BreakerState::kOpen;
  transition.cause = "5 consecutive failures";
  transition.counts = {7, 5, 1};
  transition.wall_time = kTime;
  return transition;
}

// What a listener writes.
class LoggingListenerTest : public ::testing::Test {
 protected:
  explicit LoggingListenerTest(LogFormat format = LogFormat::kLogfmt)
      : listener_(MakeLoggingListener(
            [this](LogSeverity severity, absl::string_view line) {
              severity_ = severity;
              lines_.emplace_back(line);
            },
            format)) {}

  const std::string& line() const { return lines_.back(); }

  LogSeverity severity_ = LogSeverity::kFatal;
  std::vector<std::string> lines_;
  const std::shared_ptr<BreakerListener> listener_;
};

class JsonLoggingListenerTest : public LoggingListenerTest {
 protected:
  JsonLoggingListenerTest() : LoggingListenerTest(LogFormat::kJson) {}
};

TEST_F(LoggingListenerTest, WritesALineOfFieldsForAChangeOfState) {
  listener_->OnTransition(Opening());
  EXPECT_THAT(
      lines_,
      ElementsAre("time=2025-12-03T10:15:00.250Z level=error event=transition "
                  "channel=prices breaker=/pkg.S/M from=CLOSED to=OPEN "
                  "cause=\"5 consecutive failures\" calls=12 failures=5 "
                  "slow=1"));
}

TEST_F(JsonLoggingListenerTest, WritesAnObjectForAChangeOfState) {
  listener_->OnTransition(Opening());
  EXPECT_THAT(
      lines_,
      ElementsAre(
          "{\"time\":\"2025-12-03T10:15:00.250Z\",\"level\":\"error\","
          "\"event\":\"transition\",\"channel\":\"prices\","
          "\"breaker\":\"/pkg.S/M\",\"from\":\"CLOSED\",\"to\":\"OPEN\","
          "\"cause\":\"5 consecutive failures\",\"calls\":12,"
          "\"failures\":5,\"slow\":1}"));
}

TEST_F(LoggingListenerTest, ABreakerOfOnesOwnHasNoChannel) {
  BreakerTransition transition = Opening();
  transition.channel.clear();
  listener_->OnTransition(transition);
  EXPECT_THAT(line(), HasSubstr("event=transition breaker=/pkg.S/M"));
}

TEST_F(LoggingListenerTest, TheLevelTellsHowBadAStateIs) {
  const std::vector<std::pair<BreakerState, LogSeverity>> expected = {
      {BreakerState::kClosed, LogSeverity::kInfo},
      {BreakerState::kHalfOpen, LogSeverity::kInfo},
      {BreakerState::kOpen, LogSeverity::kError},
      {BreakerState::kForcedOpen, LogSeverity::kWarning},
      {BreakerState::kForcedClosed, LogSeverity::kWarning},
      {BreakerState::kMetricsOnly, LogSeverity::kWarning}};
  for (const auto& [state, severity] : expected) {
    BreakerTransition transition = Opening();
    transition.to = state;
    listener_->OnTransition(transition);
    EXPECT_EQ(severity_, severity) << ToString(state);
    EXPECT_THAT(line(), HasSubstr(severity == LogSeverity::kInfo ? "level=info "
                                  : severity == LogSeverity::kError
                                      ? "level=error "
                                      : "level=warning "));
  }
}

TEST_F(LoggingListenerTest, SaysWhoChangedWhat) {
  BreakerAudit audit;
  audit.rpc = "ForceOpen";
  audit.method_prefix = "/pkg.S/";
  audit.channel = "prices";
  audit.actor = "bob (claimed)";
  audit.peer = "unix:";
  audit.reason = "bad deploy";
  audit.time_to_live = absl::Minutes(5);
  audit.changed = 3;
  audit.wall_time = kTime;
  listener_->OnAudit(audit);
  EXPECT_EQ(severity_, LogSeverity::kInfo);
  EXPECT_EQ(line(),
            "time=2025-12-03T10:15:00.250Z level=info event=audit "
            "rpc=ForceOpen channel=prices method_prefix=/pkg.S/ actor=\"bob "
            "(claimed)\" authenticated=false peer=unix: reason=\"bad deploy\" "
            "ttl=5m changed=3 code=OK");

  audit.method_prefix.clear();
  audit.method = "/pkg.S/M";
  audit.channel.clear();
  audit.actor = "alice";
  audit.authenticated = true;
  audit.reason.clear();
  audit.time_to_live = absl::InfiniteDuration();
  audit.changed = 0;
  audit.status = absl::PermissionDeniedError("ask ops");
  listener_->OnAudit(audit);
  EXPECT_EQ(severity_, LogSeverity::kWarning);
  EXPECT_THAT(line(), EndsWith("level=warning event=audit rpc=ForceOpen "
                               "method=/pkg.S/M actor=alice authenticated=true "
                               "peer=unix: reason=\"\" changed=0 "
                               "code=PERMISSION_DENIED message=\"ask ops\""));
}

TEST_F(LoggingListenerTest, SaysWhatWasDroppedAndWhatPoliciesWillNotGet) {
  BreakerEventsDropped dropped;
  dropped.breaker = "/pkg.S/M";
  dropped.channel = "prices";
  dropped.dropped = 7;
  dropped.wall_time = kTime;
  listener_->OnEventsDropped(dropped);
  EXPECT_EQ(line(),
            "time=2025-12-03T10:15:00.250Z level=warning event=events_dropped "
            "channel=prices breaker=/pkg.S/M dropped=7");
  PolicyWarning warning;
  warning.field = "methods[/pkg.S/M].retry.max_retries";
  warning.message = "has no effect";
  warning.wall_time = kTime;
  listener_->OnPolicyWarning(warning);
  EXPECT_EQ(line(),
            "time=2025-12-03T10:15:00.250Z level=warning event=policy_warning "
            "field=\"methods[/pkg.S/M].retry.max_retries\" message=\"has no "
            "effect\"");
  EXPECT_EQ(severity_, LogSeverity::kWarning);
}

TEST_F(LoggingListenerTest, SaysWhetherOtherPoliciesAreInForce) {
  PolicyReload reload;
  reload.channel = "prices";
  reload.source = "/etc/shop.yaml";
  reload.hash = "0123456789abcdef";
  reload.wall_time = kTime;
  listener_->OnPolicyReload(reload);
  EXPECT_EQ(severity_, LogSeverity::kInfo);
  EXPECT_EQ(line(),
            "time=2025-12-03T10:15:00.250Z level=info event=policy_reload "
            "channel=prices source=/etc/shop.yaml hash=0123456789abcdef");
  reload.error = "/etc/shop.yaml:3: x\n/etc/shop.yaml:4: y";
  listener_->OnPolicyReload(reload);
  EXPECT_EQ(severity_, LogSeverity::kError);
  EXPECT_THAT(line(), EndsWith(" error=\"/etc/shop.yaml:3: "
                               "x\\n/etc/shop.yaml:4: y\""));
}

TEST_F(LoggingListenerTest, WritesOneLineForTheRejectionsOfAnInterval) {
  ManualEnvironment environment;
  BreakerOptions options;
  options.consecutive_failures = 1;
  options.open_duration = absl::Hours(1);
  options.rejection_event_interval = absl::Seconds(10);
  const auto breaker = *CircuitBreaker::Create("/pkg.S/M", options, environment,
                                               listener_.get());
  breaker->TryAcquire(environment.Now())
      .Record(Outcome::kFailure, environment.Now());
  for (int i = 0; i < 1000; ++i) breaker->TryAcquire(environment.Now());
  environment.Advance(absl::Seconds(11));
  breaker->TryAcquire(environment.Now());
  ASSERT_EQ(lines_.size(), 3u);
  EXPECT_THAT(lines_[0], HasSubstr(" to=OPEN "));
  EXPECT_THAT(lines_[1], HasSubstr("level=warning event=rejections "
                                   "breaker=/pkg.S/M reason=OPEN "
                                   "rejections=1"));
  EXPECT_THAT(lines_[2], EndsWith(" rejections=1000"));
  EXPECT_THAT(lines_[2],
              StartsWith("time=" + absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ",
                                                    environment.WallNow(),
                                                    absl::UTCTimeZone())));
}

// A reason or a status message may be any bytes.
TEST_F(LoggingListenerTest, NobodyCanForgeALineOrAField) {
  BreakerTransition transition = Opening();
  for (const auto& [cause, written] :
       std::vector<std::pair<std::string, std::string>>{
           {"a\nlevel=info", R"("a\nlevel=info")"},
           {"a\" level=info b=\"", R"("a\" level=info b=\"")"},
           {"a\\", R"("a\\")"},
           {"a=b", R"("a=b")"},
           {"", R"("")"},
           {"\r\x1b[31m\x7f\t", R"("\u000d\u001b[31m\u007f\u0009")"},
           {std::string("a\0b", 3), R"("a\u0000b")"},
           {"a\xC2\x85"
            "b",
            R"("a\u0085b")"},
           {"a\xE2\x80\xA8\xE2\x80\xAE\xE2\x81\xA6",
            R"("a\u2028\u202e\u2066")"},
           {"not \xff utf-8", "\"not \xEF\xBF\xBD utf-8\""},
           {"caf\xC3\xA9 \xE2\x82\xAC", "\"caf\xC3\xA9 \xE2\x82\xAC\""},
       }) {
    transition.cause = cause;
    listener_->OnTransition(transition);
    EXPECT_THAT(line(), HasSubstr("to=OPEN cause=" + written + " calls=12 "));
  }
  // Names may be any as well where they are not of methods.
  transition.breaker = "x level=info";
  transition.channel = "y\n";
  listener_->OnTransition(transition);
  EXPECT_THAT(line(),
              HasSubstr(R"( channel="y\n" breaker="x level=info" from=)"));
}

TEST_F(JsonLoggingListenerTest, NobodyCanForgeAnObjectOrAField) {
  BreakerTransition transition = Opening();
  transition.cause = "a\",\"level\":\"info\n\\";
  listener_->OnTransition(transition);
  EXPECT_THAT(line(),
              HasSubstr(R"("cause":"a\",\"level\":\"info\n\\","calls")"));
  EXPECT_THAT(line(), Not(HasSubstr("\n")));
}

TEST_F(LoggingListenerTest, WritesToStderrByDefault) {
  testing::internal::CaptureStderr();
  MakeLoggingListener()->OnTransition(Opening());
  EXPECT_THAT(testing::internal::GetCapturedStderr(), EndsWith(" slow=1\n"));
}

}  // namespace
}  // namespace grpc_breaker
