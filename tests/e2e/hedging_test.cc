// Hedged calls: attempts beside those under way.

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/call_history.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpcpp/support/client_interceptor.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/raw_server.h"
#include "tests/environments.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;
using ::testing::Pair;

// Runs a function inside the next reading of its clock.
class BusyClock final : public DelegatingEnvironment {
 public:
  void AtNextReading(absl::AnyInvocable<void()> function) {
    internal::MutexLock lock(mutex_);
    function_ = std::move(function);
  }
  MonotonicTime Now() override {
    absl::AnyInvocable<void()> function;
    {
      internal::MutexLock lock(mutex_);
      function = std::exchange(function_, nullptr);
    }
    if (function != nullptr) function();
    return DelegatingEnvironment::Now();
  }

 private:
  absl::Mutex mutex_;
  absl::AnyInvocable<void()> function_ ABSL_GUARDED_BY(mutex_);
};

// Holds up who starts a call's first attempt until that has been answered.
class AnsweredBeforeStarted final
    : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* /*info*/) override {
    return new Interceptor;
  }

 private:
  using Hook = grpc::experimental::InterceptionHookPoints;

  class Interceptor final : public grpc::experimental::Interceptor {
   public:
    void Intercept(
        grpc::experimental::InterceptorBatchMethods* batch) override {
      const std::shared_ptr<absl::Notification> answered = answered_;
      const bool starts =
          batch->QueryInterceptionHookPoint(Hook::PRE_SEND_INITIAL_METADATA) &&
          batch->GetSendInitialMetadata()->count(
              "grpc-previous-rpc-attempts") == 0;
      const bool ends =
          batch->QueryInterceptionHookPoint(Hook::POST_RECV_STATUS);
      batch->Proceed();  // After which this may be gone.
      if (ends) answered->Notify();
      if (!starts) return;
      answered->WaitForNotification();
      // Nothing tells when the library has heard of it.
      absl::SleepFor(absl::Milliseconds(20));
    }

   private:
    const std::shared_ptr<absl::Notification> answered_ =
        std::make_shared<absl::Notification>();
  };
};

class HedgingTest : public E2eTest,
                    public ::testing::WithParamInterface<Flavour> {
 protected:
  HedgingTest() {
    policy().hedging.max_hedges = 2;
    policy().hedging.delay = absl::Seconds(10);
    policy().retry.max_retries = 0;  // They have no say.
  }

  const std::shared_ptr<grpc::Channel>& channel() {
    if (channel_ == nullptr) channel_ = MakeChannel();
    return channel_;
  }

  void Start(const Configure& configure = nullptr) {
    call_ = StartCall(GetParam(), channel(), "hello",
                      [&](grpc::ClientContext* context) {
                        context_ = context;
                        if (configure != nullptr) configure(context);
                      });
  }
  CallResult Wait() { return call_->Wait(); }
  void Cancel() { call_->Cancel(); }

  // Of the call that has ended.
  std::string History() const { return HistoryText(CallHistoryOf(*context_)); }

  size_t Attempts() const {
    const std::optional<CallHistory> history = CallHistoryOf(*context_);
    return history.has_value() ? history->attempts.size() : 1;
  }

  // The next call of the server waits there.
  std::shared_ptr<Gate> PushBlocked() {
    auto gate = std::make_shared<Gate>();
    server_.Push(Answer::Blocked(gate));
    return gate;
  }

  // Starts a call whose first attempt is at the gate.
  std::shared_ptr<Gate> StartBlocked(const Configure& configure = nullptr) {
    std::shared_ptr<Gate> gate = PushBlocked();
    Start(configure);
    gate->WaitForArrivals(1);
    return gate;
  }

  // "2 issued, 1 succeeded, 0 failed, 1 returned": what the breaker was told.
  std::string Permits() {
    const PermitTotals permits = Breaker(kUnary).permits;
    return absl::StrCat(permits.issued, " issued, ", permits.successes,
                        " succeeded, ", permits.failures, " failed, ",
                        permits.returned, " returned");
  }

  BusyClock busy_clock_;  // For tests that name it in options_.
  std::shared_ptr<grpc::Channel> channel_;

 private:
  std::unique_ptr<UnderWay> call_;
  grpc::ClientContext* context_ = nullptr;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(HedgingTest);
INSTANTIATE_TEST_SUITE_P(Flavours, HedgingTest,
                         ::testing::ValuesIn(AllFlavours()),
                         [](const auto& info) { return ToString(info.param); });

ATTEMPTS_TEST_P(HedgingTest, AnAnswerBeforeTheDelayNeedsNoHedge) {
  Start();
  const CallResult result = Wait();

  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.text, "hello");
  EXPECT_EQ(History(), "none");
  EXPECT_EQ(env_.pending_timers(), 0u);
  env_.Advance(absl::Hours(1));
  EXPECT_EQ(server_.calls(), 1);
  EXPECT_EQ(Permits(), "1 issued, 1 succeeded, 0 failed, 0 returned");
}

