#include "grpc_breaker/rpc/idle_queues.h"

#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "grpcpp/alarm.h"
#include "grpcpp/completion_queue.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

TEST(IdleQueuesTest, WhatWasGivenBackIsUsedAgain) {
  IdleQueues queues;
  IdleQueues::Queue queue = queues.Take();
  grpc::CompletionQueue* const first = queue.get();
  queues.GiveBack(std::move(queue));

  queue = queues.Take();
  EXPECT_EQ(queue.get(), first);

  // It works as a new one does.
  int expected;
  grpc::Alarm alarm;
  alarm.Set(queue.get(), gpr_inf_past(GPR_CLOCK_MONOTONIC), &expected);
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue->Next(&tag, &ok));
  EXPECT_EQ(tag, &expected);
  queues.GiveBack(std::move(queue));
}

TEST(IdleQueuesTest, NoTwoCallersHaveTheSameQueue) {
  IdleQueues queues;
  std::vector<IdleQueues::Queue> taken;
  std::set<grpc::CompletionQueue*> different;
  for (int round = 0; round < 2; ++round) {
    // More than are kept.
    for (int i = 0; i < IdleQueues::kMost + 2; ++i) {
      taken.push_back(queues.Take());
      EXPECT_TRUE(different.insert(taken.back().get()).second);
    }
    different.clear();
    for (IdleQueues::Queue& queue : taken) queues.GiveBack(std::move(queue));
    taken.clear();
  }
}

TEST(IdleQueuesTest, WhatIsTakenOutlivesTheOthers) {
  auto queues = std::make_unique<IdleQueues>();
  IdleQueues::Queue taken = queues->Take();
  queues->GiveBack(queues->Take());
  queues.reset();

  void* tag = nullptr;
  bool ok = false;
  EXPECT_EQ(taken->AsyncNext(&tag, &ok, gpr_inf_past(GPR_CLOCK_MONOTONIC)),
            grpc::CompletionQueue::TIMEOUT);
}

}  // namespace
}  // namespace grpc_breaker::internal
