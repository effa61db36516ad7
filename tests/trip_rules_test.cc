#include "grpc_breaker/breaker/trip_rules.h"

#include <cstdint>

#include "grpc_breaker/breaker/half_open.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

constexpr int kMostCalls = 1500;

// The fewest of `calls` that are `percent` of them.
int64_t FewestOf(int percent, int64_t calls) {
  return (percent * calls + 99) / 100;
}

WindowCounts Counts(int64_t calls, int64_t failures, int64_t slow) {
  return {calls - failures, failures, slow};
}

// Calls check(rate, calls, fewest that reach the rate) for every rate with two
// decimals and every number of calls.
template <typename Check>
void ForEachRate(int most_calls, Check check) {
  for (int percent = 1; percent <= 100; ++percent) {
    for (int calls = 1; calls <= most_calls; ++calls) {
      check(percent / 100.0, calls, FewestOf(percent, calls));
      if (::testing::Test::HasFailure()) return;
    }
  }
}

TEST(ReachesRateTest, IsExactForEveryRateWithTwoDecimals) {
  ForEachRate(kMostCalls, [](double rate, int64_t calls, int64_t fewest) {
    ASSERT_TRUE(ReachesRate(rate, fewest, calls)) << rate << " of " << calls;
    ASSERT_FALSE(ReachesRate(rate, fewest - 1, calls))
        << rate << " of " << calls;
  });
}

TEST(ReachesRateTest, IsExactForMoreCallsThanAWindowEverHolds) {
  for (int percent = 1; percent <= 100; ++percent) {
    for (int64_t calls = 1; calls < int64_t{1} << 40; calls = calls * 7 + 3) {
      const int64_t fewest = FewestOf(percent, calls);
      ASSERT_TRUE(ReachesRate(percent / 100.0, fewest, calls)) << percent;
      ASSERT_FALSE(ReachesRate(percent / 100.0, fewest - 1, calls)) << percent;
    }
  }
}

TEST(ReachesRateTest, AFractionIsReachedByItself) {
  for (int whole = 1; whole <= 300; ++whole) {
    for (int part = 1; part <= whole; ++part) {
      const double rate = static_cast<double>(part) / whole;
      ASSERT_TRUE(ReachesRate(rate, part, whole));
      ASSERT_FALSE(ReachesRate(rate, part - 1, whole));
      ASSERT_TRUE(ReachesRate(rate, part * 77, whole * 77));
    }
  }
}

TEST(CheckRatesTest, TheFailureRateOpensExactlyAtItsShare) {
  ForEachRate(kMostCalls, [](double rate, int calls, int64_t fewest) {
    BreakerOptions options;
    options.failure_rate = rate;
    options.minimum_calls = calls;
    ASSERT_TRUE(CheckRates(options, Counts(calls, fewest, 0)).trip);
    ASSERT_FALSE(CheckRates(options, Counts(calls, fewest - 1, 0)).trip);
  });
}

TEST(CheckRatesTest, TheSlowRateOpensExactlyAtItsShare) {
  ForEachRate(kMostCalls, [](double rate, int calls, int64_t fewest) {
    BreakerOptions options;
    options.failure_rate = 0;
    options.slow_rate = rate;
    options.minimum_calls = calls;
    ASSERT_TRUE(CheckRates(options, Counts(calls, 0, fewest)).trip);
    ASSERT_FALSE(CheckRates(options, Counts(calls, 0, fewest - 1)).trip);
  });
}

// Or the short cut would keep a breaker closed that has reached its rate.
TEST(RatesArePossibleTest, IsTrueWhereverARateIsReached) {
  ForEachRate(kMostCalls, [](double rate, int calls, int64_t fewest) {
    BreakerOptions options;
    options.failure_rate = options.slow_rate = rate;
    options.minimum_calls = calls;
    ASSERT_TRUE(RatesArePossible(options, fewest, 0));
    ASSERT_TRUE(RatesArePossible(options, 0, fewest));
    ASSERT_FALSE(RatesArePossible(options, fewest - 1, fewest - 1));
  });
}

TEST(ProbeWordTest, TheFailureRateOfProbesOpensExactlyAtItsShare) {
  ForEachRate(200, [](double rate, int permits, int64_t fewest) {
    ProbeLimits limits;
    limits.permits = static_cast<uint32_t>(permits);
    limits.failure_rate = rate;
    for (const bool reached : {true, false}) {
      ProbeWord word;
      word.under_way = 1;
      // The last probe succeeds where one has to.
      const auto failures = static_cast<uint32_t>(fewest - (reached ? 0 : 1));
      const bool last_fails = failures == limits.permits;
      word.failed = failures - (last_fails ? 1 : 0);
      word.succeeded = limits.permits - 1 - word.failed;
      ProbeVerdict verdict;
      ASSERT_TRUE(word.Report(0, !last_fails, limits, &verdict));
      ASSERT_EQ(verdict, reached ? ProbeVerdict::kOpen : ProbeVerdict::kClose)
          << failures << " of " << permits << " at " << rate;
    }
  });
}

}  // namespace
}  // namespace grpc_breaker::internal