ATTEMPTS_TEST_P(HedgingTest, AHedgeThatIsAnsweredFirstDecidesTheCall) {
  const auto gate = StartBlocked();
  EXPECT_EQ(FinishBackoff(), absl::Seconds(10));
  const CallResult result = Wait();

  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.text, "hello");
  EXPECT_EQ(History(), "CANCELLED;0,OK;10000 SUCCEEDED");
  gate->WaitForCancellations(1);
  EXPECT_EQ(Permits(), "2 issued, 1 succeeded, 0 failed, 1 returned")
      << "one that has lost tells the breaker nothing";
  EXPECT_EQ(env_.pending_timers(), 0u);
  EXPECT_EQ(server_.calls(), 2);
}

ATTEMPTS_TEST_P(HedgingTest, AFirstAttemptThatIsAnsweredFirstDecidesTheCall) {
  const auto first = StartBlocked();
  const auto second = PushBlocked();
  FinishBackoff();
  second->WaitForArrivals(1);
  first->Open();
  const CallResult result = Wait();

  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(History(), "OK;0,CANCELLED;10000 SUCCEEDED");
  second->WaitForCancellations(1);
  EXPECT_EQ(Permits(), "2 issued, 1 succeeded, 0 failed, 1 returned");
  EXPECT_EQ(env_.pending_timers(), 0u);
}

ATTEMPTS_TEST_P(HedgingTest, EveryAttemptSendsTheSameAndSaysWhichItIs) {
  // Else gRPC 1.51 takes the number out again.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  channel_ = MakeChannel(arguments);
  const auto gate = StartBlocked(
      [](grpc::ClientContext* context) { context->AddMetadata("key", "a"); });
  FinishBackoff();
  EXPECT_TRUE(Wait().status.ok());
  gate->WaitForCancellations(1);
  WaitUntil([&] { return server_.received().size() == 2; }, "both handlers");

  for (const ReceivedCall& call : server_.received()) {
    EXPECT_EQ(call.text, "hello");
    EXPECT_THAT(call.metadata, Contains(Pair("key", "a")));
  }
  EXPECT_THAT(server_.received()[0].metadata,
              Contains(Pair("grpc-previous-rpc-attempts", "1")));
  EXPECT_THAT(server_.received()[1].metadata,
              Not(Contains(Pair("grpc-previous-rpc-attempts", testing::_))));
}

ATTEMPTS_TEST_P(HedgingTest, ThereAreNoMoreHedgesThanThePolicySays) {
  const auto first = StartBlocked();
  const auto second = PushBlocked();
  FinishBackoff();
  second->WaitForArrivals(1);
  const auto third = PushBlocked();
  EXPECT_EQ(FinishBackoff(), absl::Seconds(10));
  third->WaitForArrivals(1);

  EXPECT_EQ(env_.pending_timers(), 0u);
  third->Open();
  EXPECT_TRUE(Wait().status.ok());
  EXPECT_EQ(History(), "CANCELLED;0,CANCELLED;10000,OK;10000 SUCCEEDED");
  EXPECT_EQ(Permits(), "3 issued, 1 succeeded, 0 failed, 2 returned");
}

