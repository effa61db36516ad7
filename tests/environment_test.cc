#include "grpc_breaker/environment.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "grpc_breaker/base/timer_queue.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using ::testing::ElementsAre;

MonotonicTime At(int seconds) {
  return MonotonicTime(std::chrono::seconds(seconds));
}

TEST(TimeAfterTest, SaturatesInsteadOfOverflowing) {
  EXPECT_EQ(TimeAfter(At(1), absl::Seconds(2)), At(3));
  EXPECT_EQ(TimeAfter(At(3), -absl::Seconds(2)), At(1));
  EXPECT_EQ(TimeAfter(At(1), absl::InfiniteDuration()), MonotonicTime::max());
  EXPECT_EQ(TimeAfter(MonotonicTime::max(), absl::Nanoseconds(1)),
            MonotonicTime::max());
}

#ifndef __SANITIZE_THREAD__  // Whose runtime allows no threads after a fork.
// The tests that fork come first, and without absl::Mutex: a thread that is
// just using one during the fork may hold a lock of Abseil's own, which the
// child then waits for for ever.
class Signal {
 public:
  Signal() { EXPECT_EQ(pipe(ends_.data()), 0); }
  ~Signal() {
    for (const int end : ends_) close(end);
  }
  void Give() { EXPECT_EQ(write(ends_[1], "!", 1), 1); }
  void Wait() {
    char byte;
    EXPECT_EQ(read(ends_[0], &byte, 1), 1);
  }

 private:
  std::array<int, 2> ends_;
};

// Runs `function` in a child, whose exit status it returns.
int StatusOfChild(const std::function<int()>& function) {
  const pid_t child = fork();
  if (child == 0) _exit(function());
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(EnvironmentTest, StartsAfreshInTheChildOfAFork) {
  Environment& env = Environment::Default();
  Signal started, child_ended, ended;
  env.Run([&] {  // The parent's only worker, busy during the fork.
    started.Give();
    child_ended.Wait();
    ended.Give();
  });
  started.Wait();
  // The parent's timer may run when this test is over.
  auto ran = std::make_shared<std::atomic<bool>>(false);
  env.RunAt(env.Now() + std::chrono::milliseconds(1), [ran] { *ran = true; });
  const int status = StatusOfChild([&] {
    *ran = false;
    Signal run, due;
    env.Run([&] { run.Give(); });
    run.Wait();
    env.RunAt(env.Now() + std::chrono::milliseconds(5), [&] { due.Give(); });
    due.Wait();
    return *ran ? 1 : 0;  // The parent's timer does not run here.
  });
  child_ended.Give();
  ended.Wait();
  EXPECT_EQ(status, 0);
}

TEST(EnvironmentTest, ChildrenOfAForkThrowDiceOfTheirOwn) {
  Environment& env = Environment::Default();
  env.Uniform();
  std::array<int, 2> pipe_ends;
  ASSERT_EQ(pipe(pipe_ends.data()), 0);
  std::array<double, 3> dice{};  // Two children's and the parent's.
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(StatusOfChild([&] {
                const double value = env.Uniform();
                return write(pipe_ends[1], &value, sizeof(value)) < 0;
              }),
              0);
    ASSERT_EQ(read(pipe_ends[0], &dice[i], sizeof(dice[i])),
              static_cast<ssize_t>(sizeof(dice[i])));
  }
  dice[2] = env.Uniform();
  EXPECT_NE(dice[0], dice[1]);
  EXPECT_NE(dice[0], dice[2]);
  EXPECT_NE(dice[1], dice[2]);
}
#endif  // __SANITIZE_THREAD__

TEST(EnvironmentTest, RunsATimerOnAnotherThreadAndNotBeforeItIsDue) {
  Environment& env = Environment::Default();
  const MonotonicTime due = env.Now() + std::chrono::milliseconds(5);
  MonotonicTime ran_at;
  std::thread::id ran_on;
  absl::Notification done;
  env.RunAt(due, [&] {
    ran_at = env.Now();
    ran_on = std::this_thread::get_id();
    done.Notify();
  });
  done.WaitForNotification();
  EXPECT_GE(ran_at, due);
  EXPECT_NE(ran_on, std::this_thread::get_id());
}

TEST(EnvironmentTest, RunReturnsBeforeTheFunctionEnds) {
  absl::Notification returned;
  absl::Notification done;
  Environment::Default().Run([&] {
    returned.WaitForNotification();
    done.Notify();
  });
  returned.Notify();
  done.WaitForNotification();
}

TEST(EnvironmentTest, FunctionsThatBlockHoldUpNobodyElse) {
  constexpr int kBlocked = 20;
  Environment& env = Environment::Default();
  absl::Notification last_ran;
  absl::BlockingCounter ended(kBlocked);
  const auto block = [&] {
    last_ran.WaitForNotification();
    ended.DecrementCount();
  };
  for (int i = 0; i < kBlocked / 2; ++i) {
    env.Run(block);
    env.RunAt(env.Now(), block);
  }
  // Further ones of either kind get through, one after the other.
  env.RunAt(env.Now(), [&] { env.Run([&] { last_ran.Notify(); }); });
  last_ran.WaitForNotification();
  ended.Wait();
}

