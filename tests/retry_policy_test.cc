#include "grpc_breaker/retry_policy.h"

#include <ostream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using Verdict = RetryDecision::Verdict;

constexpr MonotonicTime kNever = MonotonicTime::max();

ErrorClass Unavailable(absl::string_view message = "") {
  return ClassifyError(absl::StatusCode::kUnavailable, message);
}
ErrorClass NotFound() { return ClassifyError(absl::NotFoundError("")); }
ErrorClass Ok() { return ClassifyError(absl::OkStatus()); }

ErrorClass WithRetryInfo(absl::Duration delay) {
  ErrorOrigin origin;
  origin.retry_info = delay;
  return ClassifyError(absl::StatusCode::kResourceExhausted, "", origin);
}

Pushback RetryAfter(absl::Duration delay) {
  return {Pushback::Kind::kRetryAfter, delay};
}
Pushback DoNotRetry() {
  return {Pushback::Kind::kDoNotRetry, absl::ZeroDuration()};
}

// "RETRY 1s", "EXHAUSTED", ...
std::string Text(const RetryDecision& decision) {
  std::string text(ToString(decision.verdict));
  if (decision.retry()) text += " " + absl::FormatDuration(decision.delay);
  return text;
}

class RetryPolicyTest : public ::testing::Test {
 protected:
  RetryPolicyTest() { options_.jitter = Jitter::kNone; }

  RetryPolicy Make(RetryBudget* budget = nullptr, bool idempotent = true) {
    return RetryPolicy(options_, idempotent, env_, budget);
  }

  std::string Next(RetryPolicy& policy, const ErrorClass& error,
                   const Pushback& pushback = {},
                   MonotonicTime deadline = kNever) {
    return Text(policy.Next(error, pushback, env_.Now(), deadline));
  }

  MonotonicTime In(absl::Duration duration) {
    return TimeAfter(env_.Now(), duration);
  }

  ManualEnvironment env_;
  RetryOptions options_;
};

TEST_F(RetryPolicyTest, RetriesWithGrowingDelaysUntilExhausted) {
  RetryPolicy policy = Make();
  EXPECT_EQ(Next(policy, Unavailable()), "RETRY 1s");
  EXPECT_EQ(Next(policy, Unavailable()), "RETRY 2s");
  EXPECT_EQ(Next(policy, Unavailable()), "RETRY 4s");
  EXPECT_EQ(Next(policy, Unavailable()), "EXHAUSTED");
  EXPECT_EQ(policy.retries(), 3);
}

TEST_F(RetryPolicyTest, NeverRetriesSuccessOrWhatARetryCannotHelp) {
  RetryPolicy policy = Make();
  EXPECT_EQ(Next(policy, Ok()), "SUCCEEDED");
  EXPECT_EQ(Next(policy, NotFound()), "NOT_RETRYABLE");
  EXPECT_EQ(policy.retries(), 0);
}

TEST_F(RetryPolicyTest, ZeroRetriesMeansOneAttempt) {
  options_.max_retries = 0;
  RetryPolicy policy = Make();
  EXPECT_EQ(Next(policy, Unavailable()), "EXHAUSTED");
  EXPECT_EQ(
      Text(policy.NextAfterRejection(absl::Seconds(1), env_.Now(), kNever)),
      "EXHAUSTED");
}

TEST_F(RetryPolicyTest, RepeatsACallThatIsNotIdempotentOnlyIfItWasNeverSent) {
  RetryPolicy policy = Make(nullptr, /*idempotent=*/false);
  EXPECT_EQ(Next(policy, Unavailable("Socket closed")), "NOT_IDEMPOTENT");
  EXPECT_EQ(Next(policy, Unavailable("failed to connect to all addresses")),
            "RETRY 1s");
}

TEST_F(RetryPolicyTest, APushbackIsFollowedExactlyAndRestartsTheBackoff) {
  options_.jitter = Jitter::kFull;
  RetryPolicy policy = Make();
  EXPECT_EQ(Next(policy, Unavailable()), "RETRY 500ms");
  EXPECT_EQ(Next(policy, Unavailable(), RetryAfter(absl::Seconds(90))),
            "RETRY 1m30s");
  EXPECT_EQ(Next(policy, Unavailable()), "RETRY 500ms");
}

TEST_F(RetryPolicyTest, APushbackOfZeroRetriesAtOnce) {
  RetryPolicy policy = Make();
  EXPECT_EQ(Next(policy, Unavailable(), RetryAfter(absl::ZeroDuration())),
            "RETRY 0");
}