ATTEMPTS_TEST_P(HedgingTest, WithoutADelayAllAttemptsAreMadeAtOnce) {
  policy().hedging.delay = absl::ZeroDuration();
  policy().hedging.max_hedges = 3;
  auto gate = std::make_shared<Gate>();
  server_.Push(4, Answer::Blocked(gate));
  Start();
  gate->WaitForArrivals(4);
  gate->Open();

  EXPECT_TRUE(Wait().status.ok());
  EXPECT_EQ(env_.elapsed(), absl::ZeroDuration());
  EXPECT_EQ(server_.calls(), 4);
  EXPECT_EQ(Permits(), "4 issued, 1 succeeded, 0 failed, 3 returned");
}

ATTEMPTS_TEST_P(HedgingTest, WithoutADelayNothingIsMadeAfterTheEnd) {
  policy().hedging.delay = absl::ZeroDuration();
  FactoryList after;
  after.push_back(std::make_unique<AnsweredBeforeStarted>());
  channel_ = MakeChannelBetween({}, std::move(after));
  Start();

  EXPECT_TRUE(Wait().status.ok());
  EXPECT_EQ(Breaker(kUnary).permits.issued, Attempts());
}

ATTEMPTS_TEST_P(HedgingTest, AFailureHasTheNextAttemptMadeAtOnce) {
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  Start();

  EXPECT_TRUE(Wait().status.ok());
  EXPECT_EQ(env_.elapsed(), absl::ZeroDuration());
  EXPECT_EQ(History(), "UNAVAILABLE;0,OK;0 SUCCEEDED");
  EXPECT_EQ(Permits(), "2 issued, 1 succeeded, 1 failed, 0 returned");
}

ATTEMPTS_TEST_P(HedgingTest, TheDelayBeginsAnewWithEachAttempt) {
  auto first = std::make_shared<Gate>();
  Answer fails = Answer::Error(StatusCode::UNAVAILABLE);
  fails.gate = first;
  server_.Push(fails);
  const auto second = PushBlocked();
  Start();
  first->WaitForArrivals(1);
  env_.Advance(absl::Seconds(9));
  first->Open();
  second->WaitForArrivals(1);
  EXPECT_EQ(FinishBackoff(), absl::Seconds(10));

  EXPECT_TRUE(Wait().status.ok());
  EXPECT_EQ(History(), "UNAVAILABLE;0,CANCELLED;0,OK;10000 SUCCEEDED");
}

ATTEMPTS_TEST_P(HedgingTest,
                ADelayThatEndsWhileAnAttemptFailsMakesNoOtherHedge) {
  options_.environment = &busy_clock_;
  auto first = std::make_shared<Gate>();
  Answer fails = Answer::Error(StatusCode::UNAVAILABLE);
  fails.gate = first;
  server_.Push(fails);
  const auto second = PushBlocked();
  Start();
  first->WaitForArrivals(1);
  // The failure is about to be dealt with, and has not stopped the timer yet.
  busy_clock_.AtNextReading([this] { busy_clock_.Advance(absl::Seconds(10)); });
  first->Open();
  second->WaitForArrivals(1);
  second->Open();

  EXPECT_TRUE(Wait().status.ok());
  EXPECT_EQ(History(), "UNAVAILABLE;0,OK;0 SUCCEEDED");
}

