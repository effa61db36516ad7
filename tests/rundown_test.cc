#include "grpc_breaker/base/rundown.h"

#include <atomic>
#include <thread>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

TEST(RundownTest, AllowsUsesUntilItHasEnded) {
  Rundown rundown;
  {
    const Rundown::Use use(rundown);
    EXPECT_TRUE(use.allowed());
    EXPECT_FALSE(rundown.ended());
  }

  rundown.End();

  EXPECT_TRUE(rundown.ended());
  const Rundown::Use use(rundown);
  EXPECT_FALSE(use.allowed());
}

TEST(RundownTest, EndWaitsForTheUsesOfOtherThreads) {
  for (int i = 0; i < 100; ++i) {
    Rundown rundown;
    absl::Notification in_use;
    std::atomic<bool> over{false};
    std::thread user([&] {
      const Rundown::Use use(rundown);
      in_use.Notify();
      // Others are not let in, but this one goes on.
      while (!rundown.ended()) std::this_thread::yield();
      EXPECT_FALSE(Rundown::Use(rundown).allowed());
      over = true;
    });
    in_use.WaitForNotification();

    rundown.End();

    EXPECT_TRUE(over);
    user.join();
  }
}

TEST(RundownTest, EndDoesNotWaitForTheUsesOfItsOwnThread) {
  Rundown rundown;
  const Rundown::Use outer(rundown);
  const Rundown::Use inner(rundown);

  rundown.End();
  rundown.End();

  EXPECT_TRUE(rundown.ended());
}

}  // namespace
}  // namespace grpc_breaker::internal
