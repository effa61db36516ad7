#include "grpc_breaker/circuit_breaker.h"

#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"
#include "tests/breaker_test_util.h"

namespace grpc_breaker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// --- The plain life of a breaker ---

using CircuitBreakerTest = BreakerFixture;

TEST_F(CircuitBreakerTest, OpensAfterConsecutiveFailuresAndClosesAfterProbes) {
  Make({});
  Play("FFFF");
  EXPECT_EQ(state(), BreakerState::kClosed);
  Play("F");
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_EQ(Snapshot().next_probe_in, absl::Seconds(60));
  Advance(absl::Seconds(60));
  Play("SS");
  EXPECT_EQ(state(), BreakerState::kClosed);
  EXPECT_THAT(recorder_.events,
              ElementsAre("threshold: CONSECUTIVE_FAILURES", "CLOSED -> OPEN",
                          "OPEN -> HALF_OPEN", "HALF_OPEN -> CLOSED"));
}

TEST_F(CircuitBreakerTest, RefusesWhileOpenAndSaysWhenToComeAgain) {
  Make({});
  Play("FFFFF");
  Advance(absl::Seconds(59));
  Permit refused = Acquire();
  EXPECT_FALSE(refused.admitted());
  EXPECT_EQ(refused.rejection().reason, RejectionReason::kOpen);
  EXPECT_EQ(refused.rejection().state, BreakerState::kOpen);
  EXPECT_EQ(refused.rejection().retry_after, absl::Seconds(1));
  EXPECT_EQ(Snapshot().rejections, 1u);
}

TEST_F(CircuitBreakerTest, AFailedProbeOpensAgain) {
  Make({});
  Play("FFFFF");
  Advance(absl::Seconds(60));
  Play("SF");
  EXPECT_EQ(state(), BreakerState::kOpen);
}

TEST_F(CircuitBreakerTest, CanBeProbedBeforeItsOpenDurationIsOver) {
  Make({});
  Play("FFFFF");
  EXPECT_TRUE(breaker_->ProbeEarly());
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
  Play("SS");
  EXPECT_EQ(state(), BreakerState::kClosed);
  EXPECT_EQ(breaker_->History()[1].cause, "probed early");
  EXPECT_THAT(recorder_.events,
              ElementsAre("threshold: CONSECUTIVE_FAILURES", "CLOSED -> OPEN",
                          "OPEN -> HALF_OPEN", "HALF_OPEN -> CLOSED"));
}

TEST_F(CircuitBreakerTest, IsProbedEarlyOnceUntilItHasBeenClosed) {
  Make({});
  Play("FFFFF");
  EXPECT_TRUE(breaker_->ProbeEarly());
  Play("F");
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_FALSE(breaker_->ProbeEarly());
  EXPECT_EQ(state(), BreakerState::kOpen);
  Advance(absl::Seconds(60));
  Play("F");
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_FALSE(breaker_->ProbeEarly());

  Advance(absl::Seconds(60));
  Play("SSFFFFF");
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_TRUE(breaker_->ProbeEarly());
}

TEST_F(CircuitBreakerTest, IsProbedEarlyThoughProbesFailedBefore) {
  Make({});
  Play("FFFFF");
  Advance(absl::Seconds(60));
  Play("F");
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_TRUE(breaker_->ProbeEarly());
}

TEST_F(CircuitBreakerTest, IsNotProbedEarlyUnlessItIsOpen) {
  Make({});
  EXPECT_FALSE(breaker_->ProbeEarly());
  EXPECT_EQ(state(), BreakerState::kClosed);
  Play("FFFFF");
  Advance(absl::Seconds(60));
  Play("S");
  EXPECT_FALSE(breaker_->ProbeEarly());
  EXPECT_EQ(state(), BreakerState::kHalfOpen);

  ManualState manual;
  manual.state = BreakerState::kForcedOpen;
  ASSERT_TRUE(breaker_->SetManualState(manual).ok());
  EXPECT_FALSE(breaker_->ProbeEarly());
  EXPECT_EQ(state(), BreakerState::kForcedOpen);
}

TEST_F(CircuitBreakerTest, IgnoredOutcomesCountNeitherWay) {
  Make({});
  Play("FFFFXXXX");
  EXPECT_EQ(state(), BreakerState::kClosed);
  EXPECT_EQ(Snapshot().consecutive_failures, 4);
  Play("F");
  EXPECT_EQ(state(), BreakerState::kOpen);
}

TEST_F(CircuitBreakerTest, StartsWithAnEmptyWindowWhenItClosesAgain) {
  Make({});
  Play("SSSSFFFFF");
  Advance(absl::Seconds(60));
  Play("SS");
  EXPECT_EQ(Snapshot().counts.calls(), 0);
  EXPECT_EQ(Snapshot().consecutive_failures, 0);
}

TEST_F(CircuitBreakerTest, ShowsTheCountsThatOpenedItWhileOpen) {
  Make({});
  Play("SFFFFF");
  EXPECT_EQ(Snapshot().counts.failures, 5);
  EXPECT_EQ(Snapshot().counts.successes, 1);
}

TEST_F(CircuitBreakerTest, ADisabledBreakerAdmitsAllAndCountsNothing) {
  BreakerOptions options;
  options.enabled = false;
  Make(options);
  Play("FFFFFFFFFF");
  EXPECT_EQ(state(), BreakerState::kForcedClosed);
  EXPECT_EQ(Snapshot().counts.calls(), 0);
}

// --- Rules ---

TEST_F(CircuitBreakerTest, NeedsMoreThanFiveInARowWhereSixAreAskedFor) {
  BreakerOptions options = NoRules();
  options.consecutive_failures = 6;
  options.half_open_permits = options.half_open_successes = 1;
  Make(options);
  Play("FFFFFSFFFFF");
  EXPECT_EQ(state(), BreakerState::kClosed);
  Play("F");
  EXPECT_EQ(state(), BreakerState::kOpen);
  Advance(absl::Seconds(60));
  Play("S");
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, TheRateOpensWhenASuccessCompletesTheMinimumOfCalls) {
  BreakerOptions options = NoRules();
  options.failure_rate = 0.5;
  options.minimum_calls = 5;
  options.window = absl::Seconds(20);
  Make(options);
  Play("FFFS");
  EXPECT_EQ(state(), BreakerState::kClosed);
  Play("S");
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_EQ(recorder_.transitions[0].cause, "60 % of 5 calls failed");
}

TEST_F(CircuitBreakerTest, ExactlyTheRateOpens) {
  BreakerOptions options = NoRules();
  options.failure_rate = 0.5;
  options.minimum_calls = 5;
  options.window = absl::Seconds(20);
  Make(options);
  Play("SSSFF");
  EXPECT_EQ(state(), BreakerState::kClosed);
  Play("F");
  EXPECT_EQ(state(), BreakerState::kOpen);
}

TEST_F(CircuitBreakerTest,
       OneOfTenOpensAtATenthButOneOfNineWaitsForTheMinimum) {
  BreakerOptions options = NoRules();
  options.failure_rate = 0.1;
  options.minimum_calls = 10;
  Make(options);
  Play("SSSSSSSSF");
  EXPECT_EQ(state(), BreakerState::kClosed);
  Play("S");
  EXPECT_EQ(state(), BreakerState::kOpen);
}

TEST_F(CircuitBreakerTest, SlowCallsOpenWhetherTheySucceedOrNot) {
  BreakerOptions options = NoRules();
  options.slow_rate = 0.5;
  options.slow_call = absl::Seconds(4);
  options.minimum_calls = 5;
  options.window = absl::Minutes(1);
  Make(options);
  PlaySlow('S', absl::Seconds(5));
  PlaySlow('F', absl::Seconds(5));
  PlaySlow('S', absl::Milliseconds(100));
  PlaySlow('S', absl::Milliseconds(100));
  EXPECT_EQ(state(), BreakerState::kClosed);
  EXPECT_EQ(Snapshot().counts.slow, 2);
  PlaySlow('S', absl::Seconds(5));
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_EQ(recorder_.transitions[0].cause, "60 % of 5 calls were slow");
}

TEST_F(CircuitBreakerTest, ACallOfExactlyTheSlowDurationIsSlow) {
  BreakerOptions options = NoRules();
  options.slow_call = absl::Seconds(4);
  Make(options);
  PlaySlow('S', absl::Seconds(4));
  PlaySlow('S', absl::Seconds(4) - absl::Nanoseconds(1));
  EXPECT_EQ(Snapshot().counts.slow, 1);
  EXPECT_THAT(recorder_.events, ElementsAre("slow: 4s"));
}

TEST_F(CircuitBreakerTest, OpensAtTwoFailuresOfTheLastThreeCalls) {
  BreakerOptions options = NoRules();
  options.last_calls = 3;
  options.last_calls_failures = 2;
  Make(options);
  Play("FSSFSSF");
  EXPECT_EQ(state(), BreakerState::kClosed);
  Play("SF");
  EXPECT_EQ(state(), BreakerState::kOpen);
}

TEST_F(CircuitBreakerTest, LastCallsAreForgottenWithTheState) {
  BreakerOptions options = NoRules();
  options.last_calls = 100;
  options.last_calls_failures = 2;
  Make(options);
  Play("FF");
  Advance(absl::Seconds(60));
  Play("SSF");
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, TheWindowForgetsInTenths) {
  BreakerOptions options = NoRules();
  options.window = absl::Seconds(5);
  Make(options);
  Play("FSS");
  Advance(absl::Milliseconds(1200));
  Play("S");
  Advance(absl::Seconds(1));
  Play("S");
  Advance(absl::Seconds(1));
  Play("F");
  Advance(absl::Seconds(1));
  Play("S");
  EXPECT_EQ(Snapshot().counts.calls(), 7);
  Advance(absl::Seconds(1));
  Play("S");
  EXPECT_EQ(Snapshot().counts.calls(), 5);
  EXPECT_EQ(Snapshot().counts.failures, 1);
}

TEST_F(CircuitBreakerTest, CountsOnInTheSameBucketsAfterALongIdleTime) {
  Make(NoRules());
  Play("SSF");
  Advance(absl::Hours(24 * 365));
  EXPECT_EQ(Snapshot().counts.calls(), 0);
  Play("SF");
  EXPECT_EQ(Snapshot().counts.calls(), 2);
  EXPECT_EQ(Snapshot().permits.successes, 2u + 1u);
}

