#include "grpc_breaker/circuit_breaker.h"

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using ::std::chrono::milliseconds;
using ::std::chrono::seconds;
using ::testing::ElementsAre;

// Breakers need no timers.
class ClockOnly final : public Environment {
 public:
  MonotonicTime Now() override { return now; }
  absl::Time WallNow() override { return absl::UnixEpoch(); }
  double Uniform() override { return 0.5; }
  TimerId RunAt(MonotonicTime, absl::AnyInvocable<void() &&>) override {
    std::abort();
  }
  bool Cancel(TimerId) override { return false; }
  void Sleep(absl::Duration) override { std::abort(); }

  MonotonicTime now = MonotonicTime(std::chrono::hours(1));
};

class Recorder final : public BreakerListener {
 public:
  void OnTransition(const BreakerTransition& transition) override {
    states.push_back(std::string(ToString(transition.to)));
  }
  std::vector<std::string> states;
};

class CircuitBreakerTest : public ::testing::Test {
 protected:
  void Make(const BreakerOptions& options) {
    auto breaker =
        CircuitBreaker::Create("/pkg.S/M", options, environment_, &recorder_);
    ASSERT_TRUE(breaker.ok()) << breaker.status();
    breaker_ = *std::move(breaker);
  }

  // One call per letter: S succeeds, F fails, X is ignored.
  void Play(const std::string& outcomes) {
    for (char outcome : outcomes) {
      CircuitBreaker::Permit permit = breaker_->TryAcquire(environment_.now);
      ASSERT_TRUE(permit.admitted());
      permit.Record(outcome == 'S'   ? Outcome::kSuccess
                    : outcome == 'F' ? Outcome::kFailure
                                     : Outcome::kIgnored,
                    environment_.now);
    }
  }

  BreakerState state() const {
    return breaker_->Snapshot(environment_.now).state;
  }

  ClockOnly environment_;
  Recorder recorder_;
  std::unique_ptr<CircuitBreaker> breaker_;
};

TEST_F(CircuitBreakerTest, OpensAfterConsecutiveFailuresAndClosesAfterProbes) {
  Make({});
  Play("FFFF");
  EXPECT_EQ(state(), BreakerState::kClosed);
  Play("F");
  EXPECT_EQ(state(), BreakerState::kOpen);

  CircuitBreaker::Permit refused = breaker_->TryAcquire(environment_.now);
  EXPECT_FALSE(refused.admitted());
  EXPECT_EQ(refused.rejection().reason, RejectionReason::kOpen);
  EXPECT_EQ(refused.rejection().retry_after, absl::Seconds(60));

  environment_.now += seconds(60);
  Play("SS");
  EXPECT_EQ(state(), BreakerState::kClosed);
  EXPECT_THAT(recorder_.states, ElementsAre("OPEN", "HALF_OPEN", "CLOSED"));
}

TEST_F(CircuitBreakerTest, AnAbandonedProbeGivesItsPlaceBack) {
  BreakerOptions options;
  options.half_open_permits = 1;
  Make(options);
  Play("FFFFF");
  environment_.now += seconds(60);
  {
    CircuitBreaker::Permit probe = breaker_->TryAcquire(environment_.now);
    EXPECT_TRUE(probe.admitted());
    EXPECT_FALSE(breaker_->TryAcquire(environment_.now).admitted());
  }
  EXPECT_TRUE(breaker_->TryAcquire(environment_.now).admitted());
}

TEST_F(CircuitBreakerTest, ALostProbeLosesItsPlaceAfterTheLease) {
  BreakerOptions options;
  options.half_open_permits = 1;
  Make(options);
  Play("FFFFF");
  environment_.now += seconds(60);
  CircuitBreaker::Permit lost = breaker_->TryAcquire(environment_.now);
  environment_.now += seconds(60);
  EXPECT_TRUE(breaker_->TryAcquire(environment_.now).admitted());
}

TEST_F(CircuitBreakerTest, AnOutcomeFromBeforeTheTransitionIsDropped) {
  BreakerOptions options;
  options.half_open_successes = 1;
  Make(options);
  CircuitBreaker::Permit stale = breaker_->TryAcquire(environment_.now);
  Play("FFFFF");
  environment_.now += seconds(60);
  CircuitBreaker::Permit probe = breaker_->TryAcquire(environment_.now);
  stale.Record(Outcome::kFailure, environment_.now);
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
}

TEST_F(CircuitBreakerTest, RejectsOptionsThatNameFieldAndValue) {
  BreakerOptions options;
  options.failure_rate = 1.5;
  EXPECT_EQ(
      CircuitBreaker::Create("x", options, environment_).status().message(),
      "breaker.failure_rate: must be from 0 to 1, got 1.5");
}

}  // namespace
}  // namespace grpc_breaker
