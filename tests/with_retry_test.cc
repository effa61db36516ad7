#include "grpc_breaker/with_retry.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

absl::Status Down() { return absl::UnavailableError("down"); }

class WithRetryTest : public ::testing::Test {
 protected:
  WithRetryTest() {
    retry_.jitter = Jitter::kNone;
    options_.environment = &env_;
  }

  // Gives out `results` in order, and OK from then on.
  std::function<absl::Status()> Script(std::deque<absl::Status> results) {
    return [this, results = std::move(results)]() mutable {
      ++attempts_;
      if (results.empty()) return absl::OkStatus();
      absl::Status result = results.front();
      results.pop_front();
      return result;
    };
  }

  std::function<absl::Status()> Always(absl::Status result) {
    return [this, result] {
      ++attempts_;
      return result;
    };
  }

  ManualEnvironment env_;
  RetryOptions retry_;
  WithRetryOptions options_;
  int attempts_ = 0;
};

TEST_F(WithRetryTest, ReturnsTheFirstSuccessAndSleepsBetweenAttempts) {
  EXPECT_TRUE(WithRetry(retry_, Script({Down(), Down()}), options_).ok());
  EXPECT_EQ(attempts_, 3);
  EXPECT_THAT(env_.sleeps(), ElementsAre(absl::Seconds(1), absl::Seconds(2)));
}

TEST_F(WithRetryTest, ReturnsTheLastFailureWhenExhausted) {
  EXPECT_EQ(WithRetry(retry_, Always(Down()), options_), Down());
  EXPECT_EQ(attempts_, 4);
  // No wait after the last attempt.
  EXPECT_EQ(env_.sleeps().size(), 3u);
}

TEST_F(WithRetryTest, StopsAtOnceForWhatARetryCannotHelp) {
  EXPECT_EQ(WithRetry(retry_, Always(absl::NotFoundError("")), options_),
            absl::NotFoundError(""));
  EXPECT_EQ(attempts_, 1);
  EXPECT_THAT(env_.sleeps(), IsEmpty());
}

TEST_F(WithRetryTest, ReturnsWhatTheFunctionReturns) {
  int calls = 0;
  // Move-only, so that nothing on the way may copy it.
  absl::StatusOr<std::unique_ptr<int>> result = WithRetry(
      retry_,
      [&]() -> absl::StatusOr<std::unique_ptr<int>> {
        if (++calls == 1) return Down();
        return std::make_unique<int>(calls);
      },
      options_);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(**result, 2);
}

TEST_F(WithRetryTest, StopsAtOnceWhenTheDelayDoesNotFitBeforeTheDeadline) {
  options_.deadline = TimeAfter(env_.Now(), absl::Seconds(2));
  EXPECT_EQ(WithRetry(retry_, Always(Down()), options_), Down());
  EXPECT_EQ(attempts_, 2);
  EXPECT_EQ(env_.elapsed(), absl::Seconds(1));
}

TEST_F(WithRetryTest, ObeysASharedBudget) {
  RetryBudgetOptions budget_options;
  budget_options.max_tokens = 4;
  RetryBudget budget(budget_options);
  options_.budget = &budget;
  EXPECT_EQ(WithRetry(retry_, Always(Down()), options_), Down());
  EXPECT_EQ(attempts_, 2);
  EXPECT_EQ(WithRetry(retry_, Always(Down()), options_), Down());
  EXPECT_EQ(attempts_, 3);
}

TEST_F(WithRetryTest, TheStatusTableMayBeRefined) {
  options_.refine = [](const absl::Status& status, ErrorClass& error) {
    if (absl::IsAborted(status)) error.retryable = true;
  };
  EXPECT_TRUE(
      WithRetry(retry_, Script({absl::AbortedError("")}), options_).ok());
  EXPECT_EQ(attempts_, 2);
}

TEST_F(WithRetryTest, OptionsThatAreNotValidComeBackAndNothingIsCalled) {
  retry_.base_delay = -absl::Seconds(1);
  const absl::Status expected = absl::InvalidArgumentError(
      "retry.base_delay: must be at least 1ns, got -1s");
  EXPECT_EQ(WithRetry(retry_, Always(Down()), options_), expected);
  EXPECT_EQ(WithRetryOrElse(
                retry_, Always(Down()),
                [](absl::Status) { return absl::OkStatus(); }, options_),
            expected);
  EXPECT_EQ(attempts_, 0);
}

