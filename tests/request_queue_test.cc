#include "grpc_breaker/admin/request_queue.h"

#include <atomic>
#include <cstddef>
#include <memory>
#include <thread>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "grpc_breaker/environment.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

constexpr size_t kRunning = RequestQueue::kMostRunning;
constexpr size_t kAll = kRunning + RequestQueue::kMostWaiting;

TEST(RequestQueueTest, FewRunAtOnceAndOthersWaitUntilThereAreTooMany) {
  auto queue = std::make_shared<RequestQueue>();
  Environment& environment = Environment::Default();
  std::atomic<size_t> running{0};
  std::atomic<size_t> most{0};
  std::atomic<size_t> ended{0};
  absl::Notification go_on;
  const auto function = [&] {
    const size_t now = ++running;
    size_t before = most;
    while (before < now && !most.compare_exchange_weak(before, now)) {
    }
    go_on.WaitForNotification();
    --running;
    ++ended;
  };
  for (size_t i = 0; i < kAll; ++i) {
    EXPECT_TRUE(queue->Run(environment, function)) << i;
  }
  EXPECT_FALSE(queue->Run(environment, function));
  while (running < kRunning) std::this_thread::yield();
  go_on.Notify();
  while (ended < kAll) std::this_thread::yield();
  EXPECT_EQ(most, kRunning);
  EXPECT_TRUE(queue->Run(environment, function)) << "there is room again";
  while (ended < kAll + 1) std::this_thread::yield();
}

TEST(RequestQueueTest, WhatRunsOutlivesItsOwner) {
  absl::Notification go_on;
  absl::BlockingCounter ended(kRunning + 1);
  {
    auto queue = std::make_shared<RequestQueue>();
    for (size_t i = 0; i < kRunning; ++i) {
      queue->Run(Environment::Default(), [&] {
        go_on.WaitForNotification();
        ended.DecrementCount();
      });
    }
    queue->Run(Environment::Default(), [&] { ended.DecrementCount(); });
  }
  go_on.Notify();
  ended.Wait();
}

}  // namespace
}  // namespace grpc_breaker::internal
