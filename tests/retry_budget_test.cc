#include "grpc_breaker/retry_budget.h"

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using ::testing::Each;

RetryBudgetOptions Of(double max_tokens, double token_ratio) {
  RetryBudgetOptions options;
  options.max_tokens = max_tokens;
  options.token_ratio = token_ratio;
  return options;
}

TEST(RetryBudgetTest, FollowsTheVectorOfGrpcJava) {
  RetryBudget budget(Of(4, 0.8));
  EXPECT_TRUE(budget.RecordFailure());  // 3
  for (double left : {2, 1, 0, 0}) {
    EXPECT_FALSE(budget.RecordFailure());
    EXPECT_EQ(budget.tokens(), left);
  }
  budget.RecordSuccess();
  EXPECT_EQ(budget.tokens(), 0.8);
  budget.RecordSuccess();
  EXPECT_EQ(budget.tokens(), 1.6);
  budget.RecordSuccess();
  budget.RecordSuccess();
  EXPECT_EQ(budget.tokens(), 3.2);
  EXPECT_TRUE(budget.RecordFailure());  // 2.2
}

TEST(RetryBudgetTest, ExactlyHalfOfTheTokensIsTooFew) {
  RetryBudget budget(Of(10, 1));
  for (double left : {9, 8, 7, 6}) {
    EXPECT_TRUE(budget.RecordFailure());
    EXPECT_EQ(budget.tokens(), left);
  }
  EXPECT_FALSE(budget.RecordFailure());
  EXPECT_EQ(budget.tokens(), 5);
}

TEST(RetryBudgetTest, StartsFullAndNeverHoldsMoreThanMaxTokens) {
  RetryBudget budget(Of(3, 0.7));
  budget.RecordSuccess();
  EXPECT_EQ(budget.tokens(), 3);
  budget.RecordFailure();
  budget.RecordSuccess();
  budget.RecordSuccess();
  EXPECT_EQ(budget.tokens(), 3);
}

TEST(RetryBudgetTest, TellsItsMaximum) {
  RetryBudget budget(Of(3.5, 0.7));
  budget.RecordFailure();
  EXPECT_EQ(budget.max_tokens(), 3.5);
  budget.Reconfigure(Of(7, 0.7));
  EXPECT_EQ(budget.max_tokens(), 7);
  EXPECT_EQ(budget.tokens(), 5);
  budget.Reconfigure(Of(0, 0.7));
  EXPECT_EQ(budget.max_tokens(), 0);
}

TEST(RetryBudgetTest, TheRatioKeepsThreeDecimals) {
  RetryBudget cut(Of(10, 0.5678));
  cut.RecordFailure();
  cut.RecordSuccess();
  EXPECT_EQ(cut.tokens(), 9.567);
  // 0.57 * 1000 is a little less than 570 in binary.
  RetryBudget exact(Of(10, 0.57));
  exact.RecordFailure();
  exact.RecordSuccess();
  EXPECT_EQ(exact.tokens(), 9.57);
}

TEST(RetryBudgetTest, HalfOfAnOddMaximumIsNotRoundedUp) {
  RetryBudget budget(Of(3, 0.1));
  EXPECT_TRUE(budget.RecordFailure());   // 2 > 1.5
  EXPECT_FALSE(budget.RecordFailure());  // 1
}

TEST(RetryBudgetTest, ABudgetThatIsTurnedOffAlwaysAllows) {
  RetryBudget budget{RetryBudgetOptions()};
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(budget.RecordFailure());
  budget.RecordSuccess();
  EXPECT_EQ(budget.tokens(), 0);
}

constexpr int kThreads = 4;
constexpr int kPerThread = 100;

// Calls `step` kPerThread times on each of kThreads threads, with the number of
// the thread. How often it was true.
int CountOnThreads(const std::function<bool(int)>& step) {
  std::atomic<int> count{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPerThread; ++i) count += step(t) ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  return count;
}

TEST(RetryBudgetTest, LosesNoTokenUnderThreads) {
  constexpr int kPairs = 2000;  // Long enough for threads to meet.
  RetryBudget budget(Of(1000, 1));
  for (int i = 0; i < 100; ++i) budget.RecordFailure();
  CountOnThreads([&](int) {
    for (int i = 0; i < kPairs; ++i) {
      budget.RecordFailure();
      budget.RecordSuccess();
    }
    return budget.RecordFailure();
  });
  EXPECT_EQ(budget.tokens(), 900 - kThreads * kPerThread);
}

