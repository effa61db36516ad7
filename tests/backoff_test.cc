#include "grpc_breaker/backoff.h"

#include <initializer_list>
#include <vector>

#include "gmock/gmock.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using ::testing::ElementsAre;

constexpr double kAlmostOne = 1.0 - 1e-9;

constexpr Jitter kAllKinds[] = {Jitter::kNone,         Jitter::kPlusMinusHalf,
                                Jitter::kFull,         Jitter::kEqual,
                                Jitter::kDecorrelated, Jitter::kGrpcA6};

RetryOptions With(Jitter jitter) {
  RetryOptions options;
  options.jitter = jitter;
  return options;
}

// The first delay in seconds where the dice show `uniform`.
double FirstDelay(Jitter jitter, double uniform) {
  ManualEnvironment env;
  env.ScriptUniform({uniform});
  return absl::ToDoubleSeconds(Backoff(With(jitter), env).Next());
}

std::vector<double> Delays(Backoff& backoff, int count) {
  std::vector<double> delays;
  for (int i = 0; i < count; ++i) {
    delays.push_back(absl::ToDoubleSeconds(backoff.Next()));
  }
  return delays;
}

TEST(BackoffTest, GrowsExponentiallyUpToMaxDelay) {
  ManualEnvironment env;
  RetryOptions options = With(Jitter::kNone);
  options.max_delay = absl::Seconds(10);
  Backoff backoff(options, env);
  EXPECT_THAT(Delays(backoff, 6), ElementsAre(1, 2, 4, 8, 10, 10));
}

TEST(BackoffTest, EachKindOfJitterSpreadsOverItsOwnRange) {
  EXPECT_NEAR(FirstDelay(Jitter::kPlusMinusHalf, 0), 0.5, 1e-6);
  EXPECT_NEAR(FirstDelay(Jitter::kPlusMinusHalf, kAlmostOne), 1.5, 1e-6);
  EXPECT_NEAR(FirstDelay(Jitter::kFull, 0), 0, 1e-6);
  EXPECT_NEAR(FirstDelay(Jitter::kFull, kAlmostOne), 1, 1e-6);
  EXPECT_NEAR(FirstDelay(Jitter::kEqual, 0), 0.5, 1e-6);
  EXPECT_NEAR(FirstDelay(Jitter::kEqual, kAlmostOne), 1, 1e-6);
  EXPECT_NEAR(FirstDelay(Jitter::kDecorrelated, 0), 1, 1e-6);
  EXPECT_NEAR(FirstDelay(Jitter::kDecorrelated, kAlmostOne), 3, 1e-6);
  EXPECT_NEAR(FirstDelay(Jitter::kGrpcA6, 0), 0.8, 1e-6);
  EXPECT_NEAR(FirstDelay(Jitter::kGrpcA6, kAlmostOne), 1.2, 1e-6);
}

TEST(BackoffTest, JitterDoesNotFeedBackIntoTheExponentialDelay) {
  ManualEnvironment env;
  env.ScriptUniform({0, 0.5, 0});
  Backoff backoff(With(Jitter::kPlusMinusHalf), env);
  EXPECT_THAT(Delays(backoff, 3), ElementsAre(0.5, 2, 2));
}

TEST(BackoffTest, DecorrelatedJitterGrowsFromThePreviousDelay) {
  ManualEnvironment env;
  env.ScriptUniform({0.5, 0.5, 0});
  Backoff backoff(With(Jitter::kDecorrelated), env);
  // 1 + (3 * 1 - 1) / 2, then 1 + (3 * 2 - 1) / 2, then the least.
  EXPECT_THAT(Delays(backoff, 3), ElementsAre(2, 3.5, 1));
}

TEST(BackoffTest, NeverExceedsMaxDelayEvenWithJitter) {
  for (Jitter jitter : kAllKinds) {
    ManualEnvironment env;
    env.SeedUniform(7);
    RetryOptions options = With(jitter);
    options.max_delay = absl::Seconds(5);
    Backoff backoff(options, env);
    for (int i = 0; i < 1000; ++i) {
      const absl::Duration delay = backoff.Next();
      ASSERT_GE(delay, absl::ZeroDuration()) << ToString(jitter);
      ASSERT_LE(delay, absl::Seconds(5)) << ToString(jitter);
    }
  }
}

TEST(BackoffTest, AHugeBaseSaturatesAtMaxDelay) {
  ManualEnvironment env;
  RetryOptions options = With(Jitter::kNone);
  options.exponential_base = 1e300;
  Backoff backoff(options, env);
  EXPECT_THAT(Delays(backoff, 3), ElementsAre(1, 60, 60));
}

TEST(BackoffTest, StartsAgainAfterReset) {
  ManualEnvironment env;
  for (Jitter jitter : {Jitter::kNone, Jitter::kDecorrelated}) {
    Backoff backoff(With(jitter), env);
    const double first = Delays(backoff, 5).front();
    backoff.Reset();
    EXPECT_EQ(Delays(backoff, 1).front(), first) << ToString(jitter);
  }
}

TEST(BackoffTest, AServersWaitIsALowerBoundFromWhichDelaysGrow) {
  ManualEnvironment env;
  Backoff backoff(With(Jitter::kNone), env);
  EXPECT_EQ(backoff.NextAtLeast(absl::Seconds(5)), absl::Seconds(5));
  EXPECT_THAT(Delays(backoff, 3), ElementsAre(10, 20, 40));
}

TEST(BackoffTest, AServersWaitShorterThanOursChangesNothing) {
  ManualEnvironment env;
  Backoff backoff(With(Jitter::kNone), env);
  EXPECT_EQ(backoff.NextAtLeast(absl::Milliseconds(10)), absl::Seconds(1));
  EXPECT_EQ(backoff.NextAtLeast(absl::ZeroDuration()), absl::Seconds(2));
  EXPECT_THAT(Delays(backoff, 1), ElementsAre(4));
}

TEST(BackoffTest, AServersWaitMayBeLongerThanMaxDelayButOursIsNot) {
  ManualEnvironment env;
  for (Jitter jitter : kAllKinds) {
    Backoff backoff(With(jitter), env);
    EXPECT_EQ(backoff.NextAtLeast(absl::Minutes(5)), absl::Minutes(5));
    EXPECT_LE(backoff.Next(), absl::Seconds(60)) << ToString(jitter);
  }
}

TEST(BackoffTest, ABaseOfOneKeepsTheDelaysTheSame) {
  ManualEnvironment env;
  RetryOptions options = With(Jitter::kNone);
  options.exponential_base = 1;
  Backoff backoff(options, env);
  EXPECT_THAT(Delays(backoff, 3), ElementsAre(1, 1, 1));
}

TEST(BackoffTest, ABaseBelowOneShrinksTheDelaysButNeverToNone) {
  ManualEnvironment env;
  RetryOptions options = With(Jitter::kNone);
  options.exponential_base = 0.5;
  Backoff backoff(options, env);
  EXPECT_THAT(Delays(backoff, 3), ElementsAre(1, 0.5, 0.25));
  for (int i = 0; i < 100; ++i) ASSERT_GE(backoff.Next(), absl::Nanoseconds(1));
}

}  // namespace
}  // namespace grpc_breaker