TEST_F(CircuitBreakerTest, OpensByItsRateHoweverLongTheMachineIsUp) {
  BreakerOptions options = NoRules();
  options.failure_rate = 0.5;
  options.window = absl::Milliseconds(100);
  Make(options);
  Play("SSFS");
  const auto day = absl::Hours(24);
  // Counts of 31 and 32 bits overflow after 248 and 497 days.
  for (const absl::Duration uptime :
       {day * 248, day * 249, day * 495, day * 496, day * 497, day * 498,
        day * 993, day * 994, day * 995, day * 36500}) {
    Advance(uptime - environment_.elapsed());
    for (int i = 0; i < 20; ++i) Play("F");
    EXPECT_EQ(state(), BreakerState::kOpen) << uptime;
    Advance(absl::Seconds(60));
    Play("SSS");
    EXPECT_EQ(state(), BreakerState::kClosed) << uptime;
    EXPECT_EQ(Snapshot().counts.successes, 1) << uptime;
    // And one that is made now.
    Make(options);
    for (int i = 0; i < 20; ++i) Play("F");
    EXPECT_EQ(state(), BreakerState::kOpen) << uptime;
    Advance(absl::Seconds(60));
    Play("SS");
  }
}

TEST_F(CircuitBreakerTest, ACriticalFailureCanCountForMany) {
  BreakerOptions options = NoRules();
  options.consecutive_failures = 5;
  options.critical_weight = 4;
  Make(options);
  Record(Acquire(), Outcome::kFailure, {ErrorSeverity::kCritical, {}});
  EXPECT_EQ(state(), BreakerState::kClosed);
  EXPECT_EQ(Snapshot().counts.failures, 4);
  EXPECT_EQ(Snapshot().permits.failures, 1u);
  Record(Acquire(), Outcome::kFailure, {ErrorSeverity::kHigh, {}});
  EXPECT_EQ(state(), BreakerState::kOpen);
}

TEST_F(CircuitBreakerTest, ACriticalFailureCanOpenAtOnce) {
  BreakerOptions options = NoRules();
  options.open_on_critical = true;
  Make(options);
  Record(Acquire(), Outcome::kFailure, {ErrorSeverity::kHigh, {}});
  EXPECT_EQ(state(), BreakerState::kClosed);
  Record(Acquire(), Outcome::kFailure, {ErrorSeverity::kCritical, {}});
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_EQ(recorder_.transitions[0].cause, "a critical failure");
}

// --- Adaptive throttling ---

TEST_F(CircuitBreakerTest, TheThrottleRefusesWithTheProbabilityOfTheSreBook) {
  BreakerOptions options = NoRules();
  options.throttle_k = 2;
  Make(options);
  environment_.ScriptUniform({0.99, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99});
  Play("SSFFFFFF");
  // (8 - 2 * 2) / (8 + 1)
  EXPECT_DOUBLE_EQ(Snapshot().throttle_probability, 4.0 / 9);
}

TEST_F(CircuitBreakerTest, TheThrottleCountsWhatItRefusesAsRequests) {
  BreakerOptions options = NoRules();
  options.throttle_k = 2;
  Make(options);
  Play("F");  // Probability (1 - 0) / 2 from now on.
  environment_.ScriptUniform({0.49, 0.67});
  Permit refused = Acquire();
  ASSERT_FALSE(refused.admitted());
  EXPECT_EQ(refused.rejection().reason, RejectionReason::kThrottled);
  EXPECT_EQ(refused.rejection().state, BreakerState::kClosed);
  // (2 - 0) / 3 < 0.67
  EXPECT_TRUE(Acquire().admitted());
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, TheThrottleRollsNoDiceWhileNothingFails) {
  BreakerOptions options = NoRules();
  options.throttle_k = 1;
  Make(options);
  environment_.ScriptUniform({0});
  Play("SSSSSSSS");
  EXPECT_EQ(environment_.Uniform(), 0);
}

TEST_F(CircuitBreakerTest, TheThrottleForgetsWithTheWindow) {
  BreakerOptions options = NoRules();
  options.throttle_k = 2;
  Make(options);
  Play("F");
  EXPECT_GT(Snapshot().throttle_probability, 0);
  Advance(absl::Seconds(10));
  EXPECT_EQ(Snapshot().throttle_probability, 0);
}

// --- Bulkhead ---

TEST_F(CircuitBreakerTest, TheBulkheadBoundsTheCallsUnderWay) {
  BreakerOptions options;
  options.max_concurrent_calls = 2;
  Make(options);
  Permit first = Acquire();
  Permit second = Acquire();
  Permit refused = Acquire();
  ASSERT_FALSE(refused.admitted());
  EXPECT_EQ(refused.rejection().reason, RejectionReason::kBulkhead);
  EXPECT_EQ(Snapshot().calls_under_way, 2);
  first = Permit();
  EXPECT_TRUE(Acquire().admitted());
  Record(std::move(second), Outcome::kSuccess);
  EXPECT_EQ(Snapshot().calls_under_way, 0);
}

TEST_F(CircuitBreakerTest, ACallOfAnEarlierStateLeavesTheBulkheadToo) {
  BreakerOptions options;
  options.max_concurrent_calls = 10;
  Make(options);
  Permit old = Acquire();
  Play("FFFFF");
  ASSERT_EQ(state(), BreakerState::kOpen);
  EXPECT_EQ(Snapshot().calls_under_way, 1);
  Record(std::move(old), Outcome::kSuccess);
  EXPECT_EQ(Snapshot().calls_under_way, 0);
}

TEST_F(CircuitBreakerTest, AProbeThatTheBulkheadRefusesGivesItsPlaceBack) {
  BreakerOptions options;
  options.max_concurrent_calls = 1;
  options.half_open_permits = 1;
  Make(options);
  Play("FFFF");
  Permit old = Acquire();
  Permit refused = Acquire();
  EXPECT_EQ(refused.rejection().reason, RejectionReason::kBulkhead);
  Record(std::move(old), Outcome::kFailure);
  Advance(absl::Seconds(60));
  Permit probe = Acquire();
  EXPECT_TRUE(probe.admitted());
  probe = Permit();
  EXPECT_EQ(Snapshot().permits_in_use, 0);
  EXPECT_EQ(Snapshot().calls_under_way, 0);
}

// Holds a breaker with room for two calls in a manual state, while five calls
// try.
class BulkheadByHandTest : public BreakerFixture {
 protected:
  void Hold(BreakerState manual) {
    BreakerOptions options;
    options.max_concurrent_calls = 2;
    options.enabled = manual != BreakerState::kClosed;
    Make(options);
    if (manual == BreakerState::kClosed) return;  // Not enabled.
    ASSERT_TRUE(
        breaker_->SetManualState({manual, "", ""}, environment_.Now()).ok());
  }

  int AdmittedOfFive() {
    int admitted = 0;
    for (int i = 0; i < 5; ++i) {
      Permit permit = Acquire();
      if (permit.admitted()) {
        ++admitted;
        held_.push_back(std::move(permit));
      } else {
        EXPECT_EQ(permit.rejection().reason, RejectionReason::kBulkhead);
        EXPECT_EQ(permit.rejection().state, state());
      }
    }
    return admitted;
  }

  void Release() { held_.erase(held_.begin()); }

  std::vector<Permit> held_;
};

TEST_F(BulkheadByHandTest, ForcedClosedIsBoundedAsWell) {
  Hold(BreakerState::kForcedClosed);
  EXPECT_EQ(AdmittedOfFive(), 2);
  EXPECT_EQ(Snapshot().calls_under_way, 2);
  EXPECT_EQ(Snapshot().rejections, 3u);
  Release();
  EXPECT_EQ(AdmittedOfFive(), 1);
}

TEST_F(BulkheadByHandTest, ADisabledBreakerIsBoundedAsWell) {
  Hold(BreakerState::kClosed);
  ASSERT_EQ(state(), BreakerState::kForcedClosed);
  EXPECT_EQ(AdmittedOfFive(), 2);
  Release();
  EXPECT_EQ(AdmittedOfFive(), 1);
}

TEST_F(BulkheadByHandTest, CallsOfForcedClosedAreStillUnderWayAfterAReset) {
  Hold(BreakerState::kForcedClosed);
  EXPECT_EQ(AdmittedOfFive(), 2);
  breaker_->Reset("", "", environment_.Now());
  EXPECT_EQ(AdmittedOfFive(), 0);
  Record(std::move(held_.back()), Outcome::kSuccess);
  EXPECT_EQ(AdmittedOfFive(), 1);
}

TEST_F(BulkheadByHandTest, MetricsOnlyCountsWhatItWouldHaveRefused) {
  Hold(BreakerState::kMetricsOnly);
  EXPECT_EQ(AdmittedOfFive(), 5);
  EXPECT_EQ(Snapshot().would_have_rejected, 3u);
  EXPECT_EQ(Snapshot().calls_under_way, 5);
  EXPECT_EQ(Snapshot().rejections, 0u);
  // One of the two ends that would be under way; the next would be admitted.
  Release();
  Play("S");
  EXPECT_EQ(Snapshot().would_have_rejected, 3u);
}

TEST_F(BulkheadByHandTest, CallsOfMetricsOnlyAreStillUnderWayAfterAReset) {
  Hold(BreakerState::kMetricsOnly);
  EXPECT_EQ(AdmittedOfFive(), 5);
  breaker_->Reset("", "", environment_.Now());
  for (int left = 4; left >= 2; --left) {
    Release();
    EXPECT_EQ(Snapshot().calls_under_way, left);
    EXPECT_EQ(AdmittedOfFive(), 0);
  }
  Release();
  EXPECT_EQ(AdmittedOfFive(), 1);
  held_.clear();
  EXPECT_EQ(Snapshot().calls_under_way, 0);
}

// --- HALF_OPEN ---

TEST_F(CircuitBreakerTest, TheFifthOfFourProbesIsRefusedUntilOneIsReturned) {
  BreakerOptions options;
  options.half_open_permits = 4;
  options.half_open_successes = 4;
  MakeDueForProbes(options);
  std::vector<Permit> probes;
  for (int i = 0; i < 4; ++i) {
    probes.push_back(Acquire());
    EXPECT_TRUE(probes.back().admitted());
  }
  Permit fifth = Acquire();
  EXPECT_FALSE(fifth.admitted());
  EXPECT_EQ(fifth.rejection().reason, RejectionReason::kHalfOpenLimit);
  EXPECT_EQ(Snapshot().permits_in_use, 4);
  probes.pop_back();
  EXPECT_TRUE(Acquire().admitted());
}

TEST_F(CircuitBreakerTest, ByRateAllProbesAreAwaitedBeforeItOpensAgain) {
  BreakerOptions options;
  options.half_open_permits = 4;
  options.half_open_failure_rate = 0.5;
  MakeDueForProbes(options);
  Play("FFS");
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
  Play("F");
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_EQ(recorder_.transitions.back().cause, "3 probes failed");
}

