// Proves that the ThreadSanitizer build sees a race where there is one, and
// none where a mutex guards.

#include <cstdlib>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "grpc_breaker/mutex_lock.h"
#include "gtest/gtest.h"

namespace {

// Returns what two threads counted to together.
template <typename Increment>
int CountWithTwoThreads(const int& counter, Increment increment) {
  auto thousand_times = [&] {
    for (int i = 0; i < 1000; ++i) increment();
  };
  std::thread other(thousand_times);
  thousand_times();
  other.join();
  return counter;
}

template <typename Mutex>
int CountUnder() {
  Mutex mutex;
  int counter = 0;
  return CountWithTwoThreads(counter, [&] {
    grpc_breaker::internal::MutexLock lock(mutex);
    ++counter;
  });
}

TEST(RaceTest, IsNotReportedUnderAnAbseilMutex) {
  EXPECT_EQ(CountUnder<absl::Mutex>(), 2000);
}

TEST(RaceTest, IsNotReportedAfterWaitsThatEndByTheClock) {
  absl::Mutex mutex;
  absl::Notification never;
  int counter = 0;
  CountWithTwoThreads(counter, [&] {
    never.WaitForNotificationWithTimeout(absl::Microseconds(1));
    absl::MutexLock lock(&mutex);
    const auto no = +[](int* count) { return *count < 0; };
    mutex.AwaitWithTimeout(absl::Condition(no, &counter),
                           absl::Microseconds(1));
    ++counter;
  });
  never.Notify();

  EXPECT_EQ(counter, 2000);
}

TEST(RaceTest, IsNotReportedUnderAMutexOfOurs) {
  EXPECT_EQ(CountUnder<grpc_breaker::internal::Mutex>(), 2000);
}

TEST(RaceDeathTest, IsReportedWithoutAMutex) {
  constexpr int kExitCodeOfThreadSanitizer = 66;
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        int counter = 0;
        CountWithTwoThreads(counter, [&] { ++counter; });
        std::exit(0);
      },
      testing::ExitedWithCode(kExitCodeOfThreadSanitizer),
      "ThreadSanitizer: data race");
}

}  // namespace
