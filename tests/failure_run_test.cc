#include "grpc_breaker/breaker/failure_run.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

TEST(FailureRunTest, GrowsWithFailuresAndEndsWithASuccess) {
  FailureRun run;
  EXPECT_TRUE(run.quiet());
  EXPECT_EQ(run.AddFailures(1, 1), 1u);
  EXPECT_EQ(run.AddFailures(1, 3), 4u);
  EXPECT_EQ(run.length(1), 4u);
  EXPECT_FALSE(run.quiet());
  EXPECT_FALSE(run.AddSuccess(1));
  EXPECT_EQ(run.length(1), 0u);
  EXPECT_TRUE(run.quiet());
}

TEST(FailureRunTest, ARateThatWaitsIsRememberedAcrossSuccesses) {
  FailureRun run;
  run.AddFailures(1, 2);
  run.SetRateWaits(1, true);
  EXPECT_EQ(run.length(1), 2u);
  EXPECT_TRUE(run.AddSuccess(1));
  EXPECT_FALSE(run.quiet());
  run.SetRateWaits(1, false);
  EXPECT_TRUE(run.quiet());
}

TEST(FailureRunTest, ANewerGenerationStartsAfreshAndAnOlderOneIsIgnored) {
  FailureRun run;
  run.AddFailures(7, 5);
  EXPECT_EQ(run.length(8), 0u);
  EXPECT_EQ(run.AddFailures(6, 1), 0u);
  EXPECT_EQ(run.length(7), 5u);
  EXPECT_EQ(run.AddFailures(8, 1), 1u);
  EXPECT_EQ(run.length(7), 0u);
}

TEST(FailureRunTest, IsFreshHoweverManyGenerationsItRested) {
  for (int bits = 1; bits < 39; ++bits) {
    for (const uint64_t beyond : {uint64_t{0}, uint64_t{1}, ~uint64_t{0}}) {
      FailureRun run;
      run.AddFailures(1, 5);
      const uint64_t generation = 1 + (uint64_t{1} << bits) + beyond;
      if (generation == 1) continue;
      EXPECT_EQ(run.length(generation), 0u) << generation;
      EXPECT_EQ(run.AddFailures(generation, 2), 2u) << generation;
      EXPECT_EQ(run.AddFailures(1, 1), 0u) << generation;
    }
  }
}

TEST(FailureRunTest, StopsAtItsLargestLength) {
  FailureRun run;
  run.SetRateWaits(3, true);
  for (int i = 0; i < 10000; ++i) run.AddFailures(3, 1000);
  EXPECT_EQ(run.length(3), (1u << 23) - 1);
  EXPECT_TRUE(run.AddSuccess(3));
  EXPECT_EQ(run.length(3), 0u);
}

}  // namespace
}  // namespace grpc_breaker::internal
