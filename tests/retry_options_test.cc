#include "grpc_breaker/retry_options.h"

#include <cmath>
#include <limits>
#include <string>

#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The complaint about `options`, which must be an InvalidArgument, or "".
template <typename Options>
std::string Complaint(const Options& options) {
  const absl::Status status = options.Validate();
  EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

template <typename Change>
std::string RetryComplaint(Change change) {
  RetryOptions options;
  change(options);
  return Complaint(options);
}

template <typename Change>
std::string BudgetComplaint(Change change) {
  RetryBudgetOptions options;
  options.max_tokens = 10;
  change(options);
  return Complaint(options);
}

TEST(RetryOptionsTest, TheDefaultsAreValid) {
  EXPECT_EQ(Complaint(RetryOptions()), "");
  EXPECT_EQ(Complaint(RetryBudgetOptions()), "");
}

TEST(RetryOptionsTest, TheEdgesOfEachRangeAreValid) {
  EXPECT_EQ(RetryComplaint([](auto& o) { o.max_retries = 0; }), "");
  EXPECT_EQ(RetryComplaint([](auto& o) { o.max_retries = 100; }), "");
  EXPECT_EQ(RetryComplaint([](auto& o) {
              o.base_delay = o.max_delay = absl::Nanoseconds(1);
            }),
            "");
  EXPECT_EQ(BudgetComplaint([](auto& o) { o.max_tokens = 1000; }), "");
  EXPECT_EQ(BudgetComplaint([](auto& o) { o.token_ratio = 0.001; }), "");
}

TEST(RetryOptionsTest, NamesTheFieldAndTheValueThatIsWrong) {
  EXPECT_EQ(RetryComplaint([](auto& o) { o.max_retries = -1; }),
            "retry.max_retries: must be from 0 to 100, got -1");
  EXPECT_EQ(RetryComplaint([](auto& o) { o.max_retries = 101; }),
            "retry.max_retries: must be from 0 to 100, got 101");
  EXPECT_EQ(RetryComplaint([](auto& o) { o.base_delay = -absl::Seconds(1); }),
            "retry.base_delay: must be at least 1ns, got -1s");
  EXPECT_EQ(
      RetryComplaint([](auto& o) { o.base_delay = absl::Nanoseconds(0.5); }),
      "retry.base_delay: must be at least 1ns, got 0.5ns");
  EXPECT_EQ(RetryComplaint([](auto& o) { o.base_delay = absl::Seconds(0); }),
            "retry.base_delay: must be at least 1ns, got 0");
  EXPECT_EQ(
      RetryComplaint([](auto& o) { o.base_delay = absl::InfiniteDuration(); }),
      "retry.base_delay: must be finite, got inf");
  EXPECT_EQ(
      RetryComplaint([](auto& o) { o.max_delay = absl::Milliseconds(1); }),
      "retry.max_delay: must be at least retry.base_delay (1s), got 1ms");
  EXPECT_EQ(
      RetryComplaint([](auto& o) { o.max_delay = absl::InfiniteDuration(); }),
      "retry.max_delay: must be finite, got inf");
  EXPECT_EQ(RetryComplaint([](auto& o) { o.exponential_base = 0; }),
            "retry.exponential_base: must be greater than 0 and finite, got 0");
  EXPECT_EQ(
      RetryComplaint([](auto& o) { o.exponential_base = kInfinity; }),
      "retry.exponential_base: must be greater than 0 and finite, got inf");
  EXPECT_EQ(
      RetryComplaint([](auto& o) { o.exponential_base = std::nan(""); }),
      "retry.exponential_base: must be greater than 0 and finite, got nan");
  EXPECT_EQ(RetryComplaint([](auto& o) { o.jitter = static_cast<Jitter>(42); }),
            "retry.jitter: must be one of the kinds of Jitter, got 42");
}

TEST(HedgingOptionsTest, NamesTheFieldAndTheValueThatIsWrong) {
  const auto complaint = [](auto change) {
    HedgingOptions options;
    change(options);
    return std::string(options.Validate().message());
  };
  EXPECT_EQ(complaint([](auto&) {}), "");
  EXPECT_EQ(complaint([](auto& o) { o.max_hedges = 101; }),
            "hedging.max_hedges: must be from 0 to 100, got 101");
  EXPECT_EQ(complaint([](auto& o) { o.delay = -absl::Nanoseconds(1); }),
            "hedging.delay: must be at least 0, got -1ns");
  EXPECT_EQ(complaint([](auto& o) { o.delay = absl::InfiniteDuration(); }),
            "hedging.delay: must be finite, got inf");
  EXPECT_EQ(complaint([](auto& o) { o.delay_percentile = std::nan(""); }),
            "hedging.delay_percentile: must be from 0 to 100, got nan");
}

TEST(StreamRetryOptionsTest, NamesTheFieldAndTheValueThatIsWrong) {
  StreamRetryOptions options;
  EXPECT_TRUE(options.Validate().ok());
  options.replay_buffer_bytes = 0;
  EXPECT_EQ(options.Validate().message(),
            "stream_retry.replay_buffer_bytes: must be from 1 to 1073741824, "
            "got 0");
}

TEST(RetryBudgetOptionsTest, NamesTheFieldAndTheValueThatIsWrong) {
  EXPECT_EQ(BudgetComplaint([](auto& o) { o.max_tokens = -1; }),
            "retry_budget.max_tokens: must be 0, or from 0.001 to 1000, "
            "got -1");
  EXPECT_EQ(BudgetComplaint([](auto& o) { o.max_tokens = 1000.5; }),
            "retry_budget.max_tokens: must be 0, or from 0.001 to 1000, "
            "got 1000.5");
  EXPECT_EQ(BudgetComplaint([](auto& o) { o.max_tokens = std::nan(""); }),
            "retry_budget.max_tokens: must be 0, or from 0.001 to 1000, "
            "got nan");
  EXPECT_EQ(BudgetComplaint([](auto& o) { o.token_ratio = 0; }),
            "retry_budget.token_ratio: must be from 0.001 to 1000, got 0");
  EXPECT_EQ(BudgetComplaint([](auto& o) { o.token_ratio = kInfinity; }),
            "retry_budget.token_ratio: must be from 0.001 to 1000, got inf");
  EXPECT_EQ(BudgetComplaint([](auto& o) { o.ratio = 1.5; }),
            "retry_budget.ratio: must be from 0 to 1, got 1.5");
  EXPECT_EQ(BudgetComplaint([](auto& o) {
              o.ratio = 0.1;
              o.window = absl::Milliseconds(99);
            }),
            "retry_budget.window: must be from 100ms to 1h, got 99ms");
  EXPECT_EQ(BudgetComplaint([](auto& o) {
              o.ratio = 0.1;
              o.min_retries_per_second = -1;
            }),
            "retry_budget.min_retries_per_second: must be from 0 to 1e+06, "
            "got -1");
}

TEST(RetryBudgetOptionsTest, ThereIsABudgetWithTokensOrARatio) {
  RetryBudgetOptions options;
  EXPECT_FALSE(options.on());
  options.max_tokens = 1;
  EXPECT_TRUE(options.on());
  options.max_tokens = 0;
  options.ratio = 0.1;
  EXPECT_TRUE(options.on());
}

TEST(JitterTest, EveryKindHasItsOwnName) {
  EXPECT_EQ(ToString(Jitter::kNone), "NONE");
  EXPECT_EQ(ToString(Jitter::kPlusMinusHalf), "PLUS_MINUS_HALF");
  EXPECT_EQ(ToString(Jitter::kFull), "FULL");
  EXPECT_EQ(ToString(Jitter::kEqual), "EQUAL");
  EXPECT_EQ(ToString(Jitter::kDecorrelated), "DECORRELATED");
  EXPECT_EQ(ToString(Jitter::kGrpcA6), "GRPC_A6");
}

}  // namespace
}  // namespace grpc_breaker