TEST_F(WithRetryTest, TheFallbackAnswersAfterExhaustion) {
  const absl::StatusOr<std::string> result = WithRetryOrElse(
      retry_, [&]() -> absl::StatusOr<std::string> { return Down(); },
      [](absl::StatusOr<std::string> failed) -> absl::StatusOr<std::string> {
        return "cached, since " + std::string(failed.status().message());
      },
      options_);
  EXPECT_EQ(*result, "cached, since down");
  EXPECT_EQ(env_.sleeps().size(), 3u);
}

TEST_F(WithRetryTest, TheFallbackAnswersAfterAFailureThatNoRetryHelps) {
  EXPECT_TRUE(WithRetryOrElse(
                  retry_, Always(absl::NotFoundError("")),
                  [](absl::Status) { return absl::OkStatus(); }, options_)
                  .ok());
  EXPECT_EQ(attempts_, 1);
}

TEST_F(WithRetryTest, TheFallbackIsLeftAloneAfterSuccess) {
  EXPECT_TRUE(WithRetryOrElse(
                  retry_, Script({Down()}),
                  [](absl::Status status) {
                    ADD_FAILURE();
                    return status;
                  },
                  options_)
                  .ok());
}

class WithRetryAndBreakerTest : public WithRetryTest {
 protected:
  WithRetryAndBreakerTest() {
    BreakerOptions options;
    breaker_ = *CircuitBreaker::Create("backend", options, env_);
  }

  // Opens the breaker for 60 s.
  void Open() {
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(breaker_->Execute(Always(Down())), Down());
    }
    attempts_ = 0;
  }

  std::unique_ptr<CircuitBreaker> breaker_;
};

TEST_F(WithRetryAndBreakerTest, TheBreakerSeesEveryAttempt) {
  retry_.max_retries = 9;
  const absl::Status status = WithRetry(
      retry_, [&] { return breaker_->Execute(Always(Down())); }, options_);
  EXPECT_TRUE(IsBreakerRejection(status));
  EXPECT_EQ(attempts_, 5);
}

TEST_F(WithRetryAndBreakerTest, ARejectionFailsFastByDefault) {
  Open();
  const absl::Status status = WithRetry(
      retry_, [&] { return breaker_->Execute(Always(Down())); }, options_);
  EXPECT_TRUE(IsBreakerRejection(status));
  EXPECT_EQ(attempts_, 0);
  EXPECT_THAT(env_.sleeps(), IsEmpty());
}

TEST_F(WithRetryAndBreakerTest, WaitsForTheRetryAfterWhereAskedTo) {
  Open();
  options_.wait_when_rejected = true;
  EXPECT_TRUE(
      WithRetry(
          retry_, [&] { return breaker_->Execute(Script({})); }, options_)
          .ok());
  EXPECT_THAT(env_.sleeps(), ElementsAre(absl::Seconds(60)));
}

TEST_F(WithRetryAndBreakerTest, DoesNotWaitForARetryAfterBeyondTheDeadline) {
  Open();
  options_.wait_when_rejected = true;
  options_.deadline = TimeAfter(env_.Now(), absl::Seconds(59));
  EXPECT_TRUE(IsBreakerRejection(WithRetry(
      retry_, [&] { return breaker_->Execute(Script({})); }, options_)));
  EXPECT_THAT(env_.sleeps(), IsEmpty());
}

TEST_F(WithRetryAndBreakerTest, RejectionsAreNeitherCountedNorTakenFromBudget) {
  Open();
  RetryBudgetOptions budget_options;
  budget_options.max_tokens = 4;
  RetryBudget budget(budget_options);
  options_.budget = &budget;
  const BreakerSnapshot before = breaker_->Snapshot(env_.Now());
  EXPECT_TRUE(IsBreakerRejection(WithRetry(
      retry_, [&] { return breaker_->Execute(Script({})); }, options_)));
  EXPECT_EQ(budget.tokens(), 4);
  EXPECT_EQ(breaker_->Snapshot(env_.Now()).counts.calls(),
            before.counts.calls());
}

// The asynchronous form.

using Callback = std::function<void(absl::Status)>;

class WithRetryAsyncTest : public WithRetryTest {
 protected:
  // Attempts whose callbacks the test calls.
  std::function<void(Callback)> Manual() {
    return [this](Callback callback) {
      ++attempts_;
      callback_ = std::move(callback);
    };
  }

  // Attempts that complete before `start` returns.
  std::function<void(Callback)> Inline(std::function<absl::Status()> function) {
    return [function](Callback callback) { callback(function()); };
  }

  std::shared_ptr<AsyncRetry> Start(std::function<void(Callback)> start) {
    return WithRetryAsync<absl::Status>(
        retry_, std::move(start),
        [this](absl::Status status) { done_.push_back(status); }, options_);
  }