ATTEMPTS_TEST_P(HedgingTest, AFatalFailureEndsTheCallAndTheOtherAttempts) {
  const auto gate = StartBlocked();
  server_.Push(Answer::Error(StatusCode::NOT_FOUND, "no such thing"));
  FinishBackoff();
  const CallResult result = Wait();

  EXPECT_EQ(result.status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(result.status.error_message(), "no such thing");
  EXPECT_EQ(History(), "CANCELLED;0,NOT_FOUND;10000 NOT_RETRYABLE");
  gate->WaitForCancellations(1);
  EXPECT_EQ(env_.pending_timers(), 0u);
}

ATTEMPTS_TEST_P(HedgingTest,
                AFailureAfterInitialMetadataEndsTheCallIfTheyCommit) {
  policy().commit_at_initial_metadata = true;
  RawServer server([](RawCall call) {
    if (call.number() == 1) return;  // Never answered.
    call.SendHeaders(ResponseHeaders());
    call.SendTrailers(StatusTrailers(StatusCode::UNAVAILABLE, "busy"));
  });
  channel_ = MakeChannelTo(server.target());
  Start();
  WaitUntil([&] { return server.requests() == 1; }, "the first attempt");
  FinishBackoff();

  EXPECT_EQ(Wait().status.error_message(), "busy");
  EXPECT_EQ(History(), "CANCELLED;0,UNAVAILABLE;10000 COMMITTED");
  EXPECT_EQ(env_.pending_timers(), 0u);
}

ATTEMPTS_TEST_P(HedgingTest, WhenAllHaveFailedTheLastStatusIsTheCalls) {
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE, "one"));
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE, "two"));
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE, "three"));
  Start();
  const CallResult result = Wait();

  EXPECT_EQ(result.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(result.status.error_message(), "three");
  EXPECT_EQ(History(), "UNAVAILABLE;0,UNAVAILABLE;0,UNAVAILABLE;0 EXHAUSTED");
  EXPECT_EQ(Permits(), "3 issued, 0 succeeded, 3 failed, 0 returned");
}

ATTEMPTS_TEST_P(HedgingTest, AFailedHedgeLeavesTheCallToThoseUnderWay) {
  policy().hedging.max_hedges = 1;
  const auto gate = StartBlocked();
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  FinishBackoff();
  WaitUntil([&] { return Breaker(kUnary).permits.failures == 1; },
            "the hedge to fail");
  gate->Open();

  EXPECT_TRUE(Wait().status.ok());
  EXPECT_EQ(History(), "OK;0,UNAVAILABLE;10000 SUCCEEDED");
  EXPECT_EQ(Permits(), "2 issued, 1 succeeded, 1 failed, 0 returned");
}

ATTEMPTS_TEST_P(HedgingTest, APushbackSetsWhenTheNextAttemptIsMade) {
  Answer answer = Answer::Error(StatusCode::UNAVAILABLE);
  answer.trailing_metadata = {{"grpc-retry-pushback-ms", "25000"}};
  server_.Push(answer);
  Start();
  WaitUntil([&] { return Breaker(kUnary).permits.failures == 1; },
            "the first attempt to fail");
  EXPECT_EQ(FinishBackoff(), absl::Seconds(25));

  EXPECT_TRUE(Wait().status.ok());
  EXPECT_EQ(History(), "UNAVAILABLE;0,OK;25000 SUCCEEDED");
}

ATTEMPTS_TEST_P(HedgingTest, AServerThatForbidsRetriesGetsNoHedgesEither) {
  const auto gate = StartBlocked();
  Answer answer = Answer::Error(StatusCode::UNAVAILABLE);
  answer.trailing_metadata = {{"grpc-retry-pushback-ms", "-1"}};
  server_.Push(answer);
  FinishBackoff();
  WaitUntil([&] { return Breaker(kUnary).permits.failures == 1; },
            "the hedge to fail");
  WaitUntil([&] { return env_.pending_timers() == 0; }, "the end of hedging");
  gate->Open();

  EXPECT_TRUE(Wait().status.ok()) << "the first goes on";
  EXPECT_EQ(server_.calls(), 2);
}