TEST_F(RetryPolicyTest, APushbackNeverOverridesExhaustionOrThePermanent) {
  options_.max_retries = 1;
  RetryPolicy policy = Make();
  EXPECT_EQ(Next(policy, NotFound(), RetryAfter(absl::Seconds(1))),
            "NOT_RETRYABLE");
  EXPECT_EQ(Next(policy, Ok(), RetryAfter(absl::Seconds(1))), "SUCCEEDED");
  EXPECT_EQ(Next(policy, Unavailable()), "RETRY 1s");
  EXPECT_EQ(Next(policy, Unavailable(), RetryAfter(absl::Seconds(1))),
            "EXHAUSTED");
}

TEST_F(RetryPolicyTest, DoNotRetryIsObeyed) {
  RetryPolicy policy = Make();
  EXPECT_EQ(Next(policy, Unavailable(), DoNotRetry()), "PUSHBACK");
}

TEST_F(RetryPolicyTest, RetryInfoIsALowerBoundFromWhichDelaysGrow) {
  RetryPolicy policy = Make();
  EXPECT_EQ(Next(policy, WithRetryInfo(absl::Seconds(10))), "RETRY 10s");
  EXPECT_EQ(Next(policy, Unavailable()), "RETRY 20s");
  EXPECT_EQ(Next(policy, WithRetryInfo(absl::Seconds(1))), "RETRY 40s");
}

TEST_F(RetryPolicyTest, APushbackGoesBeforeRetryInfo) {
  RetryPolicy policy = Make();
  EXPECT_EQ(Next(policy, WithRetryInfo(absl::Seconds(10)),
                 RetryAfter(absl::Seconds(2))),
            "RETRY 2s");
}

TEST_F(RetryPolicyTest, ADelayThatDoesNotFitBeforeTheDeadlineStopsAtOnce) {
  RetryPolicy policy = Make();
  EXPECT_EQ(Next(policy, Unavailable(), {}, In(absl::Milliseconds(999))),
            "DEADLINE");
  EXPECT_EQ(policy.retries(), 0);
}

TEST_F(RetryPolicyTest, AnAttemptThatWouldStartAtTheDeadlineIsNotMade) {
  RetryPolicy at = Make();
  EXPECT_EQ(Next(at, Unavailable(), {}, In(absl::Seconds(1))), "DEADLINE");
  RetryPolicy before = Make();
  EXPECT_EQ(Next(before, Unavailable(), {},
                 In(absl::Seconds(1) + absl::Nanoseconds(1))),
            "RETRY 1s");
}

TEST_F(RetryPolicyTest, AnAttemptThatWouldNotEndBeforeTheDeadlineIsNotMade) {
  for (const auto& [expected, verdict] :
       {std::pair(absl::Milliseconds(499), "RETRY 1s"),
        std::pair(absl::Milliseconds(500), "DEADLINE"),
        std::pair(absl::Hours(1), "DEADLINE")}) {
    RetryPolicy policy = Make();
    policy.ExpectAttemptsToTake(expected);
    EXPECT_EQ(Next(policy, Unavailable(), {}, In(absl::Milliseconds(1500))),
              verdict);
    RetryPolicy rejected = Make();
    rejected.ExpectAttemptsToTake(expected);
    EXPECT_EQ(Text(rejected.NextAfterRejection(absl::Seconds(1), env_.Now(),
                                               In(absl::Milliseconds(1500)))),
              verdict);
    EXPECT_EQ(Next(policy, Unavailable()).substr(0, 5), "RETRY");
  }
}

TEST_F(RetryPolicyTest, ACommittedAttemptIsTheLast) {
  RetryPolicy policy = Make();
  EXPECT_EQ(Text(policy.Next(Unavailable(), {}, env_.Now(), kNever,
                             /*committed=*/true)),
            "COMMITTED");
  EXPECT_EQ(policy.retries(), 0);
  EXPECT_EQ(Text(policy.Next(NotFound(), {}, env_.Now(), kNever,
                             /*committed=*/true)),
            "NOT_RETRYABLE");
}

TEST_F(RetryPolicyTest, CommitmentIsAskedBeforeAttemptsAndPushback) {
  options_.max_retries = 0;
  RetryPolicy policy = Make();
  EXPECT_EQ(Text(policy.Next(Unavailable(), DoNotRetry(), env_.Now(), kNever,
                             /*committed=*/true)),
            "COMMITTED");
}

TEST_F(RetryPolicyTest, NoDelayFitsOnceTheDeadlineHasPassed) {
  RetryPolicy policy = Make();
  EXPECT_EQ(Next(policy, Unavailable(), RetryAfter(absl::ZeroDuration()),
                 In(-absl::Seconds(1))),
            "DEADLINE");
}

