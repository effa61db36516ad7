#include "grpc_breaker/retry/shared_budgets.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

class SharedBudgetsTest : public ::testing::Test {
 protected:
  SharedBudgetsTest() { options_.max_tokens = 10; }

  std::shared_ptr<RetryBudget> Get(const std::string& name) {
    return budgets_.Get(env_, name, options_);
  }

  ManualEnvironment env_;
  RetryBudgetOptions options_;
  SharedBudgets budgets_;
};

TEST_F(SharedBudgetsTest, ThereIsOneForEachNameAndEnvironment) {
  ManualEnvironment other;
  const auto a = Get("a");
  EXPECT_EQ(Get("a"), a);
  EXPECT_NE(Get("b"), a);
  EXPECT_NE(budgets_.Get(other, "a", options_), a);
}

TEST_F(SharedBudgetsTest, NothingIsLeftOfABudgetThatNobodyHolds) {
  auto a = Get("a");
  auto again = Get("a");
  const auto b = Get("b");
  EXPECT_EQ(budgets_.size(), 2u);
  a.reset();
  EXPECT_EQ(budgets_.size(), 2u);
  again.reset();
  EXPECT_EQ(budgets_.size(), 1u);
}

TEST_F(SharedBudgetsTest, TheNewestOptionsHoldForAllAndKeepTheShareOfTokens) {
  const auto a = Get("a");
  a->RecordFailure();
  Get("a");
  EXPECT_EQ(a->tokens(), 9);
  options_.max_tokens = 20;
  Get("a");
  EXPECT_EQ(a->tokens(), 18);
}

TEST_F(SharedBudgetsTest, BudgetsMayComeAndGoOnManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        const auto budget = Get(absl::StrCat(i % 2));
        budget->RecordFailure();
        EXPECT_EQ(Get(absl::StrCat(i % 2)), budget);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(budgets_.size(), 0u);
}

}  // namespace
}  // namespace grpc_breaker::internal