TEST_F(CircuitBreakerTest, ByRateAFewFailedProbesDoNotKeepItFromClosing) {
  BreakerOptions options;
  options.half_open_permits = 4;
  options.half_open_failure_rate = 0.5;
  MakeDueForProbes(options);
  Play("FSSS");
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, ByRateNoMoreProbesAreMadeThanAreJudged) {
  BreakerOptions options;
  options.half_open_permits = 2;
  options.half_open_failure_rate = 0.5;
  MakeDueForProbes(options);
  Play("S");
  Permit second = Acquire();
  EXPECT_TRUE(second.admitted());
  EXPECT_FALSE(Acquire().admitted());
}

TEST_F(CircuitBreakerTest, OpensAgainWhenProbesComeToNoDecisionInTime) {
  BreakerOptions options;
  options.half_open_max_wait = absl::Seconds(1);
  MakeDueForProbes(options);
  Permit lost = Acquire();
  ASSERT_TRUE(lost.admitted());
  Advance(absl::Milliseconds(999));
  EXPECT_TRUE(Acquire().admitted());
  Advance(absl::Milliseconds(1));
  EXPECT_FALSE(Acquire().admitted());
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_EQ(Snapshot().next_probe_in, absl::Seconds(60));
}

TEST_F(CircuitBreakerTest, AnAbandonedProbeGivesItsPlaceBack) {
  BreakerOptions options;
  options.half_open_permits = 1;
  MakeDueForProbes(options);
  {
    Permit probe = Acquire();
    EXPECT_TRUE(probe.admitted());
    EXPECT_FALSE(Acquire().admitted());
  }
  EXPECT_TRUE(Acquire().admitted());
  EXPECT_EQ(Snapshot().permits.returned, 2u);
}

TEST_F(CircuitBreakerTest, AnIgnoredProbeGivesItsPlaceBack) {
  BreakerOptions options;
  options.half_open_permits = 1;
  MakeDueForProbes(options);
  Play("XXXX");
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
  Play("SS");
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, ALostProbeLosesItsPlaceAfterTheLease) {
  BreakerOptions options;
  options.half_open_permits = 1;
  options.half_open_successes = 1;
  MakeDueForProbes(options);
  Permit lost = Acquire();
  Advance(absl::Seconds(60) - absl::Nanoseconds(1));
  EXPECT_FALSE(Acquire().admitted());
  Advance(absl::Nanoseconds(1));
  Permit next = Acquire();
  EXPECT_TRUE(next.admitted());
  // It has no place to give back any more.
  lost = Permit();
  EXPECT_FALSE(Acquire().admitted());
  Record(std::move(next), Outcome::kSuccess);
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, ALateSuccessOfAProbeIsOneAllTheSame) {
  BreakerOptions options;
  options.half_open_permits = 1;
  options.half_open_successes = 2;
  MakeDueForProbes(options);
  Permit late = Acquire();
  Advance(absl::Seconds(60));
  Permit next = Acquire();
  ASSERT_TRUE(next.admitted());
  Advance(absl::Seconds(30));
  Record(std::move(late), Outcome::kSuccess);
  EXPECT_EQ(Snapshot().counts.successes, 1);
  EXPECT_EQ(Snapshot().permits.stale, 0u);
  // The place is the other one's.
  EXPECT_EQ(Snapshot().permits_in_use, 1);
  EXPECT_FALSE(Acquire().admitted());
  Record(std::move(next), Outcome::kSuccess);
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, ALateFailureOfAProbeOpensAllTheSame) {
  MakeDueForProbes({});
  std::vector<Permit> late;
  for (int i = 0; i < 3; ++i) late.push_back(Acquire());
  Advance(absl::Seconds(60));
  Permit next = Acquire();
  ASSERT_TRUE(next.admitted());
  Record(std::move(late[0]), Outcome::kFailure);
  EXPECT_EQ(state(), BreakerState::kOpen);
}

TEST_F(CircuitBreakerTest, ByRateLateOutcomesAreJudgedWithTheOthers) {
  BreakerOptions options;
  options.half_open_permits = 2;
  options.half_open_failure_rate = 0.5;
  for (const Outcome outcome : {Outcome::kSuccess, Outcome::kFailure}) {
    MakeDueForProbes(options);
    std::vector<Permit> late;
    late.push_back(Acquire());
    late.push_back(Acquire());
    Advance(absl::Seconds(60));
    Permit next = Acquire();
    ASSERT_TRUE(next.admitted());
    Record(std::move(late[0]), outcome);
    Record(std::move(late[1]), outcome);
    EXPECT_EQ(state(), outcome == Outcome::kSuccess ? BreakerState::kClosed
                                                    : BreakerState::kOpen);
  }
}

// Reports, long polls, subscriptions: none ends before its lease does.
TEST_F(CircuitBreakerTest, ClosesAlthoughAllProbesTakeLongerThanTheirLease) {
  for (const absl::Duration takes :
       {absl::Seconds(61), absl::Seconds(90), absl::Hours(3)}) {
    MakeDueForProbes({});
    struct Call {
      Permit permit;
      MonotonicTime ends;
    };
    std::deque<Call> calls;
    const absl::Duration began = environment_.elapsed();
    while (state() == BreakerState::kHalfOpen ||
           state() == BreakerState::kOpen) {
      ASSERT_LE(environment_.elapsed() - began, takes + absl::Seconds(1));
      while (!calls.empty() && calls.front().ends <= environment_.Now()) {
        Record(std::move(calls.front().permit), Outcome::kSuccess);
        calls.pop_front();
      }
      Permit permit = Acquire();
      if (permit.admitted()) {
        calls.push_back(
            {std::move(permit), TimeAfter(environment_.Now(), takes)});
      }
      Advance(absl::Seconds(1));
    }
  }
}

TEST_F(CircuitBreakerTest, APermitOfAnEarlierHalfOpenGivesBackNoPlace) {
  BreakerOptions options;
  options.half_open_permits = 1;
  MakeDueForProbes(options);
  Permit old = Acquire();
  // The word of the probes has as few bits of the generation.
  for (int i = 0; i < 511; ++i) {
    breaker_->Reset("", "", environment_.Now());
    breaker_->Reset("", "", environment_.Now());
  }
  Play("FFFFF");
  Advance(absl::Seconds(60));
  Permit probe = Acquire();
  ASSERT_TRUE(probe.admitted());
  old = Permit();
  EXPECT_EQ(Snapshot().permits_in_use, 1);
  EXPECT_FALSE(Acquire().admitted());
}

// --- The response of a call that goes on ---

TEST_F(CircuitBreakerTest, TheResponseOfAProbeIsItsSuccess) {
  MakeDueForProbes({});
  Permit first = Acquire();
  Permit second = Acquire();
  Permit third = Acquire();
  first.NoteResponse(environment_.Now());
  EXPECT_EQ(Snapshot().counts.successes, 1);
  EXPECT_EQ(Snapshot().permits_in_use, 2);
  first.NoteResponse(environment_.Now());  // Counts once.
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
  second.NoteResponse(environment_.Now());
  EXPECT_EQ(state(), BreakerState::kClosed);
  EXPECT_EQ(Snapshot().permits.successes, 2u);
  // Whatever comes of them later.
  Record(std::move(first), Outcome::kFailure);
  second = Permit();
  third.NoteResponse(environment_.Now());
  Record(std::move(third), Outcome::kFailure);
  EXPECT_EQ(Snapshot().counts.calls(), 0);
  EXPECT_EQ(Snapshot().permits.stale, 1u);  // The third's response.
  EXPECT_EQ(Snapshot().permits.returned, 0u);
  EXPECT_EQ(Held(), 0u);
}

TEST_F(CircuitBreakerTest, ASlowResponseOfAProbeIsASlowProbe) {
  BreakerOptions options;
  options.slow_call = absl::Seconds(1);
  options.slow_rate = 0.5;
  MakeDueForProbes(options);
  recorder_.events.clear();
  Permit probe = Acquire();
  Advance(absl::Seconds(1));
  probe.NoteResponse(environment_.Now());
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_THAT(recorder_.events, ElementsAre("OPEN -> HALF_OPEN", "slow: 1s",
                                            "HALF_OPEN -> OPEN"));
}

TEST_F(CircuitBreakerTest, ALateResponseOfAProbeCountsForHalfOpen) {
  BreakerOptions options;
  options.half_open_permits = options.half_open_successes = 1;
  MakeDueForProbes(options);
  Permit late = Acquire();
  Advance(absl::Hours(1));
  Permit next = Acquire();
  late.NoteResponse(environment_.Now());
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, ACallThatGoesOnAfterItsResponseIsNotSlow) {
  BreakerOptions options = NoRules();
  options.slow_call = absl::Seconds(2);
  Make(options);
  Permit fast = Acquire();
  Permit slow = Acquire();
  Advance(absl::Seconds(1));
  fast.NoteResponse(environment_.Now());
  Advance(absl::Seconds(1));
  slow.NoteResponse(environment_.Now());
  EXPECT_EQ(Snapshot().counts.calls(), 0) << "counts when it is recorded";
  Advance(absl::Hours(5));
  Record(std::move(fast), Outcome::kSuccess);
  EXPECT_EQ(Snapshot().counts.slow, 0);
  Record(std::move(slow), Outcome::kFailure);
  EXPECT_EQ(Snapshot().counts.slow, 1);
  EXPECT_EQ(Snapshot().counts.failures, 1);
  EXPECT_EQ(Snapshot().counts.successes, 1);
  EXPECT_THAT(recorder_.events, ElementsAre("slow: 2s"));
}

// The clock begins an hour before.
TEST_F(CircuitBreakerTest, ALateResponseIsSlowHoweverShortTheMachineIsUp) {
  BreakerOptions options = NoRules();
  options.slow_call = absl::Minutes(90);
  Make(options);
  Permit permit = Acquire();
  Advance(absl::Hours(2));
  permit.NoteResponse(environment_.Now());
  Record(std::move(permit), Outcome::kSuccess);
  EXPECT_EQ(Snapshot().counts.slow, 1);
}

TEST_F(CircuitBreakerTest, ACallIsInTheBulkheadUntilItEnds) {
  BreakerOptions options;
  options.max_concurrent_calls = 1;
  Make(options);
  Permit permit = Acquire();
  permit.NoteResponse(environment_.Now());
  EXPECT_FALSE(Acquire().admitted());
  Permit moved = std::move(permit);
  permit.NoteResponse(environment_.Now());
  Record(std::move(moved), Outcome::kSuccess);
  EXPECT_EQ(Snapshot().calls_under_way, 0);
  EXPECT_EQ(Snapshot().permits.successes, 1u);
}

