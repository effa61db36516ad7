#include "grpc_breaker/retry_budget.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

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

TEST(RetryBudgetTest, LosesNoTokenUnderThreads) {
  constexpr int kThreads = 4;
  constexpr int kPerThread = 100;
  RetryBudget budget(Of(1000, 0.5));
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kPerThread; ++i) budget.RecordFailure();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(budget.tokens(), 1000 - kThreads * kPerThread);
  threads.clear();
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kPerThread; ++i) budget.RecordSuccess();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(budget.tokens(), 1000 - kThreads * kPerThread / 2);
}

}  // namespace
}  // namespace grpc_breaker