TEST_F(RetryPolicyTest, AnEndlessWaitFitsBeforeNoDeadline) {
  RetryPolicy policy = Make();
  EXPECT_EQ(Next(policy, WithRetryInfo(absl::InfiniteDuration())), "DEADLINE");
}

TEST_F(RetryPolicyTest, ARejectionWaitsAtLeastItsRetryAfter) {
  RetryPolicy policy = Make(nullptr, /*idempotent=*/false);
  const auto rejected = [&](absl::Duration retry_after) {
    return Text(policy.NextAfterRejection(retry_after, env_.Now(), kNever));
  };
  EXPECT_EQ(rejected(absl::Seconds(30)), "RETRY 30s");
  // No spin where the breaker cannot say when.
  EXPECT_EQ(rejected(absl::ZeroDuration()), "RETRY 2s");
  EXPECT_EQ(rejected(absl::Seconds(3)), "RETRY 4s");
  EXPECT_EQ(rejected(absl::Seconds(30)), "EXHAUSTED");
}

TEST_F(RetryPolicyTest, ARejectionThatOutlastsTheDeadlineStopsAtOnce) {
  RetryPolicy policy = Make();
  EXPECT_EQ(Text(policy.NextAfterRejection(absl::Seconds(30), env_.Now(),
                                           In(absl::Seconds(30)))),
            "DEADLINE");
}

class RetryPolicyBudgetTest : public RetryPolicyTest {
 protected:
  static RetryBudgetOptions FourTokens() {
    RetryBudgetOptions options;
    options.max_tokens = 4;
    options.token_ratio = 0.8;
    return options;
  }

  RetryBudget budget_{FourTokens()};
};

TEST_F(RetryPolicyBudgetTest, StopsAtOnceWhenHalfOfTheTokensAreGone) {
  RetryPolicy policy = Make(&budget_);
  EXPECT_EQ(Next(policy, Unavailable()), "RETRY 1s");
  EXPECT_EQ(Next(policy, Unavailable()), "BUDGET");
  EXPECT_EQ(budget_.tokens(), 2);
}

TEST_F(RetryPolicyBudgetTest, OnlySuccessGivesTokensBack) {
  RetryPolicy policy = Make(&budget_);
  Next(policy, Unavailable());
  Next(policy, NotFound());
  EXPECT_EQ(budget_.tokens(), 3);
  Next(policy, Ok());
  EXPECT_EQ(budget_.tokens(), 3.8);
}

// grpc-java, ThrottlePolicy with a count of 3.
TEST_F(RetryPolicyBudgetTest, TakesTokensForRetryableFailuresAndDoNotRetry) {
  const auto left_after = [&](const ErrorClass& error,
                              const Pushback& pushback) {
    RetryBudget budget(FourTokens());
    budget.RecordFailure();
    RetryPolicy policy = Make(&budget);
    Next(policy, error, pushback);
    return budget.tokens();
  };
  EXPECT_EQ(left_after(Unavailable(), {}), 2);
  EXPECT_EQ(left_after(NotFound(), {}), 3);
  EXPECT_EQ(left_after(NotFound(), DoNotRetry()), 2);
  EXPECT_EQ(left_after(Unavailable(), DoNotRetry()), 2);
  EXPECT_EQ(left_after(NotFound(), RetryAfter(absl::Seconds(1))), 3);
}

TEST_F(RetryPolicyBudgetTest, TheLastAttemptStillTakesAToken) {
  options_.max_retries = 0;
  RetryPolicy policy = Make(&budget_);
  EXPECT_EQ(Next(policy, Unavailable()), "EXHAUSTED");
  EXPECT_EQ(budget_.tokens(), 3);
}

TEST_F(RetryPolicyBudgetTest, TheBudgetIsAskedBeforeAttemptsAndPushback) {
  options_.max_retries = 0;
  RetryPolicy policy = Make(&budget_);
  Next(policy, Unavailable());
  EXPECT_EQ(Next(policy, Unavailable(), DoNotRetry()), "BUDGET");
}

TEST_F(RetryPolicyBudgetTest, ARejectionTakesNoToken) {
  RetryPolicy policy = Make(&budget_);
  policy.NextAfterRejection(absl::Seconds(1), env_.Now(), kNever);
  EXPECT_EQ(budget_.tokens(), 4);
}

class RetryPolicyRatioTest : public RetryPolicyTest {
 protected:
  // One retry in ten calls.
  static RetryBudgetOptions OneInTen() {
    RetryBudgetOptions options;
    options.ratio = 0.1;
    options.min_retries_per_second = 0;
    return options;
  }