TEST_F(CircuitBreakerTest, TheResponseOfARefusedCallIsNone) {
  Make({});
  Play("FFFFF");
  Permit refused = Acquire();
  refused.NoteResponse(environment_.Now());
  EXPECT_EQ(refused.rejection().retry_after, absl::Seconds(60));
}

TEST_F(CircuitBreakerTest, MetricsOnlyCountsResponsesOfItsShadow) {
  Make({});
  ASSERT_TRUE(breaker_
                  ->SetManualState({BreakerState::kMetricsOnly, "", ""},
                                   environment_.Now())
                  .ok());
  Play("FFFFF");
  Permit beyond = Acquire();
  Advance(absl::Seconds(60));
  Permit first = Acquire();
  Permit second = Acquire();
  beyond.NoteResponse(environment_.Now());
  EXPECT_EQ(Snapshot().shadow_state, BreakerState::kHalfOpen);
  first.NoteResponse(environment_.Now());
  second.NoteResponse(environment_.Now());
  EXPECT_EQ(Snapshot().shadow_state, BreakerState::kClosed);
  Record(std::move(beyond), Outcome::kSuccess);
  EXPECT_EQ(Snapshot().permits.ignored, 1u);
}

TEST_F(CircuitBreakerTest, ASlowProbeCountsAsFailedWhereSlowCallsOpen) {
  BreakerOptions options;
  options.slow_rate = 0.5;
  options.slow_call = absl::Seconds(1);
  MakeDueForProbes(options);
  PlaySlow('S', absl::Seconds(1));
  EXPECT_EQ(state(), BreakerState::kOpen);
}

// --- Generations ---

TEST_F(CircuitBreakerTest, AnOutcomeFromBeforeTheTransitionIsDropped) {
  BreakerOptions options;
  options.half_open_successes = 1;
  Make(options);
  Permit stale_failure = Acquire();
  Permit stale_success = Acquire();
  Play("FFFFF");
  Advance(absl::Seconds(60));
  Permit probe = Acquire();
  Record(std::move(stale_failure), Outcome::kFailure);
  Record(std::move(stale_success), Outcome::kSuccess);
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
  EXPECT_EQ(Snapshot().permits.stale, 2u);
}

TEST_F(CircuitBreakerTest, AFailureFromBeforeOpeningCausesNoSecondTransition) {
  Make({});
  Permit late = Acquire();
  Play("FFFFF");
  Record(std::move(late), Outcome::kFailure);
  EXPECT_EQ(recorder_.transitions.size(), 1u);
}

TEST_F(CircuitBreakerTest, APermitCountsTheFirstTimeOnly) {
  Make({});
  Permit permit = Acquire();
  permit.Record(Outcome::kFailure, environment_.Now());
  permit.Record(Outcome::kFailure, environment_.Now());
  EXPECT_TRUE(permit.admitted());
  EXPECT_EQ(Snapshot().counts.failures, 1);
}

TEST_F(CircuitBreakerTest, AMovedPermitIsGivenBackOnce) {
  Make({});
  Permit first = Acquire();
  Permit second = std::move(first);
  first = Acquire();
  first = std::move(second);
  EXPECT_EQ(Snapshot().permits.returned, 1u);
  EXPECT_EQ(Held(), 1u);
  first = Permit();
  EXPECT_EQ(Held(), 0u);
}

TEST_F(CircuitBreakerTest, AccountsForEveryPermit) {
  BreakerOptions options;
  options.half_open_permits = 2;
  Make(options);
  Permit old = Acquire();
  Play("SSXFSFFFFF");
  Record(std::move(old), Outcome::kSuccess);
  Advance(absl::Seconds(60));
  Permit held = Acquire();
  Play("S");
  { Permit abandoned = Acquire(); }
  EXPECT_EQ(Held(), 1u);
  Record(std::move(held), Outcome::kSuccess);
  EXPECT_EQ(Held(), 0u);
  EXPECT_EQ(Snapshot().permits.issued, 14u);
  EXPECT_EQ(Snapshot().permits.successes, 5u);
  EXPECT_EQ(Snapshot().permits.failures, 6u);
}

// --- Recovery ---

TEST_F(CircuitBreakerTest, TheOpenDurationGrowsWhileProbesFail) {
  BreakerOptions options;
  options.open_duration = absl::Seconds(5);
  options.open_multiplier = 1.5;
  Make(options);
  Play("FFFFF");
  Advance(absl::Seconds(5));
  Play("F");
  Advance(absl::Seconds(6));
  EXPECT_FALSE(Acquire().admitted());
  Advance(absl::Seconds(5));
  Play("SS");
  EXPECT_EQ(state(), BreakerState::kClosed);
  // Closed, it starts afresh.
  Play("FFFFF");
  EXPECT_EQ(Snapshot().next_probe_in, absl::Seconds(5));
}

TEST_F(CircuitBreakerTest, TheOpenDurationStopsGrowingAtTheCap) {
  BreakerOptions options;
  options.open_duration = absl::Seconds(10);
  options.open_multiplier = 10;
  options.max_open_duration = absl::Seconds(25);
  Make(options);
  Play("FFFFF");
  for (int i = 0; i < 50; ++i) {
    Advance(absl::Seconds(25));
    Play("F");
    EXPECT_EQ(Snapshot().next_probe_in, absl::Seconds(25));
  }
}

TEST_F(CircuitBreakerTest, JitterSpreadsTheOpenDurationBothWays) {
  BreakerOptions options;
  options.open_duration = absl::Seconds(10);
  options.open_jitter = 0.5;
  Make(options);
  environment_.ScriptUniform({0});
  Play("FFFFF");
  EXPECT_EQ(Snapshot().next_probe_in, absl::Seconds(5));
  Advance(absl::Seconds(5));
  environment_.ScriptUniform({0.75});
  Play("F");
  EXPECT_EQ(Snapshot().next_probe_in, absl::Milliseconds(12500));
}

TEST_F(CircuitBreakerTest, TheServersDelaySetsTheOpenDurationIfAskedTo) {
  BreakerOptions options;
  options.use_server_delay = true;
  options.max_open_duration = absl::Seconds(120);
  Make(options);
  Play("FFFF");
  Record(Acquire(), Outcome::kFailure, {{}, absl::Seconds(7)});
  EXPECT_EQ(Snapshot().next_probe_in, absl::Seconds(7));
  Advance(absl::Seconds(7));
  Record(Acquire(), Outcome::kFailure, {{}, absl::Hours(7)});
  EXPECT_EQ(Snapshot().next_probe_in, absl::Seconds(120));
}

TEST_F(CircuitBreakerTest, NoServerDelaySwitchesTheBreakerOff) {
  BreakerOptions options;
  options.use_server_delay = true;
  Make(options);
  Play("FFFF");
  for (absl::Duration delay :
       {absl::ZeroDuration(), absl::Seconds(5), -absl::InfiniteDuration()}) {
    Record(Acquire(), Outcome::kFailure, {{}, delay});
    // A tenth of the open duration.
    EXPECT_EQ(Snapshot().next_probe_in, absl::Seconds(6));
    EXPECT_FALSE(Acquire().admitted());
    Advance(absl::Seconds(6));
  }
  Record(Acquire(), Outcome::kFailure, {{}, absl::Seconds(6.5)});
  EXPECT_EQ(Snapshot().next_probe_in, absl::Seconds(6.5));
}

TEST_F(CircuitBreakerTest, TheShortestOpenDurationIsAMillisecond) {
  BreakerOptions options;
  options.open_duration = options.max_open_duration = absl::Milliseconds(1);
  options.half_open_max_wait = absl::Milliseconds(1);
  options.open_jitter = 1;
  options.use_server_delay = true;
  Make(options);
  environment_.ScriptUniform({0, 0});
  Play("FFFFF");
  EXPECT_EQ(Snapshot().next_probe_in, absl::Milliseconds(1));
  Advance(absl::Milliseconds(1));
  Record(Acquire(), Outcome::kFailure, {{}, absl::ZeroDuration()});
  EXPECT_EQ(Snapshot().next_probe_in, absl::Milliseconds(1));
}

TEST_F(CircuitBreakerTest, TheServersDelayIsNotTakenUnasked) {
  Make({});
  Play("FFFF");
  Record(Acquire(), Outcome::kFailure, {{}, absl::Seconds(7)});
  EXPECT_EQ(Snapshot().next_probe_in, absl::Seconds(60));
}

TEST_F(CircuitBreakerTest, TheRampAdmitsItsSharesStepByStep) {
  BreakerOptions options;
  options.ramp = {0.1, 0.25, 0.5};
  options.ramp_step = absl::Seconds(10);
  Make(options);
  environment_.SeedUniform(1);
  Play("FFFFF");
  Advance(absl::Seconds(60));
  Play("SS");
  ASSERT_EQ(state(), BreakerState::kClosed);
  for (double share : {0.1, 0.25, 0.5, 1.0}) {
    EXPECT_EQ(Snapshot().ramp_share, share);
    int admitted = 0;
    for (int i = 0; i < 10000; ++i) {
      Permit permit = Acquire();
      admitted += permit.admitted() ? 1 : 0;
      if (!permit.admitted()) {
        ASSERT_EQ(permit.rejection().reason, RejectionReason::kRamp);
      }
    }
    EXPECT_NEAR(admitted, share * 10000, 200);
    Advance(absl::Seconds(10));
  }
}

TEST_F(CircuitBreakerTest, ACallFromTheRampStillCountsAfterIt) {
  BreakerOptions options;
  options.ramp = {1.0};
  MakeDueForProbes(options);
  Play("SS");
  Permit permit = Acquire();
  Advance(absl::Seconds(10));
  Play("S");  // Ends the ramp.
  Record(std::move(permit), Outcome::kFailure);
  EXPECT_EQ(Snapshot().counts.calls(), 2);
}

// --- By hand ---

TEST_F(CircuitBreakerTest, ForcedOpenIgnoresTheTimeUntilItIsReset) {
  Make({});
  ASSERT_TRUE(breaker_
                  ->SetManualState({BreakerState::kForcedOpen, "drill", "ann"},
                                   environment_.Now())
                  .ok());
  Advance(absl::Hours(1000));
  Permit refused = Acquire();
  EXPECT_FALSE(refused.admitted());
  EXPECT_EQ(refused.rejection().reason, RejectionReason::kForcedOpen);
  EXPECT_EQ(refused.rejection().retry_after, absl::Seconds(60));
  ASSERT_TRUE(Snapshot().manual.has_value());
  EXPECT_EQ(Snapshot().manual->reason, "drill");
  EXPECT_EQ(Snapshot().manual->actor, "ann");
  EXPECT_EQ(recorder_.transitions[0].cause, "set manually by ann: drill");

  breaker_->Reset("over", "bob", environment_.Now());
  EXPECT_TRUE(Acquire().admitted());
  EXPECT_FALSE(Snapshot().manual.has_value());
  EXPECT_EQ(recorder_.transitions[1].cause, "reset manually by bob: over");
}

