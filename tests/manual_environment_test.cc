#include "grpc_breaker/testing/manual_environment.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using ::testing::ElementsAre;

TEST(ManualEnvironmentTest, TheClockMovesOnlyWhenTold) {
  ManualEnvironment env;
  const MonotonicTime start = env.Now();
  const absl::Time wall_start = env.WallNow();
  EXPECT_EQ(env.Now(), start);
  env.Advance(absl::Seconds(3));
  EXPECT_EQ(env.Now() - start, std::chrono::seconds(3));
  EXPECT_EQ(env.WallNow() - wall_start, absl::Seconds(3));
  EXPECT_EQ(env.elapsed(), absl::Seconds(3));
}

TEST(ManualEnvironmentTest, RunsDueTimersInOrderAndAtTheirOwnTimes) {
  ManualEnvironment env;
  const MonotonicTime start = env.Now();
  std::vector<absl::Duration> at;
  for (int seconds : {3, 1, 2, 9}) {
    env.RunAt(start + std::chrono::seconds(seconds),
              [&] { at.push_back(env.elapsed()); });
  }
  env.Advance(absl::Seconds(5));
  EXPECT_THAT(
      at, ElementsAre(absl::Seconds(1), absl::Seconds(2), absl::Seconds(3)));
  EXPECT_EQ(env.elapsed(), absl::Seconds(5));
  EXPECT_EQ(env.pending_timers(), 1u);
}

TEST(ManualEnvironmentTest, RunsAFunctionHereAndNow) {
  ManualEnvironment env;
  bool ran = false;
  env.Run([&] { ran = true; });
  EXPECT_TRUE(ran);
  EXPECT_EQ(env.elapsed(), absl::ZeroDuration());
}

TEST(ManualEnvironmentTest, NeverRunsATimerInsideRunAt) {
  ManualEnvironment env;
  bool ran = false;
  env.RunAt(env.Now(), [&] { ran = true; });
  EXPECT_FALSE(ran);
  env.Advance(absl::ZeroDuration());
  EXPECT_TRUE(ran);
}

TEST(ManualEnvironmentTest, RunsTimersThatATimerStartsOnTheWay) {
  ManualEnvironment env;
  std::vector<absl::Duration> at;
  env.RunAt(TimeAfter(env.Now(), absl::Seconds(1)), [&] {
    at.push_back(env.elapsed());
    env.RunAt(TimeAfter(env.Now(), absl::Seconds(1)),
              [&] { at.push_back(env.elapsed()); });
  });
  env.Advance(absl::Seconds(2));
  EXPECT_THAT(at, ElementsAre(absl::Seconds(1), absl::Seconds(2)));
}

TEST(ManualEnvironmentTest, AdvanceToNextTimerStopsWhereTheTimerIsDue) {
  ManualEnvironment env;
  EXPECT_FALSE(env.AdvanceToNextTimer());
  env.RunAt(TimeAfter(env.Now(), absl::Seconds(7)), [] {});
  EXPECT_TRUE(env.AdvanceToNextTimer());
  EXPECT_EQ(env.elapsed(), absl::Seconds(7));
  EXPECT_FALSE(env.AdvanceToNextTimer());
}

TEST(ManualEnvironmentTest, ACancelledTimerDoesNotRun) {
  ManualEnvironment env;
  bool ran = false;
  const auto timer = env.RunAt(env.Now(), [&] { ran = true; });
  EXPECT_TRUE(env.Cancel(timer));
  EXPECT_FALSE(env.Cancel(timer));
  env.Advance(absl::Seconds(1));
  EXPECT_FALSE(ran);
}

TEST(ManualEnvironmentTest, SleepAdvancesTheClockAndIsWrittenDown) {
  ManualEnvironment env;
  bool ran = false;
  env.RunAt(TimeAfter(env.Now(), absl::Seconds(1)), [&] { ran = true; });
  env.Sleep(absl::Seconds(2));
  env.Sleep(absl::ZeroDuration());
  env.Sleep(-absl::Seconds(1));
  EXPECT_TRUE(ran);
  EXPECT_EQ(env.elapsed(), absl::Seconds(2));
  EXPECT_THAT(env.sleeps(), ElementsAre(absl::Seconds(2)));
}

TEST(ManualEnvironmentTest, UniformFollowsTheScriptAndThenSettlesAtOneHalf) {
  ManualEnvironment env;
  env.ScriptUniform({0.1, 0.9});
  env.ScriptUniform({0.2});
  EXPECT_EQ(env.Uniform(), 0.1);
  EXPECT_EQ(env.Uniform(), 0.9);
  EXPECT_EQ(env.Uniform(), 0.2);
  EXPECT_EQ(env.Uniform(), 0.5);
}

TEST(ManualEnvironmentTest, TheSameSeedGivesTheSameDice) {
  ManualEnvironment one;
  ManualEnvironment other;
  one.SeedUniform(42);
  other.SeedUniform(42);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(one.Uniform(), other.Uniform());
}

TEST(ManualEnvironmentTest, EveryTimerRunsOnceWhenThreadsAdvanceTogether) {
  ManualEnvironment env;
  std::atomic<int> ran{0};
  for (int i = 0; i < 1000; ++i) {
    env.RunAt(TimeAfter(env.Now(), absl::Milliseconds(i)), [&] { ++ran; });
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] { env.Advance(absl::Seconds(1)); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ran, 1000);
  EXPECT_EQ(env.pending_timers(), 0u);
}

}  // namespace
}  // namespace grpc_breaker