  Callback callback_;
  std::vector<absl::Status> done_;
};

TEST_F(WithRetryAsyncTest, RetriesAfterBackoffsWithoutBlocking) {
  Start(Manual());
  callback_(Down());
  EXPECT_EQ(attempts_, 1);
  EXPECT_EQ(env_.pending_timers(), 1u);
  env_.Advance(absl::Seconds(1));
  EXPECT_EQ(attempts_, 2);
  callback_(absl::OkStatus());
  EXPECT_THAT(done_, ElementsAre(absl::OkStatus()));
  EXPECT_THAT(env_.sleeps(), IsEmpty());
}

TEST_F(WithRetryAsyncTest, EndsWithTheLastFailureWhenExhausted) {
  Start(Inline(Always(Down())));
  while (env_.AdvanceToNextTimer()) {
  }
  EXPECT_THAT(done_, ElementsAre(Down()));
  EXPECT_EQ(attempts_, 4);
  EXPECT_EQ(env_.elapsed(), absl::Seconds(7));
}

TEST_F(WithRetryAsyncTest, CompletesInlineWhereTheAttemptDoes) {
  Start(Inline(Script({})));
  EXPECT_THAT(done_, ElementsAre(absl::OkStatus()));
  EXPECT_EQ(env_.pending_timers(), 0u);
}

TEST_F(WithRetryAsyncTest, InlineAttemptsDoNotPileUpOnTheStack) {
  retry_.max_retries = 100;
  int depth = 0;
  int deepest = 0;
  Start([&](Callback callback) {
    deepest = std::max(deepest, ++depth);
    callback(Down());
    --depth;
  });
  while (env_.AdvanceToNextTimer()) {
  }
  EXPECT_THAT(done_, ElementsAre(Down()));
  EXPECT_EQ(deepest, 1);
}

TEST_F(WithRetryAsyncTest, AnAttemptThatThrowsHasFailed) {
  for (const int failures_before : {0, 1}) {
    done_.clear();
    int attempts = 0;
    Start([&](Callback callback) {
      if (attempts++ == failures_before) throw std::runtime_error("no memory");
      callback(Down());
    });
    while (env_.AdvanceToNextTimer()) {
    }
    ASSERT_EQ(done_.size(), 1u);
    EXPECT_TRUE(absl::IsUnknown(done_[0])) << done_[0];
    EXPECT_EQ(attempts, failures_before + 1);
  }
}

TEST_F(WithRetryAsyncTest, EndsWithAFailureThatRefineThrowsAt) {
  options_.refine = [](const absl::Status&, ErrorClass&) {
    throw std::runtime_error("no memory");
  };
  for (const bool at_once : {true, false}) {
    done_.clear();
    Start(at_once ? Inline(Script({Down(), absl::OkStatus()})) : Manual());
    if (!at_once) callback_(Down());
    EXPECT_THAT(done_, ElementsAre(Down()));
    EXPECT_EQ(env_.pending_timers(), 0u);
  }
}

TEST_F(WithRetryAsyncTest, CancelInABackoffEndsTheCallAtOnce) {
  auto call = Start(Manual());
  callback_(Down());
  call->Cancel();
  ASSERT_EQ(done_.size(), 1u);
  EXPECT_TRUE(absl::IsCancelled(done_[0]));
  EXPECT_EQ(env_.pending_timers(), 0u);
}

TEST_F(WithRetryAsyncTest, CancelInAnAttemptDropsTheLateResult) {
  auto call = Start(Manual());
  call->Cancel();
  ASSERT_EQ(done_.size(), 1u);
  EXPECT_TRUE(absl::IsCancelled(done_[0]));
  callback_(Down());
  callback_(absl::OkStatus());
  EXPECT_EQ(done_.size(), 1u);
  EXPECT_EQ(env_.pending_timers(), 0u);
}

TEST_F(WithRetryAsyncTest, CancelAfterTheEndDoesNothing) {
  auto call = Start(Inline(Script({})));
  call->Cancel();
  call->Cancel();
  EXPECT_THAT(done_, ElementsAre(absl::OkStatus()));
}

TEST_F(WithRetryAsyncTest, CancelInsideStartEndsTheCall) {
  std::shared_ptr<AsyncRetry> call;
  call = Start([&](Callback callback) {
    ++attempts_;
    if (call != nullptr) call->Cancel();
    callback(Down());
  });
  env_.Advance(absl::Seconds(1));
  EXPECT_EQ(attempts_, 2);
  ASSERT_EQ(done_.size(), 1u);
  EXPECT_TRUE(absl::IsCancelled(done_[0]));
  EXPECT_EQ(env_.pending_timers(), 0u);
}