TEST_F(CircuitBreakerTest, ForcedOpenReturnsToClosedByItself) {
  Make({});
  ASSERT_TRUE(breaker_
                  ->SetManualState(
                      {BreakerState::kForcedOpen, "", "", absl::Seconds(30)},
                      environment_.Now())
                  .ok());
  Advance(absl::Seconds(20));
  EXPECT_EQ(Acquire().rejection().retry_after, absl::Seconds(10));
  EXPECT_EQ(Snapshot().manual->time_to_live, absl::Seconds(10));
  Advance(absl::Seconds(10));
  EXPECT_EQ(state(), BreakerState::kClosed);
  EXPECT_TRUE(Acquire().admitted());
}

TEST_F(CircuitBreakerTest, AManualStateEndsForEveryoneThoughNobodyCalls) {
  Make({});
  for (BreakerState manual :
       {BreakerState::kForcedOpen, BreakerState::kForcedClosed,
        BreakerState::kMetricsOnly}) {
    ASSERT_TRUE(breaker_
                    ->SetManualState({manual, "", "", absl::Seconds(30)},
                                     environment_.Now())
                    .ok());
    const MonotonicTime end = environment_.Now() + std::chrono::seconds(30);
    const absl::Time wall_end = environment_.WallNow() + absl::Seconds(30);
    Advance(absl::Minutes(5));
    const BreakerTransition& heard = recorder_.transitions.back();
    const BreakerTransition entered = breaker_->History().back();
    for (const BreakerTransition& transition : {heard, entered}) {
      EXPECT_EQ(transition.from, manual);
      EXPECT_EQ(transition.to, BreakerState::kClosed);
      EXPECT_EQ(transition.cause, "manual state expired");
      EXPECT_EQ(transition.at, end);
      EXPECT_EQ(transition.wall_time, wall_end);
    }
    EXPECT_EQ(state(), BreakerState::kClosed);
    EXPECT_EQ(Snapshot().since, end);
    EXPECT_EQ(Snapshot().since_wall, wall_end);
    EXPECT_EQ(Snapshot().transitions, recorder_.transitions.size());
    EXPECT_FALSE(Snapshot().manual.has_value());
  }
  EXPECT_EQ(environment_.pending_timers(), 0u);
}

TEST_F(CircuitBreakerTest, OnlyTheLastManualStateHasATimer) {
  Make({});
  const auto hold = [&](BreakerState manual, absl::Duration time) {
    ASSERT_TRUE(
        breaker_->SetManualState({manual, "", "", time}, environment_.Now())
            .ok());
  };
  hold(BreakerState::kForcedOpen, absl::Seconds(10));
  hold(BreakerState::kForcedClosed, absl::Seconds(20));
  EXPECT_EQ(environment_.pending_timers(), 1u);
  Advance(absl::Seconds(10));
  EXPECT_EQ(state(), BreakerState::kForcedClosed);
  hold(BreakerState::kForcedOpen, absl::Seconds(1));
  Advance(absl::Seconds(1));
  EXPECT_EQ(recorder_.events.back(), "FORCED_OPEN -> CLOSED");
  hold(BreakerState::kForcedOpen, absl::Seconds(1));
  breaker_->Reset("", "", environment_.Now());
  EXPECT_EQ(environment_.pending_timers(), 0u);
  // For ever, and so without one.
  hold(BreakerState::kForcedOpen, absl::Seconds(1));
  hold(BreakerState::kForcedOpen, absl::InfiniteDuration());
  EXPECT_EQ(environment_.pending_timers(), 0u);
  Advance(absl::Hours(1));
  EXPECT_EQ(state(), BreakerState::kForcedOpen);
}

TEST_F(CircuitBreakerTest, AManualStateThatIsOverEndsBeforeTheNextBegins) {
  Make({});
  const MonotonicTime now = environment_.Now();
  ASSERT_TRUE(
      breaker_
          ->SetManualState(
              {BreakerState::kForcedOpen, "", "", absl::Seconds(10)}, now)
          .ok());
  // The timer has not come yet.
  const MonotonicTime later = now + std::chrono::seconds(11);
  ASSERT_TRUE(
      breaker_->SetManualState({BreakerState::kForcedOpen, "", ""}, later)
          .ok());
  EXPECT_THAT(recorder_.events,
              ElementsAre("CLOSED -> FORCED_OPEN", "FORCED_OPEN -> CLOSED",
                          "CLOSED -> FORCED_OPEN"));
  EXPECT_EQ(recorder_.transitions[1].at, now + std::chrono::seconds(10));
  EXPECT_EQ(recorder_.transitions[2].at, later);
}

TEST_F(CircuitBreakerTest, TimerOfAManualStateMayComeAfterTheBreaker) {
  Make({});
  ASSERT_TRUE(breaker_
                  ->SetManualState(
                      {BreakerState::kForcedOpen, "", "", absl::Seconds(1)},
                      environment_.Now())
                  .ok());
  breaker_.reset();
  Advance(absl::Seconds(1));
  EXPECT_EQ(recorder_.events.size(), 1u);
}

TEST_F(CircuitBreakerTest, ForcedClosedRecordsNothingAndAdmits) {
  Make({});
  ASSERT_TRUE(breaker_
                  ->SetManualState(
                      {BreakerState::kForcedClosed, "", "", absl::Seconds(30)},
                      environment_.Now())
                  .ok());
  Play("FFFFFFFFFF");
  EXPECT_EQ(state(), BreakerState::kForcedClosed);
  EXPECT_EQ(Snapshot().counts.calls(), 0);
  Advance(absl::Seconds(30));
  Play("FFFFF");
  EXPECT_EQ(state(), BreakerState::kOpen);
}

TEST_F(CircuitBreakerTest, MetricsOnlyAdmitsAndCountsWhatItWouldHaveRefused) {
  Make({});
  ASSERT_TRUE(breaker_
                  ->SetManualState({BreakerState::kMetricsOnly, "", ""},
                                   environment_.Now())
                  .ok());
  Play("SFFFF");
  EXPECT_EQ(Snapshot().counts.failures, 4);
  Play("F");
  EXPECT_EQ(Snapshot().shadow_state, BreakerState::kOpen);
  Play("FFFSSS");
  EXPECT_EQ(Snapshot().would_have_rejected, 6u);
  EXPECT_EQ(Snapshot().rejections, 0u);
  Advance(absl::Seconds(60));
  Play("SS");
  EXPECT_EQ(Snapshot().shadow_state, BreakerState::kClosed);
  EXPECT_EQ(Snapshot().would_have_rejected, 6u);
  EXPECT_EQ(state(), BreakerState::kMetricsOnly);
  EXPECT_THAT(recorder_.events, ElementsAre("CLOSED -> METRICS_ONLY",
                                            "threshold: CONSECUTIVE_FAILURES"));
  EXPECT_EQ(Held(), 0u);
}

TEST_F(CircuitBreakerTest, OneManualStateReplacesAnother) {
  Make({});
  for (BreakerState manual :
       {BreakerState::kForcedOpen, BreakerState::kMetricsOnly,
        BreakerState::kForcedClosed, BreakerState::kForcedOpen}) {
    ASSERT_TRUE(
        breaker_->SetManualState({manual, "", ""}, environment_.Now()).ok());
    EXPECT_EQ(state(), manual);
  }
  EXPECT_EQ(recorder_.transitions.size(), 4u);
}

TEST_F(CircuitBreakerTest,
       ADisabledBreakerReturnsToForcedClosedAfterAManualState) {
  BreakerOptions options;
  options.enabled = false;
  Make(options);
  ASSERT_TRUE(breaker_
                  ->SetManualState(
                      {BreakerState::kForcedOpen, "", "", absl::Seconds(1)},
                      environment_.Now())
                  .ok());
  EXPECT_FALSE(Acquire().admitted());
  Advance(absl::Seconds(1));
  EXPECT_TRUE(Acquire().admitted());
  EXPECT_EQ(state(), BreakerState::kForcedClosed);
}

TEST_F(CircuitBreakerTest, RefusesBadManualStatesByNameAndValue) {
  Make({});
  EXPECT_EQ(
      breaker_
          ->SetManualState({BreakerState::kOpen, "", ""}, environment_.Now())
          .status()
          .message(),
      "manual.state: must be FORCED_OPEN, FORCED_CLOSED or METRICS_ONLY, "
      "got OPEN");
  EXPECT_EQ(breaker_
                ->SetManualState(
                    {BreakerState::kForcedOpen, "", "", absl::ZeroDuration()},
                    environment_.Now())
                .status()
                .message(),
            "manual.time_to_live: must be at least 1ms, got 0");
  EXPECT_THAT(breaker_
                  ->SetManualState(
                      {BreakerState::kForcedOpen, std::string(257, 'x'), ""},
                      environment_.Now())
                  .status()
                  .message(),
              HasSubstr("manual.reason: must have at most 256 bytes"));
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, ResetClosesAnOpenBreaker) {
  Make({});
  Play("FFFFF");
  breaker_->Reset("", "", environment_.Now());
  EXPECT_EQ(state(), BreakerState::kClosed);
  Play("FFFF");
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, AResetOfAClosedBreakerIsNoEventButEmptiesIt) {
  Make({});
  Play("SFFF");
  breaker_->Reset("just in case", "ann", environment_.Now());
  EXPECT_EQ(Snapshot().counts.calls(), 0);
  EXPECT_EQ(Snapshot().consecutive_failures, 0);
  EXPECT_THAT(recorder_.events, IsEmpty());
  EXPECT_EQ(Snapshot().transitions, 0u);
  EXPECT_EQ(Snapshot().since, environment_.Now());
}

TEST_F(CircuitBreakerTest, TheHistoryHasWhatWasDoneByHandThoughTheStateStays) {
  Make({});
  Play("SFFF");
  breaker_->Reset("just in case", "ann");
  ASSERT_TRUE(
      breaker_->SetManualState({BreakerState::kForcedOpen, "drill", "ann"})
          .ok());
  Advance(absl::Seconds(1));
  ASSERT_TRUE(
      breaker_->SetManualState({BreakerState::kForcedOpen, "longer", "bob"})
          .ok());
  const std::vector<BreakerTransition> history = breaker_->History();
  ASSERT_EQ(history.size(), 3u);
  EXPECT_EQ(history[0].from, BreakerState::kClosed);
  EXPECT_EQ(history[0].to, BreakerState::kClosed);
  EXPECT_EQ(history[0].cause, "reset manually by ann: just in case");
  EXPECT_EQ(history[0].counts.calls(), 4);
  EXPECT_EQ(history[2].from, BreakerState::kForcedOpen);
  EXPECT_EQ(history[2].to, BreakerState::kForcedOpen);
  EXPECT_EQ(history[2].cause, "set manually by bob: longer");
  EXPECT_EQ(history[2].at, environment_.Now());
  EXPECT_EQ(Snapshot().transitions, 1u) << "those that are changes of state";
}

