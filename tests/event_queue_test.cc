#include "grpc_breaker/breaker/event_queue.h"

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/environments.h"

namespace grpc_breaker::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Writes down what it hears, and does what a test wants at each event.
class Recorder final : public BreakerListener {
 public:
  void OnTransition(const BreakerTransition& e) override { Add(e.cause); }
  void OnRejections(const BreakerRejections& e) override {
    Add(absl::StrCat(e.rejections, " rejected"));
  }
  void OnSlowCall(const BreakerSlowCall&) override { Add("slow"); }
  void OnThreshold(const BreakerThreshold&) override { Add("threshold"); }
  void OnEventsDropped(const BreakerEventsDropped& e) override {
    EXPECT_EQ(e.breaker, "b");
    EXPECT_NE(e.wall_time, absl::Time());
    Add(absl::StrCat(e.dropped, " dropped"));
  }

  std::vector<std::string> events;
  std::function<void()> at_each = [] {};

 private:
  void Add(std::string event) {
    events.push_back(std::move(event));
    const std::function<void()> act = at_each;  // Which it may replace.
    act();
  }
};

BreakerTransition Transition(std::string cause) {
  BreakerTransition transition;
  transition.breaker = "b";
  transition.cause = std::move(cause);
  return transition;
}

BreakerSlowCall Slow() {
  BreakerSlowCall call;
  call.breaker = "b";
  return call;
}

BreakerRejections Rejections(uint64_t number) {
  BreakerRejections rejections;
  rejections.breaker = "b";
  rejections.rejections = number;
  return rejections;
}

class EventQueueTest : public ::testing::Test {
 protected:
  void PushAndDeliver(const std::string& cause) {
    queue_->Push(Transition(cause));
    queue_->Deliver();
  }

  // Leaves all further events to the environment.
  void KeepBusy() {
    recorder_.at_each = [this] {
      recorder_.at_each = [] {};
      PushAndDeliver("second");
    };
    PushAndDeliver("first");
    ASSERT_EQ(environment_.size(), 1u);
  }

  // As many events as can wait: "second", a slow call and changes of state.
  void FillBehindASlowCall() {
    KeepBusy();
    queue_->Push(Slow());
    for (size_t i = 2; i < EventQueue::kMostWaiting; ++i) {
      queue_->Push(Transition("between"));
    }
  }

  // Has the events told that FillBehindASlowCall() and a change "last" have
  // left, with the notice in the place of the slow call.
  void ExpectNoticeInThePlaceOfTheSlowCall(const std::string& notice) {
    environment_.RunAll();
    ASSERT_THAT(recorder_.events, SizeIs(2 + EventQueue::kMostWaiting));
    EXPECT_EQ(recorder_.events[1], "second");
    EXPECT_EQ(recorder_.events[2], notice);
    EXPECT_EQ(recorder_.events[3], "between");
    EXPECT_EQ(recorder_.events.back(), "last");
  }

  QueuedEnvironment environment_;
  Recorder recorder_;
  std::shared_ptr<EventQueue> queue_ =
      std::make_shared<EventQueue>(recorder_, environment_);
};

TEST_F(EventQueueTest, ACallDeliversWhatItCausedItself) {
  queue_->Push(Transition("one"));
  queue_->Push(Slow());
  EXPECT_THAT(recorder_.events, IsEmpty());
  queue_->Deliver();
  EXPECT_THAT(recorder_.events, ElementsAre("one", "slow"));
  EXPECT_EQ(environment_.size(), 0u);
}

TEST_F(EventQueueTest, WhatTheListenerCausesIsLeftToTheEnvironment) {
  recorder_.at_each = [this] {
    if (recorder_.events.size() < 3) {
      PushAndDeliver(absl::StrCat("caused by ", recorder_.events.back()));
    }
  };
  PushAndDeliver("it");
  EXPECT_THAT(recorder_.events, ElementsAre("it"));
  ASSERT_EQ(environment_.size(), 1u);
  environment_.RunAll();
  EXPECT_THAT(recorder_.events,
              ElementsAre("it", "caused by it", "caused by caused by it"));
  // And then calls deliver again.
  PushAndDeliver("more");
  EXPECT_THAT(recorder_.events, SizeIs(4));
}