TEST_F(WithRetryAsyncTest, TheCallbackOfAnAttemptCountsOnce) {
  Start(Manual());
  const Callback first = callback_;
  first(Down());
  first(Down());
  EXPECT_EQ(env_.pending_timers(), 1u);
  env_.Advance(absl::Seconds(1));
  first(absl::OkStatus());
  EXPECT_THAT(done_, IsEmpty());
  callback_(absl::OkStatus());
  EXPECT_EQ(done_.size(), 1u);
}

TEST_F(WithRetryAsyncTest, GoesOnAfterItsHandleIsDropped) {
  Start(Manual()).reset();
  callback_(Down());
  env_.Advance(absl::Seconds(1));
  callback_(absl::OkStatus());
  EXPECT_THAT(done_, ElementsAre(absl::OkStatus()));
}

TEST_F(WithRetryAsyncTest, LetsGoOfEverythingAtTheEnd) {
  auto held = std::make_shared<int>();
  WithRetryAsync<absl::Status>(
      retry_, [this, held](Callback callback) { callback_ = callback; },
      [held](absl::Status) {}, options_)
      .reset();
  callback_(Down());
  env_.Advance(absl::Seconds(1));
  EXPECT_GT(held.use_count(), 1);
  callback_(absl::OkStatus());
  callback_ = nullptr;
  EXPECT_EQ(held.use_count(), 1);
}

TEST_F(WithRetryAsyncTest, DoneMayStartTheNextCall) {
  bool second_done = false;
  WithRetryAsync<absl::Status>(
      retry_, Inline(Script({})),
      [&](absl::Status) {
        WithRetryAsync<absl::Status>(
            retry_, Inline(Script({})),
            [&](absl::Status) { second_done = true; }, options_);
      },
      options_);
  EXPECT_TRUE(second_done);
}

TEST_F(WithRetryAsyncTest, StopsAtOnceWhenTheDelayDoesNotFitTheDeadline) {
  options_.deadline = TimeAfter(env_.Now(), absl::Milliseconds(999));
  Start(Inline(Always(Down())));
  EXPECT_THAT(done_, ElementsAre(Down()));
}

TEST_F(WithRetryAsyncTest, OptionsThatAreNotValidComeBackAndNothingIsCalled) {
  retry_.max_retries = -1;
  auto call = Start(Manual());
  EXPECT_THAT(done_, ElementsAre(absl::InvalidArgumentError(
                         "retry.max_retries: must be from 0 to 100, got -1")));
  EXPECT_EQ(attempts_, 0);
  call->Cancel();
  EXPECT_EQ(done_.size(), 1u);
}

TEST_F(WithRetryAsyncTest, OnlyWhatIsCalledCountsInTheBudget) {
  RetryBudgetOptions budget_options;
  budget_options.ratio = 1;
  budget_options.min_retries_per_second = 0;
  RetryBudget budget(budget_options);
  options_.budget = &budget;
  Start(Manual());
  EXPECT_EQ(budget.retries_left(env_.Now()), 1);
  retry_.max_retries = -1;
  Start(Manual());
  EXPECT_EQ(budget.retries_left(env_.Now()), 1);
}

TEST_F(WithRetryAsyncTest, EndsOnceWhenCancelAndTheResultRace) {
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> ends{0};
    Callback callback;
    auto call = WithRetryAsync<absl::Status>(
        retry_, [&](Callback c) { callback = std::move(c); },
        [&](absl::Status) { ++ends; }, options_);
    std::thread canceller([&] { call->Cancel(); });
    callback(round % 2 == 0 ? absl::OkStatus() : Down());
    canceller.join();
    EXPECT_EQ(ends, 1);
    EXPECT_EQ(env_.pending_timers(), 0u);
  }
}

TEST(WithRetryAsyncRealTimeTest, RunsOnTheTimerThreadOfTheRealEnvironment) {
  RetryOptions retry;
  retry.base_delay = absl::Microseconds(10);
  int attempts = 0;
  absl::Notification done;
  absl::Status result;
  WithRetryAsync<absl::Status>(
      retry,
      [&](Callback callback) {
        callback(++attempts < 3 ? Down() : absl::OkStatus());
      },
      [&](absl::Status status) {
        result = status;
        done.Notify();
      });
  done.WaitForNotification();
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(attempts, 3);
}

}  // namespace
}  // namespace grpc_breaker
