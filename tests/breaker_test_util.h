#ifndef GRPC_BREAKER_TESTS_BREAKER_TEST_UTIL_H_
#define GRPC_BREAKER_TESTS_BREAKER_TEST_UTIL_H_

// A breaker on a manual clock, played with one letter per call, and a listener
// that writes down what it hears.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"

namespace grpc_breaker {

class BreakerRecorder final : public BreakerListener {
 public:
  void OnTransition(const BreakerTransition& transition) override {
    transitions.push_back(transition);
    events.push_back(absl::StrCat(ToString(transition.from), " -> ",
                                  ToString(transition.to)));
  }
  void OnRejections(const BreakerRejections& rejections) override {
    events.push_back(absl::StrCat(rejections.rejections, " rejected"));
  }
  void OnSlowCall(const BreakerSlowCall& call) override {
    events.push_back(absl::StrCat("slow: ", absl::FormatDuration(call.took)));
  }
  void OnThreshold(const BreakerThreshold& threshold) override {
    events.push_back(absl::StrCat("threshold: ", ToString(threshold.rule)));
  }
  void OnEventsDropped(const BreakerEventsDropped& dropped) override {
    events.push_back(absl::StrCat(dropped.dropped, " dropped"));
  }

  std::vector<BreakerTransition> transitions;
  std::vector<std::string> events;
};

class BreakerFixture : public ::testing::Test {
 protected:
  using Permit = CircuitBreaker::Permit;

  // No rule at all; tests turn on what they are about.
  static BreakerOptions NoRules() {
    BreakerOptions options;
    options.consecutive_failures = 0;
    options.failure_rate = 0;
    return options;
  }

  void Make(const BreakerOptions& options) {
    absl::StatusOr<std::unique_ptr<CircuitBreaker>> breaker =
        CircuitBreaker::Create("/pkg.S/M", options, environment_, &recorder_);
    ASSERT_TRUE(breaker.ok()) << breaker.status();
    breaker_ = *std::move(breaker);
  }

  Permit Acquire() { return breaker_->TryAcquire(environment_.Now()); }

  void Record(Permit permit, Outcome outcome,
              const CircuitBreaker::FailureDetails& details = {}) {
    permit.Record(outcome, environment_.Now(), details);
  }

  // One admitted call per letter: S succeeds, F fails, X is ignored. A call
  // that is refused fails the test.
  void Play(const std::string& outcomes) {
    for (char outcome : outcomes) {
      Permit permit = Acquire();
      ASSERT_TRUE(permit.admitted())
          << outcome << " of " << outcomes
          << " was refused: " << ToString(permit.rejection().reason);
      Record(std::move(permit), outcome == 'S'   ? Outcome::kSuccess
                                : outcome == 'F' ? Outcome::kFailure
                                                 : Outcome::kIgnored);
    }
  }

  // Opens a breaker with these options, whose first probe is then due.
  void MakeDueForProbes(const BreakerOptions& options) {
    Make(options);
    Play("FFFFF");
    environment_.Advance(absl::Seconds(60));
  }

  // One call that takes so long.
  void PlaySlow(char outcome, absl::Duration duration) {
    Permit permit = Acquire();
    ASSERT_TRUE(permit.admitted());
    environment_.Advance(duration);
    Record(std::move(permit),
           outcome == 'S' ? Outcome::kSuccess : Outcome::kFailure);
  }

  void Advance(absl::Duration duration) { environment_.Advance(duration); }

  BreakerSnapshot Snapshot() const {
    return breaker_->Snapshot(environment_.Now());
  }
  BreakerState state() const { return Snapshot().state; }

  // The permits of which nothing was heard yet.
  uint64_t Held() const {
    const PermitTotals totals = Snapshot().permits;
    return totals.issued - totals.successes - totals.failures - totals.ignored -
           totals.stale - totals.returned;
  }

  mutable ManualEnvironment environment_;
  BreakerRecorder recorder_;
  std::unique_ptr<CircuitBreaker> breaker_;
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_TESTS_BREAKER_TEST_UTIL_H_