TEST(EnvironmentTest, AnEarlierTimerWakesTheThreadThatWaitsForALaterOne) {
  Environment& env = Environment::Default();
  const Environment::TimerId late =
      env.RunAt(env.Now() + std::chrono::hours(1), [] {});
  absl::Notification done;
  env.RunAt(env.Now(), [&] { done.Notify(); });
  done.WaitForNotification();
  EXPECT_TRUE(env.Cancel(late));
}

TEST(EnvironmentTest, CancelDestroysTheFunctionOfAPendingTimer) {
  Environment& env = Environment::Default();
  auto held = std::make_shared<int>(0);
  const Environment::TimerId timer =
      env.RunAt(env.Now() + std::chrono::hours(1), [held] { ++*held; });
  EXPECT_EQ(held.use_count(), 2);
  EXPECT_TRUE(env.Cancel(timer));
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_FALSE(env.Cancel(timer));
  EXPECT_FALSE(env.Cancel(Environment::kNoTimer));
}

TEST(EnvironmentTest, ATimerMayStartAndCancelTimers) {
  Environment& env = Environment::Default();
  const Environment::TimerId victim =
      env.RunAt(env.Now() + std::chrono::hours(1), [] {});
  bool cancelled = false;
  absl::Notification done;
  env.RunAt(env.Now(), [&] {
    cancelled = env.Cancel(victim);
    env.RunAt(env.Now(), [&] { done.Notify(); });
  });
  done.WaitForNotification();
  EXPECT_TRUE(cancelled);
}

TEST(EnvironmentTest, EachTimerEitherRunsOrIsCancelledUnderThreads) {
  constexpr int kThreads = 4;
  constexpr int kTimers = 500;
  Environment& env = Environment::Default();
  std::atomic<int> ran{0};
  std::atomic<int> cancelled{0};
  absl::BlockingCounter settled(kThreads * kTimers);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kTimers; ++i) {
        const auto timer =
            env.RunAt(env.Now() + std::chrono::microseconds(i % 50), [&] {
              ++ran;
              settled.DecrementCount();
            });
        if (i % 2 == 0 && env.Cancel(timer)) {
          ++cancelled;
          settled.DecrementCount();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  settled.Wait();
  EXPECT_EQ(ran + cancelled, kThreads * kTimers);
}

TEST(EnvironmentTest, UniformFillsTheUnitIntervalAndNoMore) {
  std::array<int, 10> tenths{};
  for (int i = 0; i < 10'000; ++i) {
    const double value = Environment::Default().Uniform();
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    ++tenths[static_cast<int>(value * 10)];
  }
  // 1,000 each is expected, with a standard deviation of 30.
  EXPECT_THAT(tenths, ::testing::Each(::testing::Gt(700)));
}

TEST(EnvironmentTest, SleepReturnsAtOnceForADurationThatIsNotPositive) {
  Environment::Default().Sleep(absl::ZeroDuration());
  Environment::Default().Sleep(-absl::InfiniteDuration());
}

TEST(TimerQueueTest, GivesOutEqualTimesInTheOrderOfArrival) {
  internal::TimerQueue queue;
  std::vector<int> order;
  for (int i = 0; i < 5; ++i) {
    queue.Add(At(1), [&order, i] { order.push_back(i); });
  }
  while (queue.NextDue().has_value()) queue.PopNext()();
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4));
}

TEST(TimerQueueTest, ForgetsARemovedTimerThatWasTheEarliest) {
  internal::TimerQueue queue;
  const Environment::TimerId first = queue.Add(At(1), [] {});
  queue.Add(At(2), [] {});
  EXPECT_TRUE(queue.Remove(first).has_value());
  EXPECT_EQ(queue.NextDue(), At(2));
  EXPECT_EQ(queue.size(), 1u);
}

TEST(TimerQueueTest, KeepsItsOrderThroughMassRemoval) {
  internal::TimerQueue queue;
  std::vector<int> order;
  std::vector<Environment::TimerId> ids;
  for (int i = 0; i < 1000; ++i) {
    const int second = (i * 7919) % 1000;
    ids.push_back(
        queue.Add(At(second), [&order, second] { order.push_back(second); }));
  }
  for (int i = 0; i < 1000; ++i) {
    if (i % 10 == 0) continue;
    EXPECT_TRUE(queue.Remove(ids[i]).has_value());
  }
  while (queue.NextDue().has_value()) queue.PopNext()();
  EXPECT_EQ(order.size(), 100u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

}  // namespace
}  // namespace grpc_breaker