  void CallTenTimes() {
    for (int i = 0; i < 10; ++i) Make(&budget_);
  }

  int64_t left() { return budget_.retries_left(env_.Now()); }

  RetryBudget budget_{OneInTen()};
};

TEST_F(RetryPolicyRatioTest, EachIsACallAndItsRetriesAreChargedToTheBudget) {
  EXPECT_EQ(left(), 0);
  CallTenTimes();
  EXPECT_EQ(left(), 1);
  RetryPolicy policy = Make(&budget_);
  EXPECT_EQ(Next(policy, Unavailable()), "RETRY 1s");
  EXPECT_EQ(left(), 0);
  EXPECT_EQ(Next(policy, Unavailable()), "BUDGET");
  EXPECT_EQ(policy.retries(), 1);
}

TEST_F(RetryPolicyRatioTest, WhatIsNotRetriedIsNotCharged) {
  CallTenTimes();
  RetryPolicy policy = Make(&budget_);
  EXPECT_EQ(Next(policy, Ok()), "SUCCEEDED");
  EXPECT_EQ(Next(policy, NotFound()), "NOT_RETRYABLE");
  EXPECT_EQ(Next(policy, Unavailable(), {}, In(absl::Milliseconds(1))),
            "DEADLINE");
  EXPECT_EQ(Next(policy, Unavailable(), DoNotRetry()), "PUSHBACK");
  RetryPolicy unsafe = Make(&budget_, /*idempotent=*/false);
  EXPECT_EQ(Next(unsafe, Unavailable()), "NOT_IDEMPOTENT");
  options_.max_retries = 0;
  RetryPolicy exhausted = Make(&budget_);
  EXPECT_EQ(Next(exhausted, Unavailable()), "EXHAUSTED");
  EXPECT_EQ(left(), 1);
}

TEST_F(RetryPolicyRatioTest, ARejectionIsNotCharged) {
  CallTenTimes();
  RetryPolicy policy = Make(&budget_);
  policy.NextAfterRejection(absl::Seconds(1), env_.Now(), kNever);
  EXPECT_EQ(left(), 1);
}

class HedgedRetryPolicyTest : public RetryPolicyRatioTest {
 protected:
  HedgedRetryPolicyTest() {
    hedging_.max_hedges = 2;
    options_.max_retries = 0;  // They say nothing here.
  }

  RetryPolicy MakeHedged(RetryBudget* budget = nullptr) {
    return RetryPolicy(options_, hedging_, env_, budget);
  }

  std::string TakeHedge(RetryPolicy& policy, MonotonicTime deadline = kNever) {
    return std::string(ToString(policy.TakeHedge(env_.Now(), deadline)));
  }

  HedgingOptions hedging_;
};

TEST_F(HedgedRetryPolicyTest, ThereAreNoMoreHedgesThanThereMayBe) {
  RetryPolicy policy = MakeHedged();
  EXPECT_TRUE(policy.may_hedge());
  EXPECT_EQ(TakeHedge(policy), "RETRY");
  EXPECT_EQ(TakeHedge(policy), "RETRY");
  EXPECT_EQ(policy.retries(), 2);
  EXPECT_FALSE(policy.may_hedge());
  EXPECT_EQ(TakeHedge(policy), "EXHAUSTED");
  EXPECT_EQ(Next(policy, Unavailable()), "EXHAUSTED");
}

TEST_F(HedgedRetryPolicyTest, ACallThatIsNotHedgedHasNoHedges) {
  options_.max_retries = 3;
  EXPECT_FALSE(Make().may_hedge());
}

TEST_F(HedgedRetryPolicyTest, AFailureIsFollowedByAnAttemptWithoutDelay) {
  RetryPolicy policy = MakeHedged();
  EXPECT_EQ(Next(policy, Unavailable()), "RETRY 0");
  EXPECT_EQ(policy.retries(), 0) << "it is taken when it is made";
}

TEST_F(HedgedRetryPolicyTest, AFailureIsFollowedByAnAttemptWhenTheServerAsks) {
  RetryPolicy policy = MakeHedged();
  EXPECT_EQ(Next(policy, Unavailable(),
                 {Pushback::Kind::kRetryAfter, absl::Seconds(7)}),
            "RETRY 7s");
  ErrorClass with_delay = Unavailable();
  with_delay.retry_delay = absl::Seconds(5);
  EXPECT_EQ(Next(policy, with_delay), "RETRY 5s");
  EXPECT_EQ(Next(policy, Unavailable(),
                 {Pushback::Kind::kRetryAfter, absl::Seconds(7)},
                 In(absl::Seconds(7))),
            "DEADLINE");
}