// How often two threads together were given something by each of many budgets,
// one after the other, since it is the last one that they must meet at.
std::vector<int> TakenInTurns(const RetryBudgetOptions& options,
                              const std::function<bool(RetryBudget&)>& take) {
  constexpr int kTurns = 300;
  std::vector<std::unique_ptr<RetryBudget>> budgets;
  for (int i = 0; i < kTurns; ++i) {
    budgets.push_back(std::make_unique<RetryBudget>(options));
  }
  std::vector<std::atomic<int>> taken(kTurns);
  std::atomic<int> arrived{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < kTurns; ++turn) {
        ++arrived;
        for (int i = 0; arrived < 2 * (turn + 1); ++i) {
          if (i > 10'000) std::this_thread::yield();
        }
        while (take(*budgets[turn])) ++taken[turn];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return std::vector<int>(taken.begin(), taken.end());
}

TEST(RetryBudgetTest, NoTwoThreadsGetTheLastToken) {
  // Those that leave 999 to 501 of them.
  EXPECT_THAT(
      TakenInTurns(Of(1000, 0.5),
                   [](RetryBudget& budget) { return budget.RecordFailure(); }),
      Each(499));
}

TEST(RetryBudgetTest, OtherParametersKeepTheShareOfTokensThatIsLeft) {
  RetryBudget budget(Of(10, 1));
  for (int i = 0; i < 4; ++i) budget.RecordFailure();
  budget.Reconfigure(Of(100, 0.5));
  EXPECT_EQ(budget.tokens(), 60);
  budget.RecordSuccess();
  EXPECT_EQ(budget.tokens(), 60.5);
  budget.Reconfigure(Of(2, 0.5));
  EXPECT_EQ(budget.tokens(), 1.21);
  EXPECT_EQ(budget.options(), Of(2, 0.5));
}

TEST(RetryBudgetTest, TokensThatAreTurnedOnStartFullAndOffAlwaysAllow) {
  RetryBudget budget(Of(10, 1));
  for (int i = 0; i < 10; ++i) budget.RecordFailure();
  budget.Reconfigure(Of(0, 1));
  EXPECT_TRUE(budget.RecordFailure());
  budget.Reconfigure(Of(10, 1));
  EXPECT_EQ(budget.tokens(), 10);
}

TEST(RetryBudgetTest, TheLargestParametersThereAreFit) {
  RetryBudget budget(Of(1000, 1000));
  EXPECT_TRUE(budget.RecordFailure());
  EXPECT_EQ(budget.tokens(), 999);
  budget.RecordSuccess();
  EXPECT_EQ(budget.tokens(), 1000);
}

TEST(RetryBudgetTest, ReconfiguringUnderThreadsNeverShowsHalfOfIt) {
  RetryBudget budget(Of(1000, 1000));
  // More than half of the tokens are left by either parameters all the time.
  const int allowed = CountOnThreads([&](int thread) {
    if (thread == 0) {
      budget.Reconfigure(Of(10, 1000));
      budget.Reconfigure(Of(1000, 1000));
      return true;
    }
    const bool enough = budget.RecordFailure();
    budget.RecordSuccess();
    return enough;
  });
  EXPECT_EQ(allowed, kThreads * kPerThread);
}

TEST(RetryBudgetTest, AHedgeNeedsHalfOfTheTokensAndTakesNone) {
  RetryBudget budget(Of(4, 1));
  EXPECT_TRUE(budget.TakeHedge(MonotonicTime()));
  EXPECT_EQ(budget.tokens(), 4);
  budget.RecordFailure();
  EXPECT_TRUE(budget.TakeHedge(MonotonicTime()));
  budget.RecordFailure();
  EXPECT_FALSE(budget.TakeHedge(MonotonicTime()));
}

// The ratio.

class RatioBudgetTest : public ::testing::Test {
 protected:
  // The vector of Envoy: a budget of 20 %, and three in any case.
  RatioBudgetTest() {
    options_.ratio = 0.2;
    options_.window = absl::Seconds(16);
    options_.min_retries_per_second = 3. / 16;
  }

  static void Call(RetryBudget& budget, Environment& env, int times) {
    for (int i = 0; i < times; ++i) budget.RecordCall(env);
  }
  void Call(RetryBudget& budget, int times) { Call(budget, env_, times); }

  // Takes all there are.
  int TakeAll(RetryBudget& budget) {
    int taken = 0;
    while (taken < 1000 && budget.TakeRetry(env_.Now())) ++taken;
    return taken;
  }

  ManualEnvironment env_;
  RetryBudgetOptions options_;
};

TEST_F(RatioBudgetTest, RetriesAreAShareOfTheCallsButAFewMayAlwaysBe) {
  for (const auto& [calls, retries] : std::vector<std::pair<int, int>>{
           {0, 3}, {1, 3}, {15, 3}, {19, 3}, {20, 4}, {24, 4}, {25, 5}}) {
    RetryBudget budget(options_);
    Call(budget, calls);
    EXPECT_EQ(budget.retries_left(env_.Now()), retries) << calls;
    EXPECT_EQ(TakeAll(budget), retries) << calls;
    EXPECT_EQ(budget.retries_left(env_.Now()), 0) << calls;
  }
}

TEST_F(RatioBudgetTest, WithoutAFloorThereAreNoRetriesBeforeThereAreCalls) {
  options_.min_retries_per_second = 0;
  RetryBudget budget(options_);
  Call(budget, 4);
  EXPECT_EQ(TakeAll(budget), 0);
  Call(budget, 1);
  EXPECT_EQ(TakeAll(budget), 1);
}

// 0.29 * 100 is a little less than 29 in binary.
TEST_F(RatioBudgetTest, AShareThatIsAWholeNumberIsNotRoundedDown) {
  options_.ratio = 0.29;
  RetryBudget budget(options_);
  Call(budget, 100);
  EXPECT_EQ(TakeAll(budget), 29);
}

TEST_F(RatioBudgetTest, CallsAndRetriesAreForgottenAfterTheWindow) {
  RetryBudget budget(options_);
  Call(budget, 50);
  EXPECT_EQ(TakeAll(budget), 10);
  env_.Advance(absl::Seconds(15));  // In its last sixteenth.
  EXPECT_EQ(TakeAll(budget), 0);
  env_.Advance(absl::Seconds(1));
  EXPECT_EQ(TakeAll(budget), 3);
}

TEST_F(RatioBudgetTest, RetriesStayCountedWhenTheCallsThatAllowedThemAreNot) {
  RetryBudget budget(options_);
  Call(budget, 50);
  env_.Advance(absl::Seconds(8));
  EXPECT_EQ(TakeAll(budget), 10);
  Call(budget, 20);
  env_.Advance(absl::Seconds(8));  // 20 calls, 10 retries.
  EXPECT_EQ(TakeAll(budget), 0);
  EXPECT_EQ(budget.retries_left(env_.Now()), 0);
  env_.Advance(absl::Seconds(8));
  EXPECT_EQ(TakeAll(budget), 3);
}

TEST_F(RatioBudgetTest, TheWindowGoesOnOverManyTurns) {
  RetryBudget budget(options_);
  for (int second = 0; second < 100; ++second) {
    Call(budget, 10);
    env_.Advance(absl::Seconds(1));
    budget.TakeRetry(env_.Now());
  }
  // In 15 whole sixteenths and the one that begins: 150 calls and 16 retries.
  EXPECT_EQ(budget.retries_left(env_.Now()), 30 - 16);
}

TEST_F(RatioBudgetTest, AHedgeIsChargedLikeARetry) {
  RetryBudget budget(options_);
  EXPECT_TRUE(budget.TakeHedge(env_.Now()));
  EXPECT_EQ(budget.retries_left(env_.Now()), 2);
  EXPECT_EQ(TakeAll(budget), 2);
  EXPECT_FALSE(budget.TakeHedge(env_.Now()));
}

TEST_F(RatioBudgetTest, WithoutARatioEveryRetryIsAllowed) {
  options_.ratio = 0;
  RetryBudget budget(options_);
  EXPECT_EQ(TakeAll(budget), 1000);
  EXPECT_EQ(budget.retries_left(env_.Now()), 0);
}

TEST_F(RatioBudgetTest, ReadsNoClockForCallsThatItDoesNotCount) {
  class NoClock final : public Environment {
   public:
    MonotonicTime Now() override {
      ADD_FAILURE() << "asked for the time";
      return {};
    }
    absl::Time WallNow() override { return {}; }
    double Uniform() override { return 0; }
    TimerId RunAt(MonotonicTime, absl::AnyInvocable<void() &&>) override {
      return kNoTimer;
    }
    bool Cancel(TimerId) override { return false; }
    void Sleep(absl::Duration) override {}
  };
  NoClock env;
  RetryBudget budget(Of(10, 1));
  Call(budget, env, 1);
}

TEST_F(RatioBudgetTest,
       AnotherRatioKeepsWhatWasCountedAndAnotherWindowDoesNot) {
  RetryBudget budget(options_);
  Call(budget, 50);
  EXPECT_TRUE(budget.TakeRetry(env_.Now()));
  options_.ratio = 0.4;
  budget.Reconfigure(options_);
  EXPECT_EQ(budget.retries_left(env_.Now()), 19);
  options_.window = absl::Seconds(32);
  budget.Reconfigure(options_);
  EXPECT_EQ(budget.retries_left(env_.Now()), 6);
}

// Shortly after the clock began, the slots of one length have numbers that
// those of another one have as well.
TEST_F(RatioBudgetTest, AnotherWindowTakesNothingOfTheOldOneForItsOwn) {
  const MonotonicTime now = TimeAfter(MonotonicTime(), absl::Seconds(10));
  RetryBudget budget(options_);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(budget.TakeRetry(now));
  options_.window = absl::Seconds(8);
  budget.Reconfigure(options_);
  EXPECT_EQ(budget.retries_left(now), 1);
}

// Its slots have smaller numbers than those that were counted before.
TEST_F(RatioBudgetTest, ALongerWindowCountsFromNowOn) {
  RetryBudget budget(options_);
  EXPECT_TRUE(budget.TakeRetry(env_.Now()));
  options_.window = absl::Seconds(32);
  budget.Reconfigure(options_);
  Call(budget, 50);
  EXPECT_EQ(TakeAll(budget), 10);
  env_.Advance(absl::Seconds(32));
  EXPECT_EQ(TakeAll(budget), 6);
}

TEST_F(RatioBudgetTest, NoTwoThreadsGetTheLastRetryHoweverOftenTheyTry) {
  const MonotonicTime now = env_.Now();
  EXPECT_THAT(
      TakenInTurns(options_,
                   [&](RetryBudget& budget) { return budget.TakeRetry(now); }),
      Each(3));
}

TEST_F(RatioBudgetTest, NoTwoThreadsGetTheLastRetry) {
  RetryBudget budget(options_);
  EXPECT_FALSE(CountOnThreads([&](int) {
    budget.RecordCall(env_);
    return false;
  }));
  const MonotonicTime now = env_.Now();
  EXPECT_EQ(CountOnThreads([&](int) { return budget.TakeRetry(now); }),
            kThreads * kPerThread / 5);
}

// A thread may have read the clock, and then have waited while others took what
// there was by a later reading.
TEST_F(RatioBudgetTest, AnOldReadingOfTheClockDoesNotSeeRetriesAnew) {
  RetryBudget budget(options_);
  const MonotonicTime before = env_.Now();
  env_.Advance(absl::Seconds(2));
  EXPECT_EQ(TakeAll(budget), 3);
  EXPECT_FALSE(budget.TakeRetry(before));
}

TEST_F(RatioBudgetTest, ACallThatIsCountedAWindowTooLateIsNotCounted) {
  ManualEnvironment late;  // Stands where env_ has begun.
  RetryBudget budget(options_);
  env_.Advance(absl::Seconds(16));
  Call(budget, 50);
  Call(budget, late, 50);
  EXPECT_EQ(budget.retries_left(env_.Now()), 10);
}

TEST_F(RatioBudgetTest, MayBeReconfiguredWhileThreadsUseIt) {
  RetryBudgetOptions other = options_;
  other.window = absl::Seconds(1);
  other.max_tokens = 10;
  RetryBudget budget(options_);
  CountOnThreads([&](int thread) {
    if (thread == 0) {
      budget.Reconfigure(other);
      budget.Reconfigure(options_);
    }
    budget.RecordCall(env_);
    return budget.TakeHedge(env_.Now()) && budget.RecordFailure();
  });
  env_.Advance(absl::Seconds(16));
  EXPECT_EQ(TakeAll(budget), 3);
}

}  // namespace
}  // namespace grpc_breaker