TEST_F(CircuitBreakerTest, ANoteIsInTheHistoryAndChangesNothing) {
  Make({});
  Play("SF");
  breaker_->Note("policy updated by ann", environment_.Now());
  breaker_->Note(std::string(10'000, 'x'), environment_.Now());
  const std::vector<BreakerTransition> history = breaker_->History();
  ASSERT_EQ(history.size(), 2u);
  EXPECT_EQ(history[0].cause, "policy updated by ann");
  EXPECT_EQ(history[0].from, BreakerState::kClosed);
  EXPECT_EQ(history[0].to, BreakerState::kClosed);
  EXPECT_EQ(history[0].at, environment_.Now());
  EXPECT_EQ(history[0].counts.calls(), 2);
  EXPECT_EQ(history[1].cause, std::string(600, 'x'));
  EXPECT_EQ(Snapshot().transitions, 0u);
  EXPECT_EQ(Snapshot().counts.calls(), 2);
  EXPECT_THAT(recorder_.transitions, IsEmpty());
}

// As where its clock was read before that of a change, and it came after.
TEST_F(CircuitBreakerTest, ANoteIsNotOlderThanTheChangeBeforeIt) {
  Make({});
  const MonotonicTime before = environment_.Now();
  Advance(absl::Seconds(1));
  breaker_->Reset("", "ann");
  breaker_->Note("policy updated", before);
  const std::vector<BreakerTransition> history = breaker_->History();
  ASSERT_EQ(history.size(), 2u);
  EXPECT_EQ(history[1].at, history[0].at);
}

TEST_F(CircuitBreakerTest, TheHistoryOfAShadowHasNothingThatNobodyDid) {
  BreakerOptions options;
  options.consecutive_failures = 1;
  Make(options);
  ASSERT_TRUE(
      breaker_->SetManualState({BreakerState::kMetricsOnly, "", ""}).ok());
  Play("F");
  EXPECT_EQ(Snapshot().shadow_state, BreakerState::kOpen);
  EXPECT_EQ(breaker_->History().size(), 1u);
}

// Before its caller could ask for a snapshot, another may have changed the
// breaker again; here a listener does.
TEST_F(CircuitBreakerTest, AChangeByHandReturnsTheBreakerAsItLeftIt) {
  struct Meddler : BreakerListener {
    void OnTransition(const BreakerTransition& transition) override {
      if (transition.to == BreakerState::kForcedOpen) {
        breaker->Reset("", "meddler");
      } else if (transition.from == BreakerState::kForcedClosed) {
        ASSERT_TRUE(
            breaker->SetManualState({BreakerState::kMetricsOnly, "", ""}).ok());
      }
    }
    CircuitBreaker* breaker = nullptr;
  } meddler;
  auto breaker =
      *CircuitBreaker::Create("b", BreakerOptions(), environment_, &meddler);
  meddler.breaker = breaker.get();
  const absl::StatusOr<BreakerSnapshot> held = breaker->SetManualState(
      {BreakerState::kForcedOpen, "drill", "ann", absl::Seconds(9)});
  ASSERT_TRUE(held.ok());
  EXPECT_EQ(breaker->Snapshot().state, BreakerState::kClosed);
  EXPECT_EQ(held->state, BreakerState::kForcedOpen);
  EXPECT_EQ(held->transitions, 1u);
  ASSERT_TRUE(held->manual.has_value());
  EXPECT_EQ(held->manual->reason, "drill");
  EXPECT_EQ(held->manual->time_to_live, absl::Seconds(9));

  ASSERT_TRUE(
      breaker->SetManualState({BreakerState::kForcedClosed, "", ""}).ok());
  const BreakerSnapshot reset = breaker->Reset("over", "ann");
  EXPECT_EQ(breaker->Snapshot().state, BreakerState::kMetricsOnly);
  EXPECT_EQ(reset.state, BreakerState::kClosed);
  EXPECT_FALSE(reset.manual.has_value());
}

TEST_F(CircuitBreakerTest, AManualStateThatIsSetAnewIsNoEvent) {
  Make({});
  for (BreakerState manual :
       {BreakerState::kForcedOpen, BreakerState::kMetricsOnly,
        BreakerState::kForcedClosed}) {
    for (const char* reason : {"first", "second"}) {
      ASSERT_TRUE(
          breaker_->SetManualState({manual, reason, ""}, environment_.Now())
              .ok());
      EXPECT_EQ(Snapshot().manual->reason, reason);
      Advance(absl::Seconds(1));
    }
    EXPECT_EQ(Snapshot().since, environment_.Now() - std::chrono::seconds(2));
  }
  EXPECT_EQ(recorder_.transitions.size(), 3u);
  EXPECT_EQ(Snapshot().transitions, 3u);
}

TEST_F(CircuitBreakerTest, TheTimesOfChangesNeverGoBack) {
  Make({});
  const MonotonicTime early = environment_.Now();
  Permit held = Acquire();
  Play("FFFF");
  Advance(absl::Seconds(10));
  Record(std::move(held), Outcome::kFailure);
  ASSERT_EQ(state(), BreakerState::kOpen);
  // By threads that read their clocks before.
  breaker_->Reset("", "", early);
  ASSERT_TRUE(
      breaker_->SetManualState({BreakerState::kForcedOpen, "", ""}, early)
          .ok());
  const std::vector<BreakerTransition> history = breaker_->History();
  ASSERT_EQ(history.size(), 3u);
  for (size_t i = 0; i < history.size(); ++i) {
    EXPECT_EQ(history[i].at, environment_.Now()) << i;
    EXPECT_EQ(history[i].wall_time, environment_.WallNow()) << i;
    EXPECT_EQ(recorder_.transitions[i].at, environment_.Now()) << i;
  }
  EXPECT_EQ(Snapshot().since, environment_.Now());
}

TEST_F(CircuitBreakerTest, CausesSpeakOfOneInTheSingular) {
  BreakerOptions options = NoRules();
  const auto cause = [&] {
    Make(options);
    Play("F");
    return breaker_->History().back().cause;
  };
  options.consecutive_failures = 1;
  EXPECT_EQ(cause(), "1 consecutive failure");
  options = NoRules();
  options.failure_rate = 1;
  options.minimum_calls = 1;
  EXPECT_EQ(cause(), "100 % of 1 call failed");
  options = NoRules();
  options.last_calls = options.last_calls_failures = 1;
  EXPECT_EQ(cause(), "1 failure among the last calls");
  options = NoRules();
  options.slow_rate = 0.5;
  options.slow_call = absl::Seconds(1);
  options.minimum_calls = 1;
  Make(options);
  PlaySlow('S', absl::Seconds(1));
  EXPECT_EQ(breaker_->History().back().cause, "100 % of 1 call was slow");
}

// --- Events and history ---

TEST_F(CircuitBreakerTest, RejectionsAreReportedAtAPaceAndWithTheirNumber) {
  Make({});
  Play("FFFFF");
  recorder_.events.clear();
  for (int i = 0; i < 10; ++i) Acquire();
  EXPECT_THAT(recorder_.events, ElementsAre("1 rejected"));
  Advance(absl::Seconds(1));
  Acquire();
  EXPECT_THAT(recorder_.events, ElementsAre("1 rejected", "10 rejected"));
}

// Calls the breaker from inside its own event.
class Meddler final : public BreakerListener {
 public:
  void OnTransition(const BreakerTransition& transition) override {
    states.push_back(transition.to);
    if (transition.to == BreakerState::kOpen) {
      breaker->Reset("", "meddler", transition.at);
      EXPECT_EQ(states.size(), 1u)
          << "delivered in the middle of another event";
    }
  }
  CircuitBreaker* breaker = nullptr;
  std::vector<BreakerState> states;
};

TEST(CircuitBreakerListenerTest, AListenerMayCallTheBreaker) {
  ManualEnvironment environment;
  Meddler meddler;
  auto breaker = CircuitBreaker::Create("x", {}, environment, &meddler);
  ASSERT_TRUE(breaker.ok());
  meddler.breaker = breaker->get();
  for (int i = 0; i < 5; ++i) {
    CircuitBreaker::Permit permit = (*breaker)->TryAcquire(environment.Now());
    permit.Record(Outcome::kFailure, environment.Now());
  }
  EXPECT_THAT(meddler.states,
              ElementsAre(BreakerState::kOpen, BreakerState::kClosed));
}

// Does what a test wants when it hears of a change.
class Actor final : public BreakerListener {
 public:
  explicit Actor(std::function<void(const BreakerTransition&)> act)
      : act_(std::move(act)) {}
  void OnTransition(const BreakerTransition& transition) override {
    ++changes;
    act_(transition);
  }
  int changes = 0;

 private:
  const std::function<void(const BreakerTransition&)> act_;
};

TEST(CircuitBreakerListenerTest, OneThatThrowsIsContainedAndCounted) {
  ManualEnvironment environment;
  Actor actor([](const BreakerTransition& transition) {
    if (transition.to == BreakerState::kOpen) throw std::bad_alloc();
  });
  BreakerOptions options;
  options.consecutive_failures = options.half_open_successes = 1;
  auto breaker = *CircuitBreaker::Create("x", options, environment, &actor);
  for (int i = 0; i < 100; ++i) {
    breaker->TryAcquire(environment.Now())
        .Record(i % 2 == 0 ? Outcome::kFailure : Outcome::kSuccess,
                environment.Now());
    environment.Advance(absl::Minutes(1));
  }
  const BreakerSnapshot snapshot = breaker->Snapshot(environment.Now());
  EXPECT_EQ(snapshot.permits.failures, 50u);
  EXPECT_EQ(snapshot.transitions, 50u * 3);
  EXPECT_EQ(actor.changes, 50 * 3);
  EXPECT_EQ(snapshot.events_failed, 50u);
  EXPECT_EQ(snapshot.events_dropped, 0u);
}

TEST(CircuitBreakerListenerTest, AListenerMayDestroyTheBreaker) {
  ManualEnvironment environment;
  std::unique_ptr<CircuitBreaker> breaker;
  Actor actor([&](const BreakerTransition&) { breaker.reset(); });
  breaker = *CircuitBreaker::Create("x", {}, environment, &actor);
  ASSERT_TRUE(breaker
                  ->SetManualState(
                      {BreakerState::kForcedOpen, "", "", absl::Seconds(1)},
                      environment.Now())
                  .ok());
  EXPECT_EQ(breaker, nullptr);
  environment.Advance(absl::Seconds(1));  // Its timer finds nobody.
}

TEST(CircuitBreakerLifetimeTest, EnvironmentMayGoFirst) {
  auto environment = std::make_unique<ManualEnvironment>();
  auto breaker = *CircuitBreaker::Create("x", {}, *environment);
  ASSERT_TRUE(breaker
                  ->SetManualState(
                      {BreakerState::kForcedOpen, "", "", absl::Seconds(1)},
                      environment->Now())
                  .ok());
  environment.reset();
  breaker.reset();
}

TEST(CircuitBreakerListenerTest, AlsoWhenItHearsThatAManualStateIsOver) {
  ManualEnvironment environment;
  std::unique_ptr<CircuitBreaker> breaker;
  Actor actor([&](const BreakerTransition& transition) {
    if (transition.to == BreakerState::kClosed) breaker.reset();
  });
  breaker = *CircuitBreaker::Create("x", {}, environment, &actor);
  ASSERT_TRUE(breaker
                  ->SetManualState(
                      {BreakerState::kForcedOpen, "", "", absl::Seconds(1)},
                      environment.Now())
                  .ok());
  environment.Advance(absl::Seconds(1));
  EXPECT_EQ(breaker, nullptr);
  EXPECT_EQ(actor.changes, 2);
}

TEST_F(CircuitBreakerTest, WorksWithoutAListener) {
  auto breaker = CircuitBreaker::Create("x", {}, environment_);
  ASSERT_TRUE(breaker.ok());
  for (int i = 0; i < 5; ++i) {
    (*breaker)
        ->TryAcquire(environment_.Now())
        .Record(Outcome::kFailure, environment_.Now());
  }
  EXPECT_FALSE((*breaker)->TryAcquire(environment_.Now()).admitted());
  EXPECT_EQ((*breaker)->History().size(), 1u);
}

TEST_F(CircuitBreakerTest, TheHistoryKeepsTheLast32Transitions) {
  Make({});
  for (int i = 0; i < 20; ++i) {
    Play("FFFFF");
    Advance(absl::Seconds(60));
    Play("SS");
  }
  const std::vector<BreakerTransition> history = breaker_->History();
  ASSERT_EQ(history.size(), 32u);
  EXPECT_EQ(Snapshot().transitions, 60u);
  for (size_t i = 0; i < history.size(); ++i) {
    const BreakerTransition& heard =
        recorder_.transitions[recorder_.transitions.size() - 32 + i];
    EXPECT_EQ(history[i].to, heard.to);
    EXPECT_EQ(history[i].cause, heard.cause);
    EXPECT_EQ(history[i].at, heard.at);
    EXPECT_EQ(history[i].wall_time, heard.wall_time);
    EXPECT_EQ(history[i].counts.failures, heard.counts.failures);
  }
  EXPECT_EQ(history.back().cause, "2 probes succeeded");
}

// --- Counts ---

TEST_F(CircuitBreakerTest, CountsTellWhichStateFollowedWhichHowOften) {
  Make({});
  const auto transitions = [this] {
    std::vector<std::string> texts;
    const BreakerCounts counts = breaker_->Counts();
    for (size_t from = 0; from < kBreakerStates; ++from) {
      for (size_t to = 0; to < kBreakerStates; ++to) {
        if (counts.transitions[from][to] == 0) continue;
        texts.push_back(absl::StrCat(counts.transitions[from][to], " ",
                                     ToString(static_cast<BreakerState>(from)),
                                     " -> ",
                                     ToString(static_cast<BreakerState>(to))));
      }
    }
    return texts;
  };
  EXPECT_THAT(transitions(), IsEmpty());
  for (int i = 0; i < 50; ++i) {  // More than the history holds.
    Play("FFFFF");
    EXPECT_EQ(breaker_->Counts().state, BreakerState::kOpen);
    Advance(absl::Seconds(60));
    Play("SS");
  }
  // Resets of what is CLOSED already are no changes of state.
  breaker_->Reset("", "");
  EXPECT_THAT(transitions(),
              ElementsAre("50 CLOSED -> OPEN", "50 OPEN -> HALF_OPEN",
                          "50 HALF_OPEN -> CLOSED"));
}

TEST_F(CircuitBreakerTest, CountsShowMetricsOnlyAndNotItsShadow) {
  Make({});
  ManualState manual;
  manual.state = BreakerState::kMetricsOnly;
  ASSERT_TRUE(breaker_->SetManualState(manual).ok());
  Play("FFFFFSS");
  const BreakerCounts counts = breaker_->Counts();
  EXPECT_EQ(counts.state, BreakerState::kMetricsOnly);
  EXPECT_EQ(counts.would_have_rejected, 2u);
  EXPECT_EQ(counts.transitions[0][1], 0u);
}

// --- Reconfiguration ---

TEST_F(CircuitBreakerTest, NewThresholdsKeepTheWindowAndTheRun) {
  Make({});
  Play("SFFF");
  BreakerOptions options;
  options.consecutive_failures = 4;
  options.max_concurrent_calls = 10;
  Permit under_way = Acquire();
  ASSERT_TRUE(breaker_->Reconfigure(options, environment_.Now()).ok());
  EXPECT_EQ(Snapshot().counts.calls(), 4);
  Record(std::move(under_way), Outcome::kFailure);
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_EQ(Snapshot().calls_under_way, 0);
}

TEST_F(CircuitBreakerTest, ANewWindowLengthStartsEmpty) {
  BreakerOptions options = NoRules();
  Make(options);
  Play("SSSFF");
  for (absl::Duration window :
       {absl::Hours(1), absl::Milliseconds(100), absl::Seconds(10)}) {
    options.window = window;
    Permit under_way = Acquire();
    ASSERT_TRUE(breaker_->Reconfigure(options, environment_.Now()).ok());
    EXPECT_EQ(Snapshot().counts.calls(), 0);
    Record(std::move(under_way), Outcome::kFailure);
    EXPECT_EQ(Snapshot().counts.calls(), 0);
    Play("SF");
    EXPECT_EQ(Snapshot().counts.calls(), 2);
  }
  EXPECT_EQ(Held(), 0u);
}

TEST_F(CircuitBreakerTest, ReconfigurationKeepsStateAndProbes) {
  Make({});
  Play("FFFFF");
  BreakerOptions options;
  options.open_duration = absl::Seconds(1);
  options.window = absl::Seconds(20);
  options.half_open_permits = 1;
  ASSERT_TRUE(breaker_->Reconfigure(options, environment_.Now()).ok());
  EXPECT_EQ(Snapshot().next_probe_in, absl::Seconds(60));
  Advance(absl::Seconds(60));
  Permit probe = Acquire();
  options.half_open_permits = 2;
  ASSERT_TRUE(breaker_->Reconfigure(options, environment_.Now()).ok());
  Permit second = Acquire();
  EXPECT_TRUE(second.admitted());
  Record(std::move(probe), Outcome::kSuccess);
  Record(std::move(second), Outcome::kSuccess);
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, NewOptionsAreShownAsThoseInForce) {
  Make({});
  EXPECT_EQ(breaker_->options(), BreakerOptions());
  BreakerOptions options;
  options.half_open_permits = 7;
  options.ramp = {0.5};
  ASSERT_TRUE(breaker_->Reconfigure(options, environment_.Now()).ok());
  EXPECT_EQ(breaker_->options(), options);
}

// What probes have said before the options change is judged by the new ones.
struct Rejudged {
  const char* name;
  BreakerOptions before;
  std::string outcomes;
  BreakerOptions after;
  BreakerState state;
};

BreakerOptions ByCount(int permits, int successes) {
  BreakerOptions options;
  options.half_open_permits = permits;
  options.half_open_successes = successes;
  return options;
}

BreakerOptions ByRate(int permits, double rate) {
  BreakerOptions options;
  options.half_open_permits = permits;
  options.half_open_failure_rate = rate;
  return options;
}

class RejudgedProbesTest : public BreakerFixture,
                           public ::testing::WithParamInterface<Rejudged> {};

TEST_P(RejudgedProbesTest, ComeToADecision) {
  const Rejudged& param = GetParam();
  MakeDueForProbes(param.before);
  Play(param.outcomes);
  ASSERT_EQ(state(), BreakerState::kHalfOpen);
  ASSERT_TRUE(breaker_->Reconfigure(param.after, environment_.Now()).ok());
  EXPECT_EQ(state(), param.state);
  EXPECT_EQ(recorder_.transitions.back().to, param.state);
  if (param.state != BreakerState::kHalfOpen) return;
  // A healthy server is enough then.
  for (int i = 0; i < 20 && state() != BreakerState::kClosed; ++i) Play("S");
  EXPECT_EQ(state(), BreakerState::kClosed);
}

INSTANTIATE_TEST_SUITE_P(
    EachChange, RejudgedProbesTest,
    ::testing::Values(Rejudged{"FewerByRateAllWell", ByRate(10, 0.5), "SSSSSS",
                               ByRate(5, 0.5), BreakerState::kClosed},
                      Rejudged{"FewerByRateSomeFailed", ByRate(10, 0.5),
                               "SSSFF", ByRate(5, 0.5), BreakerState::kClosed},
                      Rejudged{"FewerByRateMostFailed", ByRate(10, 0.5),
                               "SSFFF", ByRate(5, 0.5), BreakerState::kOpen},
                      Rejudged{"FewerByRateNotEnough", ByRate(10, 0.5), "SSFF",
                               ByRate(5, 0.5), BreakerState::kHalfOpen},
                      Rejudged{"MoreByRate", ByRate(3, 0.5), "SF",
                               ByRate(10, 0.5), BreakerState::kHalfOpen},
                      Rejudged{"CountToRate", ByCount(3, 10), "SSSS",
                               ByRate(3, 0.5), BreakerState::kClosed},
                      Rejudged{"RateToCountWithAFailure", ByRate(10, 0.5),
                               "SSF", ByCount(3, 10), BreakerState::kOpen},
                      Rejudged{"RateToCountWithEnough", ByRate(10, 0.5), "SS",
                               ByCount(3, 2), BreakerState::kClosed},
                      Rejudged{"FewerByCount", ByCount(3, 10), "SSSS",
                               ByCount(3, 4), BreakerState::kClosed},
                      Rejudged{"MoreByCount", ByCount(3, 2), "S",
                               ByCount(3, 10), BreakerState::kHalfOpen},
                      Rejudged{"NoChange", ByCount(3, 10), "SSSS",
                               ByCount(3, 10), BreakerState::kHalfOpen}),
    [](const auto& info) { return info.param.name; });

TEST_F(CircuitBreakerTest, ANewLongestWaitEndsAHalfOpenThatHasBegun) {
  MakeDueForProbes({});
  std::vector<Permit> hang;
  for (int i = 0; i < 3; ++i) hang.push_back(Acquire());
  Advance(absl::Seconds(5));
  BreakerOptions options;
  options.half_open_max_wait = absl::Seconds(20);
  ASSERT_TRUE(breaker_->Reconfigure(options, environment_.Now()).ok());
  Advance(absl::Seconds(15) - absl::Nanoseconds(1));
  EXPECT_FALSE(Acquire().admitted());
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
  Advance(absl::Nanoseconds(1));
  EXPECT_FALSE(Acquire().admitted());
  EXPECT_EQ(state(), BreakerState::kOpen);
}

TEST_F(CircuitBreakerTest, ANewRampTakesTheOldOnesPlace) {
  BreakerOptions options;
  options.ramp = {0.1, 0.2};
  MakeDueForProbes(options);
  Play("SS");
  EXPECT_EQ(Snapshot().ramp_share, 0.1);
  options.ramp = {0.3, 0.4, 0.5, 0.6};
  ASSERT_TRUE(breaker_->Reconfigure(options, environment_.Now()).ok());
  Advance(absl::Seconds(35));
  Acquire();
  EXPECT_EQ(Snapshot().ramp_share, 0.6);
  options.ramp = {};
  ASSERT_TRUE(breaker_->Reconfigure(options, environment_.Now()).ok());
  environment_.ScriptUniform({0.999});
  EXPECT_TRUE(Acquire().admitted());
  EXPECT_EQ(Snapshot().ramp_share, 1);
}

TEST_F(CircuitBreakerTest, ReconfigurationTurnsTheBreakerOffAndOn) {
  Make({});
  Play("FFFFF");
  BreakerOptions options;
  options.enabled = false;
  ASSERT_TRUE(breaker_->Reconfigure(options, environment_.Now()).ok());
  Play("FFFFFFFF");
  options.enabled = true;
  ASSERT_TRUE(breaker_->Reconfigure(options, environment_.Now()).ok());
  EXPECT_EQ(state(), BreakerState::kClosed);
  Play("FFFFF");
  EXPECT_EQ(state(), BreakerState::kOpen);
}

TEST_F(CircuitBreakerTest, BadOptionsChangeNothing) {
  Make({});
  BreakerOptions options;
  options.window = absl::ZeroDuration();
  EXPECT_EQ(breaker_->Reconfigure(options, environment_.Now()).message(),
            "breaker.window: must be from 100ms to 1h, got 0");
  Play("FFFFF");
  EXPECT_EQ(state(), BreakerState::kOpen);
}

// --- Without a time: by the environment's clock ---

// Far from the real clock, whichever way that has gone on meanwhile.
class ByTheEnvironmentsClockTest : public BreakerFixture {
 protected:
  ByTheEnvironmentsClockTest() { Advance(absl::Hours(24 * 365 * 100)); }
};

TEST_F(ByTheEnvironmentsClockTest, APermitIsRefusedUntilTheOpenDurationIsOver) {
  Make({});
  Play("FFFFF");
  Advance(absl::Seconds(59));
  EXPECT_EQ(breaker_->TryAcquire().rejection().retry_after, absl::Seconds(1));
  Advance(absl::Seconds(1));
  EXPECT_TRUE(breaker_->TryAcquire().admitted());
}

TEST_F(ByTheEnvironmentsClockTest, AnOutcomeIsRecorded) {
  BreakerOptions options = NoRules();
  options.slow_call = absl::Seconds(1);
  options.slow_rate = 1;
  Make(options);
  for (absl::Duration duration :
       {absl::Milliseconds(999), absl::Milliseconds(1000)}) {
    Permit permit = breaker_->TryAcquire();
    Advance(duration);
    permit.Record(Outcome::kSuccess);
    permit.Record(Outcome::kSuccess);  // Counts no second time.
  }
  EXPECT_EQ(Snapshot().counts.successes, 2);
  EXPECT_EQ(Snapshot().counts.slow, 1);
  EXPECT_THAT(recorder_.events, ElementsAre("slow: 1s"));
}

TEST_F(ByTheEnvironmentsClockTest, AnOutcomeIsRecordedWithItsDetails) {
  BreakerOptions options = NoRules();
  options.open_on_critical = true;
  Make(options);
  Permit permit = breaker_->TryAcquire();
  permit.Record(Outcome::kFailure, {ErrorSeverity::kCritical, std::nullopt});
  ASSERT_EQ(recorder_.transitions.size(), 1u);
  EXPECT_EQ(recorder_.transitions[0].to, BreakerState::kOpen);
  EXPECT_EQ(recorder_.transitions[0].at, environment_.Now());
}

TEST_F(ByTheEnvironmentsClockTest, AResponseIsNoted) {
  BreakerOptions options = NoRules();
  options.slow_call = absl::Seconds(2);
  options.slow_rate = 1;
  Make(options);
  Permit permit = breaker_->TryAcquire();
  Advance(absl::Seconds(2));
  permit.NoteResponse();
  Advance(absl::Hours(1));
  permit.Record(Outcome::kSuccess);
  EXPECT_THAT(recorder_.events, ElementsAre("slow: 2s"));
}

TEST_F(ByTheEnvironmentsClockTest, WhatIsRecordedOnARefusedPermitIsNothing) {
  Make({});
  Play("FFFFF");
  Permit permit = breaker_->TryAcquire();
  permit.NoteResponse();
  permit.Record(Outcome::kFailure);
  permit.Record(Outcome::kFailure, {ErrorSeverity::kCritical, std::nullopt});
  EXPECT_FALSE(permit.admitted());
  EXPECT_EQ(Snapshot().permits.failures, 5u);
}

TEST_F(ByTheEnvironmentsClockTest, ASnapshotIsTaken) {
  Make({});
  Play("FFFFF");
  Advance(absl::Seconds(20));
  EXPECT_EQ(breaker_->Snapshot().next_probe_in, absl::Seconds(40));
}

TEST_F(ByTheEnvironmentsClockTest, AManualStateIsSet) {
  Make({});
  ManualState manual;
  manual.time_to_live = absl::Seconds(10);
  ASSERT_TRUE(breaker_->SetManualState(manual).ok());
  EXPECT_EQ(Snapshot().since, environment_.Now());
  EXPECT_EQ(Snapshot().manual->time_to_live, absl::Seconds(10));
}

TEST_F(ByTheEnvironmentsClockTest, AResetIsDated) {
  Make({});
  Play("FFFFF");
  Advance(absl::Seconds(3));
  breaker_->Reset("over", "ann");
  EXPECT_EQ(state(), BreakerState::kClosed);
  EXPECT_EQ(Snapshot().since, environment_.Now());
  EXPECT_EQ(recorder_.transitions.back().cause, "reset manually by ann: over");
}

TEST_F(ByTheEnvironmentsClockTest, AReconfigurationIsDated) {
  Make({});
  Advance(absl::Seconds(3));
  BreakerOptions options;
  options.enabled = false;
  ASSERT_TRUE(breaker_->Reconfigure(options).ok());
  EXPECT_EQ(state(), BreakerState::kForcedClosed);
  EXPECT_EQ(Snapshot().since, environment_.Now());
}

// --- Execute ---

TEST_F(CircuitBreakerTest,
       ExecuteReturnsTheRejectionWithoutCallingTheFunction) {
  Make({});
  Play("FFFFF");
  bool called = false;
  const absl::Status status = breaker_->Execute([&] {
    called = true;
    return absl::OkStatus();
  });
  EXPECT_FALSE(called);
  EXPECT_TRUE(IsBreakerRejection(status));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(),
            "circuit breaker /pkg.S/M refused the call: OPEN, retry after 1m");
}

TEST_F(CircuitBreakerTest, ExecuteRecordsByTheStatusTable) {
  Make({});
  const absl::StatusOr<int> answer =
      breaker_->Execute([]() -> absl::StatusOr<int> { return 42; });
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(*answer, 42);
  EXPECT_EQ(breaker_->Execute([] { return absl::NotFoundError("x"); }),
            absl::NotFoundError("x"));
  EXPECT_EQ(breaker_->Execute([] { return absl::UnavailableError("x"); }),
            absl::UnavailableError("x"));
  EXPECT_EQ(Snapshot().counts.successes, 2);
  EXPECT_EQ(Snapshot().counts.failures, 1);
}

TEST_F(CircuitBreakerTest, ExecuteCountsAnExceptionAsAFailureAndLetsItGoOn) {
  Make({});
  const auto call = [&] {
    return breaker_->Execute(
        []() -> absl::Status { throw std::runtime_error("broken"); });
  };
  for (int i = 0; i < 5; ++i) EXPECT_THROW((void)call(), std::runtime_error);
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_EQ(Snapshot().permits.failures, 5u);
  EXPECT_EQ(Held(), 0u);
  EXPECT_TRUE(IsBreakerRejection(call()));
  Advance(absl::Seconds(60));
  EXPECT_THROW((void)call(), std::runtime_error);
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_EQ(Snapshot().permits.ignored, 0u);
  EXPECT_EQ(Snapshot().permits.returned, 0u);
}

TEST_F(CircuitBreakerTest, ExecuteLetsTheVeryExceptionGoOn) {
  Make({});
  const std::exception_ptr thrown =
      std::make_exception_ptr(std::runtime_error("broken"));
  std::exception_ptr caught;
  try {
    (void)breaker_->Execute(
        [&]() -> absl::Status { std::rethrow_exception(thrown); });
  } catch (...) {
    caught = std::current_exception();
  }
  EXPECT_EQ(caught, thrown);
}

TEST_F(CircuitBreakerTest, AnExceptionIsAFailureLikeUnknownAndNotCritical) {
  BreakerOptions options = NoRules();
  options.open_on_critical = true;
  Make(options);
  const auto call = [&] {
    return breaker_->Execute(
        []() -> absl::Status { throw std::runtime_error("broken"); });
  };
  EXPECT_THROW((void)call(), std::runtime_error);
  EXPECT_EQ(Snapshot().counts.failures, 1);
  EXPECT_EQ(state(), BreakerState::kClosed);
  const ErrorClass unknown = ClassifyError(absl::UnknownError("broken"));
  EXPECT_EQ(unknown.outcome, Outcome::kFailure);
  EXPECT_EQ(unknown.severity, ErrorSeverity::kHigh);
}

TEST(IsBreakerRejectionTest, IsFalseForAServersUnavailable) {
  EXPECT_FALSE(IsBreakerRejection(absl::UnavailableError("x")));
  EXPECT_FALSE(IsBreakerRejection(absl::OkStatus()));
}

}  // namespace
}  // namespace grpc_breaker