TEST_F(HedgedRetryPolicyTest, AServerThatAsksForNoRetriesGetsNoHedgesAtAll) {
  RetryPolicy policy = MakeHedged();
  EXPECT_EQ(Next(policy, Unavailable(), DoNotRetry()), "PUSHBACK");
  EXPECT_FALSE(policy.may_hedge());
  EXPECT_EQ(TakeHedge(policy), "PUSHBACK");
  EXPECT_EQ(Next(policy, Unavailable()), "PUSHBACK");
}

TEST_F(HedgedRetryPolicyTest, AFatalFailureIsTheLast) {
  RetryPolicy policy = MakeHedged();
  EXPECT_EQ(Next(policy, NotFound()), "NOT_RETRYABLE");
}

TEST_F(HedgedRetryPolicyTest, AHedgeThatCannotEndBeforeTheDeadlineIsNotMade) {
  RetryPolicy policy = MakeHedged();
  policy.ExpectAttemptsToTake(absl::Seconds(1));
  EXPECT_EQ(TakeHedge(policy, In(absl::Seconds(1))), "DEADLINE");
  EXPECT_EQ(policy.retries(), 0);
  EXPECT_EQ(TakeHedge(policy, In(absl::Milliseconds(1001))), "RETRY");
}

TEST_F(HedgedRetryPolicyTest, AHedgeIsChargedLikeARetryAndAFailureIsNot) {
  CallTenTimes();
  RetryPolicy policy = MakeHedged(&budget_);
  EXPECT_EQ(Next(policy, Unavailable()), "RETRY 0");
  EXPECT_EQ(left(), 1);
  EXPECT_EQ(TakeHedge(policy), "RETRY");
  EXPECT_EQ(left(), 0);
  EXPECT_EQ(TakeHedge(policy), "BUDGET");
  EXPECT_EQ(policy.retries(), 1);
}

TEST_F(HedgedRetryPolicyTest, TokensStopHedgesToo) {
  RetryBudgetOptions tokens;
  tokens.max_tokens = 2;
  budget_.Reconfigure(tokens);
  RetryPolicy policy = MakeHedged(&budget_);
  EXPECT_EQ(TakeHedge(policy), "RETRY");
  EXPECT_EQ(Next(policy, Unavailable()), "BUDGET") << "1 of 2 is not enough";
  EXPECT_EQ(TakeHedge(policy), "BUDGET");
}

TEST_F(RetryPolicyRatioTest, AFailureThatTheRatioStopsHasTakenItsToken) {
  RetryBudgetOptions both = OneInTen();
  both.max_tokens = 10;
  budget_.Reconfigure(both);
  RetryPolicy policy = Make(&budget_);
  EXPECT_EQ(Next(policy, Unavailable()), "BUDGET");
  EXPECT_EQ(budget_.tokens(), 9);
}

std::string Parsed(absl::string_view value) {
  const Pushback pushback = Pushback::Parse(value);
  return pushback.kind == Pushback::Kind::kRetryAfter
             ? absl::FormatDuration(pushback.delay)
         : pushback.kind == Pushback::Kind::kDoNotRetry ? "do not retry"
                                                        : "none";
}

TEST(PushbackTest, ReadsMilliseconds) {
  EXPECT_EQ(Parsed("1000"), "1s");
  EXPECT_EQ(Parsed("0"), "0");
  EXPECT_EQ(Parsed("2147483647"),
            absl::FormatDuration(absl::Milliseconds(2147483647)));
}

TEST(PushbackTest, AnythingElseMeansDoNotRetry) {
  for (absl::string_view value :
       {"-1", "xxx", "", " 1", "1 ", "+1", "1.5", "0x10", "2147483648",
        "99999999999999999999", "1s"}) {
    EXPECT_EQ(Parsed(value), "do not retry") << value;
  }
}

TEST(PushbackTest, TwoValuesMeanDoNotRetryAndNoneSaysNothing) {
  const std::vector<absl::string_view> values = {"1000", "1000"};
  const auto all = absl::MakeConstSpan(values);
  EXPECT_EQ(Pushback::Parse(all).kind, Pushback::Kind::kDoNotRetry);
  EXPECT_EQ(Pushback::Parse(all.first(1)).delay, absl::Seconds(1));
  EXPECT_EQ(Pushback::Parse(all.first(0)).kind, Pushback::Kind::kNone);
}

}  // namespace
}  // namespace grpc_breaker