TEST_F(EventQueueTest, NoThreadWaitsForWhatAnotherOneDelivers) {
  absl::Notification delivering;
  absl::Notification end;
  recorder_.at_each = [&] {
    recorder_.at_each = [] {};
    delivering.Notify();
    end.WaitForNotification();
  };
  std::thread slow([&] { PushAndDeliver("slow one"); });
  delivering.WaitForNotification();
  PushAndDeliver("meanwhile");
  PushAndDeliver("still");
  end.Notify();
  slow.join();
  // Nor does the slow one deliver for the others.
  EXPECT_THAT(recorder_.events, ElementsAre("slow one"));
  ASSERT_EQ(environment_.size(), 1u);
  environment_.RunAll();
  EXPECT_THAT(recorder_.events, ElementsAre("slow one", "meanwhile", "still"));
}

TEST_F(EventQueueTest, NobodyOvertakesWhatTheEnvironmentWillDeliver) {
  KeepBusy();
  PushAndDeliver("third");
  EXPECT_THAT(recorder_.events, ElementsAre("first"));
  EXPECT_EQ(environment_.size(), 1u);
  environment_.RunAll();
  EXPECT_THAT(recorder_.events, ElementsAre("first", "second", "third"));
}

TEST_F(EventQueueTest, NobodyOvertakesAnotherThread) {
  std::thread([&] { queue_->Push(Transition("of another")); }).join();
  PushAndDeliver("own");
  EXPECT_THAT(recorder_.events, IsEmpty());
  environment_.RunAll();
  EXPECT_THAT(recorder_.events, ElementsAre("of another", "own"));
  std::thread([&] { queue_->Deliver(); }).join();
  EXPECT_THAT(recorder_.events, SizeIs(2));
}

TEST_F(EventQueueTest, ADelivererLeavesWhatOthersPushedAfterIt) {
  queue_->Push(Transition("own"));
  std::thread([&] { queue_->Push(Transition("of another")); }).join();
  queue_->Deliver();
  EXPECT_THAT(recorder_.events, ElementsAre("own"));
  environment_.RunAll();
  EXPECT_THAT(recorder_.events, ElementsAre("own", "of another"));
}

TEST_F(EventQueueTest, BeyondTheBoundTheNewestAreDroppedAndTheirNumberIsTold) {
  KeepBusy();
  for (size_t i = 1; i < EventQueue::kMostWaiting; ++i) queue_->Push(Slow());
  EXPECT_EQ(queue_->dropped(), 0u);
  for (int i = 0; i < 1000; ++i) {
    queue_->Push(Slow());
    queue_->Deliver();
  }
  EXPECT_EQ(queue_->dropped(), 1000u);
  environment_.RunAll();
  EXPECT_THAT(recorder_.events, SizeIs(2 + EventQueue::kMostWaiting));
  EXPECT_EQ(recorder_.events[1], "second");
  EXPECT_EQ(recorder_.events.back(), "1000 dropped");
  // The next ones are counted anew.
  recorder_.events.clear();
  KeepBusy();
  for (size_t i = 0; i < EventQueue::kMostWaiting; ++i) queue_->Push(Slow());
  environment_.RunAll();
  EXPECT_EQ(recorder_.events.back(), "1 dropped");
  EXPECT_EQ(queue_->dropped(), 1001u);
}

TEST_F(EventQueueTest, ChangesOfStateAreDroppedLast) {
  KeepBusy();
  for (size_t i = 0; i < EventQueue::kMostWaiting; ++i) queue_->Push(Slow());
  std::vector<std::string> changes = {"first", "second"};
  for (size_t i = 1; i < EventQueue::kMostWaiting; ++i) {
    changes.push_back(absl::StrCat("change ", i));
    queue_->Push(Transition(changes.back()));
  }
  EXPECT_EQ(queue_->dropped(), EventQueue::kMostWaiting);
  environment_.RunAll();
  // In their order, with the notice where the first one was dropped.
  std::vector<std::string> heard = recorder_.events;
  EXPECT_EQ(heard[2], absl::StrCat(EventQueue::kMostWaiting, " dropped"));
  heard.erase(heard.begin() + 2);
  EXPECT_EQ(heard, changes);
}

TEST_F(EventQueueTest, WhereOnlyChangesOfStateWaitTheOldestIsDropped) {
  KeepBusy();
  for (size_t i = 0; i < 2 * EventQueue::kMostWaiting; ++i) {
    queue_->Push(Transition(absl::StrCat(i)));
  }
  queue_->Push(Slow());
  environment_.RunAll();
  EXPECT_EQ(recorder_.events.back(),
            absl::StrCat(2 * EventQueue::kMostWaiting - 1));
  EXPECT_THAT(recorder_.events, SizeIs(1 + 1 + EventQueue::kMostWaiting));
  EXPECT_EQ(queue_->dropped(), EventQueue::kMostWaiting + 2);
}