ATTEMPTS_TEST_P(HedgingTest, AnEmptyRetryBudgetAllowsNoHedge) {
  options_.retry_budget.per_channel = true;
  options_.retry_budget.ratio = 0.1;
  options_.retry_budget.min_retries_per_second = 0;
  const auto gate = StartBlocked();
  FinishBackoff();

  EXPECT_EQ(env_.pending_timers(), 0u);
  EXPECT_EQ(Permits(), "2 issued, 0 succeeded, 0 failed, 1 returned");
  gate->Open();
  EXPECT_TRUE(Wait().status.ok());
  EXPECT_EQ(server_.calls(), 1);
}

ATTEMPTS_TEST_P(HedgingTest, AHedgeThatWasRefusedIsNoDelayOfTheNext) {
  options_.retry_budget.per_channel = true;
  options_.retry_budget.ratio = 0.1;
  options_.retry_budget.min_retries_per_second = 0;
  auto gate = std::make_shared<Gate>();
  Answer fails = Answer::Error(StatusCode::UNAVAILABLE);
  fails.gate = gate;
  server_.Push(fails);
  Start();
  gate->WaitForArrivals(1);
  FinishBackoff();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(Call(Flavour::kSync, channel(), "more").status.ok());
  }
  gate->Open();

  EXPECT_TRUE(Wait().status.ok());
  EXPECT_EQ(History(), "UNAVAILABLE;0,OK;0 SUCCEEDED");
}

ATTEMPTS_TEST_P(HedgingTest, AFailureThatTheBudgetLetsNobodyHedgeIsTheLast) {
  options_.retry_budget.per_channel = true;
  options_.retry_budget.max_tokens = 1;
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  Start();

  EXPECT_EQ(Wait().status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(History(), "UNAVAILABLE;0 BUDGET");
}

ATTEMPTS_TEST_P(HedgingTest, AnOpenBreakerAllowsNoHedge) {
  policy().breaker.consecutive_failures = 1;
  const auto gate = StartBlocked();
  server_.Push(Answer::Error(StatusCode::INTERNAL));
  EXPECT_FALSE(Call(Flavour::kSync, channel(), "opens").status.ok());
  ASSERT_EQ(Breaker(kUnary).state, BreakerState::kOpen);
  FinishBackoff();
  gate->Open();

  EXPECT_TRUE(Wait().status.ok()) << "the first is under way";
  EXPECT_EQ(server_.calls(), 2);
  EXPECT_EQ(History(), "none");
}

ATTEMPTS_TEST_P(HedgingTest, ABreakerThatOpensDuringTheAttemptsEndsTheCall) {
  policy().breaker.consecutive_failures = 1;
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  Start();
  const CallResult result = Wait();

  EXPECT_TRUE(IsBreakerRejection(result.status))
      << result.status.error_message();
  EXPECT_EQ(History(), "UNAVAILABLE;0 BREAKER_OPEN");
}

ATTEMPTS_TEST_P(HedgingTest, ACallThatMayNotBeRepeatedIsRetriedAsAnyOther) {
  policy().idempotency = Idempotency::kAsDeclared;
  policy().retry.max_retries = 3;
  const auto gate = StartBlocked();
  EXPECT_EQ(env_.pending_timers(), 0u);
  gate->Open();
  EXPECT_TRUE(Wait().status.ok());

  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  Start();
  EXPECT_EQ(Wait().status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(History(), "UNAVAILABLE;0 NOT_REPEATABLE");
}

ATTEMPTS_TEST_P(HedgingTest, AHedgeThatCannotEndBeforeTheDeadlineIsNotMade) {
  policy().hedging.delay = absl::Minutes(6);
  const auto gate = StartBlocked([](grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() +
                          std::chrono::minutes(5));
  });
  FinishBackoff();  // gRPC goes by the real clock.

  EXPECT_EQ(env_.pending_timers(), 0u);
  gate->Open();
  EXPECT_TRUE(Wait().status.ok());
  EXPECT_EQ(server_.calls(), 1);
}

ATTEMPTS_TEST_P(HedgingTest, AHedgeIsTakenToLastAsLongAsTheRecentMedian) {
  for (int i = 0; i < 10; ++i) {
    const auto gate = StartBlocked();
    env_.Advance(absl::Seconds(2));
    gate->Open();
    ASSERT_TRUE(Wait().status.ok());
  }
  const auto gate = StartBlocked([](grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() +
                          std::chrono::seconds(11));
  });
  FinishBackoff();  // At 10 s; the hedge would take 2 s.

  EXPECT_EQ(env_.pending_timers(), 0u);
  gate->Open();
  EXPECT_TRUE(Wait().status.ok());
  EXPECT_EQ(server_.calls(), 11);
}

ATTEMPTS_TEST_P(HedgingTest, TheDeadlineEndsAllAttemptsAndIsOneFailure) {
  auto gate = std::make_shared<Gate>();
  server_.Push(3, Answer::Blocked(gate));
  policy().hedging.delay = absl::ZeroDuration();
  Start([](grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() +
                          std::chrono::milliseconds(300));
  });

  EXPECT_EQ(Wait().status.error_code(), StatusCode::DEADLINE_EXCEEDED);
  const PermitTotals permits = Breaker(kUnary).permits;
  EXPECT_EQ(permits.successes, 0u);
  EXPECT_LE(permits.failures, 1u);
  EXPECT_EQ(permits.issued,
            permits.failures + permits.ignored + permits.returned);
}

ATTEMPTS_TEST_P(HedgingTest, CancellingTheCallCancelsAllAttempts) {
  auto gate = std::make_shared<Gate>();
  server_.Push(2, Answer::Blocked(gate));
  policy().hedging.max_hedges = 2;
  Start();
  gate->WaitForArrivals(1);
  FinishBackoff();
  gate->WaitForArrivals(2);
  Cancel();

  EXPECT_EQ(Wait().status.error_code(), StatusCode::CANCELLED);
  gate->WaitForCancellations(2);
  EXPECT_EQ(History(), "CANCELLED;0,CANCELLED;10000 CANCELLED");
  WaitUntil([&] { return env_.pending_timers() == 0; }, "the end of hedging");
  EXPECT_EQ(server_.calls(), 2);
  const PermitTotals permits = Breaker(kUnary).permits;
  EXPECT_EQ(permits.issued, permits.ignored + permits.returned);
}

ATTEMPTS_TEST_P(HedgingTest, CancellingTheCallDuringAPushbackEndsIt) {
  Answer answer = Answer::Error(StatusCode::UNAVAILABLE);
  answer.trailing_metadata = {{"grpc-retry-pushback-ms", "25000"}};
  server_.Push(answer);
  Start();
  WaitUntil(
      [&] {
        return Breaker(kUnary).permits.failures == 1 &&
               env_.pending_timers() == 1;
      },
      "the pushback");
  Cancel();

  EXPECT_EQ(Wait().status.error_code(), StatusCode::CANCELLED);
  EXPECT_EQ(server_.calls(), 1);
}

ATTEMPTS_TEST_P(HedgingTest, TheHookForAttemptsHearsOfThoseThatLost) {
  std::mutex mutex;
  std::vector<std::string> heard;
  policy().on_attempt = [&](const FinishedAttempt& attempt) {
    const std::lock_guard<std::mutex> lock(mutex);
    heard.push_back(absl::StrCat(attempt.number, " ",
                                 attempt.status.error_code(),
                                 attempt.lost ? " lost" : "", " after ",
                                 absl::FormatDuration(attempt.delay), " took ",
                                 absl::FormatDuration(attempt.took)));
  };
  const auto gate = StartBlocked();
  FinishBackoff();
  EXPECT_TRUE(Wait().status.ok());

  const std::lock_guard<std::mutex> lock(mutex);
  EXPECT_THAT(heard,
              ElementsAre("1 1 lost after 0 took 10s", "2 0 after 10s took 0"));
}