TEST_F(EventQueueTest, TheNoticeStandsWhereTheFirstDroppedEventWouldHave) {
  FillBehindASlowCall();
  queue_->Push(Transition("last"));  // In place of the slow call.
  ExpectNoticeInThePlaceOfTheSlowCall("1 dropped");
}

TEST_F(EventQueueTest, AnEarlierEventThatIsDroppedLaterMovesTheNotice) {
  FillBehindASlowCall();
  queue_->Push(Slow());              // Is dropped itself, ...
  queue_->Push(Transition("last"));  // ... and then the other one for this.
  ExpectNoticeInThePlaceOfTheSlowCall("2 dropped");
}

TEST_F(EventQueueTest, TheRejectionsOfADroppedEventAreToldByTheNext) {
  KeepBusy();
  for (size_t i = 1; i < EventQueue::kMostWaiting; ++i) {
    queue_->Push(Rejections(1));
  }
  queue_->Push(Rejections(10));          // Is dropped itself, ...
  queue_->Push(Transition("a change"));  // ... and one for this.
  environment_.RunAll();
  queue_->Push(Rejections(100));
  queue_->Deliver();
  EXPECT_EQ(recorder_.events.back(), "111 rejected");
  queue_->Push(Rejections(3));
  queue_->Deliver();
  EXPECT_EQ(recorder_.events.back(), "3 rejected");
}

TEST_F(EventQueueTest, AListenerThatThrowsKeepsNothingFromBeingTold) {
  recorder_.at_each = [] { throw std::runtime_error("disk full"); };
  PushAndDeliver("one");
  PushAndDeliver("two");
  queue_->Push(Slow());
  queue_->Push(Rejections(5));
  queue_->Deliver();
  EXPECT_EQ(queue_->failed(), 4u);
  recorder_.at_each = [] {};
  PushAndDeliver("three");
  EXPECT_THAT(recorder_.events,
              ElementsAre("one", "two", "slow", "5 rejected", "three"));
  EXPECT_EQ(queue_->failed(), 4u);
  EXPECT_EQ(queue_->dropped(), 0u);
  EXPECT_EQ(environment_.size(), 0u);
}

TEST_F(EventQueueTest, NothingIsToldOnceItIsClosed) {
  KeepBusy();
  queue_->Close();
  PushAndDeliver("too late");
  queue_.reset();
  environment_.RunAll();
  EXPECT_THAT(recorder_.events, ElementsAre("first"));
}

TEST_F(EventQueueTest, MayBeClosedByItsListener) {
  recorder_.at_each = [this] {
    PushAndDeliver("never");
    std::exchange(queue_, nullptr)->Close();
  };
  queue_->Push(Transition("one"));
  queue_->Push(Transition("two"));
  queue_->Deliver();
  EXPECT_THAT(recorder_.events, ElementsAre("one"));
  EXPECT_EQ(environment_.size(), 0u);
}

TEST_F(EventQueueTest, MayBeClosedByItsListenerOnTheEnvironmentsThread) {
  KeepBusy();
  PushAndDeliver("third");
  recorder_.at_each = [this] { std::exchange(queue_, nullptr)->Close(); };
  environment_.RunAll();
  EXPECT_THAT(recorder_.events, ElementsAre("first", "second"));
}

TEST_F(EventQueueTest, ClosingWaitsForTheEventThatAnotherThreadDelivers) {
  absl::Notification delivering;
  absl::Notification end;
  bool delivered = false;
  recorder_.at_each = [&] {
    delivering.Notify();
    end.WaitForNotification();
    delivered = true;  // A race, and seen as one, if closing does not wait.
  };
  std::thread deliverer([&] {
    queue_->Push(Transition("one"));
    queue_->Deliver();
  });
  delivering.WaitForNotification();
  std::thread helper([&] { end.Notify(); });
  queue_->Close();
  EXPECT_TRUE(delivered);
  helper.join();
  deliverer.join();
  EXPECT_THAT(recorder_.events, ElementsAre("one"));
}

}  // namespace
}  // namespace grpc_breaker::internal