ATTEMPTS_TEST_P(HedgingTest, TheDelayCanBeAPercentileOfRecentSuccesses) {
  policy().hedging.delay_percentile = 75;
  for (const int seconds : {1, 1, 1, 1, 4, 4, 4, 4, 8, 8}) {
    const auto gate = StartBlocked();
    env_.Advance(absl::Seconds(seconds));
    gate->Open();
    ASSERT_TRUE(Wait().status.ok());
    ASSERT_EQ(History(), "none") << "until it is known, the delay is 10 s";
  }
  const auto gate = StartBlocked();
  const absl::Duration delay = FinishBackoff();

  EXPECT_GT(delay, absl::Milliseconds(3700));
  EXPECT_LT(delay, absl::Milliseconds(4300));
  EXPECT_TRUE(Wait().status.ok());
}

// Else hedging would take its own successes for the rule, and the delay would
// sink with each call.
ATTEMPTS_TEST_P(HedgingTest, AFirstAttemptThatLostCountsForThePercentile) {
  policy().hedging.delay_percentile = 60;
  policy().hedging.delay = absl::Seconds(2);
  for (int i = 0; i < 12; ++i) {
    const auto gate = StartBlocked();
    EXPECT_GT(FinishBackoff(), absl::Milliseconds(1850)) << i;
    ASSERT_TRUE(Wait().status.ok());
    gate->WaitForCancellations(1);
  }
}

// It was not overtaken, so it says nothing of how long an answer takes.
ATTEMPTS_TEST_P(HedgingTest, AnAttemptThatAFailureEndedIsNotOfThePercentile) {
  policy().hedging.delay_percentile = 50;
  policy().hedging.delay = absl::Seconds(2);
  for (int i = 0; i < 12; ++i) {
    const auto first = StartBlocked();
    Answer fatal = Answer::Error(StatusCode::NOT_FOUND);
    fatal.gate = std::make_shared<Gate>();
    server_.Push(fatal);
    EXPECT_EQ(FinishBackoff(), absl::Seconds(2)) << i;
    fatal.gate->WaitForArrivals(1);
    env_.Advance(absl::Seconds(1));
    fatal.gate->Open();
    ASSERT_EQ(Wait().status.error_code(), StatusCode::NOT_FOUND);
    first->WaitForCancellations(1);
  }
}

// Those that lose are started late, and would pull the delay down.
ATTEMPTS_TEST_P(HedgingTest, AHedgeThatLostIsNotOfThePercentile) {
  policy().hedging.delay_percentile = 50;
  policy().hedging.delay = absl::Seconds(2);
  for (int i = 0; i < 12; ++i) {
    const auto first = StartBlocked();
    const auto second = PushBlocked();
    EXPECT_GT(FinishBackoff(), absl::Milliseconds(1850)) << i;
    second->WaitForArrivals(1);
    env_.Advance(absl::Seconds(1));
    first->Open();
    ASSERT_TRUE(Wait().status.ok());
    second->WaitForCancellations(1);
  }
}

ATTEMPTS_TEST_P(HedgingTest, AFallbackAnswersWhenAllAttemptsHaveFailed) {
  int attempts = 0;
  policy().hedging.max_hedges = 1;
  policy().fallback.function = [&](const FailedCall& call) {
    attempts = call.attempts;
    return FallbackResult{grpc::Status(StatusCode::NOT_FOUND, "fallback"), ""};
  };
  server_.Push(2, Answer::Error(StatusCode::UNAVAILABLE));
  Start();

  EXPECT_EQ(Wait().status.error_message(), "fallback");
  EXPECT_EQ(attempts, 2);
}

}  // namespace
}  // namespace grpc_breaker::e2e
