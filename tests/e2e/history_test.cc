// What a call tells of its attempts: in the details of its status, in trailing
// metadata, and to hooks.

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/call_history.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/trailing_metadata.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/stream_flavours.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class HistoryTest : public E2eTest,
                    public ::testing::WithParamInterface<UnaryWay> {
 protected:
  HistoryTest() { GoBy(GetParam(), policy()); }

  // What the call that was started last tells, when it has ended: by its
  // status and by its context, which tell the same.
  void Start(const Configure& configure = nullptr) {
    if (channel_ == nullptr) channel_ = MakeChannel();
    call_ = StartCall(GetParam().flavour, channel_, "hello",
                      [&](grpc::ClientContext* context) {
                        context_ = context;
                        if (configure != nullptr) configure(context);
                      });
  }
  std::string Told() {
    result_ = call_->Wait();
    const std::string told = HistoryText(CallHistoryOf(*context_));
    if (!result_.status.ok()) {
      EXPECT_EQ(HistoryText(CallHistoryOf(result_.status)), told);
    }
    return told;
  }
  void Fail(int times, StatusCode code = StatusCode::UNAVAILABLE) {
    server_.Push(times, Answer::Error(code));
  }

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<UnderWay> call_;
  grpc::ClientContext* context_ = nullptr;
  CallResult result_;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(HistoryTest);
INSTANTIATE_TEST_SUITE_P(Flavours, HistoryTest,
                         ::testing::ValuesIn(AllUnaryWays()),
                         [](const auto& info) { return ToString(info.param); });

TEST_P(HistoryTest, CallThatSucceedsAtOnceCarriesNothing) {
  Start();
  EXPECT_EQ(Told(), "none");
  EXPECT_THAT(result_.trailing_metadata, IsEmpty());
}

ATTEMPTS_TEST_P(HistoryTest, RetriedSuccessTellsWhatWasBefore) {
  Fail(2);
  Start();
  FinishBackoff();
  FinishBackoff();
  EXPECT_EQ(Told(), "UNAVAILABLE;0,UNAVAILABLE;10000,OK;20000 SUCCEEDED");
  EXPECT_TRUE(result_.status.ok());
}

ATTEMPTS_TEST_P(HistoryTest, ExhaustionTellsAllAttempts) {
  policy().retry.max_retries = 1;
  Fail(1);
  Fail(1, StatusCode::RESOURCE_EXHAUSTED);
  Start();
  FinishBackoff();
  EXPECT_EQ(Told(), "UNAVAILABLE;0,RESOURCE_EXHAUSTED;10000 EXHAUSTED");
}

TEST_P(HistoryTest, FailureThatNoRetryMendsSaysSo) {
  Fail(1, StatusCode::NOT_FOUND);
  Start();
  EXPECT_EQ(Told(), "NOT_FOUND;0 NOT_RETRYABLE");
}

TEST_P(HistoryTest, CallThatComesTooLateHadNoAttempt) {
  Start([](grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() -
                          std::chrono::seconds(1));
  });
  EXPECT_EQ(Told(), " DEADLINE");
}

ATTEMPTS_TEST_P(HistoryTest, CallThatMayNotBeRepeatedSaysSo) {
  policy().idempotency = Idempotency::kAsDeclared;
  Fail(1);
  Start();
  EXPECT_EQ(Told(), "UNAVAILABLE;0 NOT_REPEATABLE");
}

ATTEMPTS_TEST_P(HistoryTest, ServerThatForbidsRetriesIsNamed) {
  Answer answer = Answer::Error(StatusCode::UNAVAILABLE);
  answer.trailing_metadata = {{"grpc-retry-pushback-ms", "-1"}};
  server_.Push(answer);
  Start();
  EXPECT_EQ(Told(), "UNAVAILABLE;0 PUSHBACK");
}

ATTEMPTS_TEST_P(HistoryTest, EmptyBudgetIsNamed) {
  options_.retry_budget.max_tokens = 2;
  Fail(1);
  Start();
  EXPECT_EQ(Told(), "UNAVAILABLE;0 BUDGET");
}

ATTEMPTS_TEST_P(HistoryTest, DeadlineThatLeavesNoTimeIsNamed) {
  Fail(1);
  Start([](grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() +
                          std::chrono::seconds(9));
  });
  EXPECT_EQ(Told(), "UNAVAILABLE;0 DEADLINE");
}

// The backoff would fit, but not the attempt after it.
ATTEMPTS_TEST_P(HistoryTest, DeadlineBeforeTheUsualEndOfAnAttemptIsNamed) {
  Answer slow;
  slow.handler = [this](grpc::ServerContext&) {
    env_.Advance(absl::Seconds(3));
    return grpc::Status();
  };
  server_.Push(20, slow);
  for (int i = 0; i < 20; ++i) {
    Start();
    EXPECT_EQ(Told(), "none");
  }
  const auto start_with_12_seconds = [this] {
    Fail(1);
    Start([](grpc::ClientContext* context) {
      context->set_deadline(std::chrono::system_clock::now() +
                            std::chrono::seconds(12));
    });
  };

  start_with_12_seconds();
  EXPECT_EQ(Told(), "UNAVAILABLE;0 DEADLINE");

  // What was long ago says nothing of today.
  env_.Advance(absl::Hours(1));
  start_with_12_seconds();
  FinishBackoff();
  EXPECT_EQ(Told(), "UNAVAILABLE;0,OK;10000 SUCCEEDED");
}

ATTEMPTS_TEST_P(HistoryTest, BreakerThatOpensIsNamedAfterTheAttempts) {
  policy().breaker.consecutive_failures = 2;
  Fail(2);
  Start();
  FinishBackoff();
  FinishBackoff();
  EXPECT_EQ(Told(), "UNAVAILABLE;0,UNAVAILABLE;10000 BREAKER_OPEN");

  Start();
  EXPECT_EQ(Told(), " BREAKER_OPEN");
}

ATTEMPTS_TEST_P(HistoryTest, WaitForABreakerIsPartOfTheDelay) {
  policy().wait_when_rejected = true;
  policy().retry.max_retries = 2;
  policy().breaker.consecutive_failures = 1;
  Fail(1);
  Start();
  FinishBackoff();  // Its end is too early for the breaker.
  FinishBackoff();
  EXPECT_EQ(Told(), "UNAVAILABLE;0,OK;60000 SUCCEEDED");
}

ATTEMPTS_TEST_P(HistoryTest, CancellationIsNamed) {
  Fail(1);
  Start();
  WaitUntil([this] { return env_.pending_timers() > 0; }, "a backoff");
  call_->Cancel();
  EXPECT_EQ(Told(), "UNAVAILABLE;0 CANCELLED");
}

// Before the backoff has begun.
ATTEMPTS_TEST_P(HistoryTest, CancellationByTheHookForAttemptsIsNamed) {
  policy().on_attempt = [this](const FinishedAttempt&) {
    context_->TryCancel();
  };
  Fail(1);
  Start();
  EXPECT_EQ(Told(), "UNAVAILABLE;0 CANCELLED");
  EXPECT_EQ(server_.calls(), 1);
}

ATTEMPTS_TEST_P(HistoryTest, FallbacksErrorTellsTheAttempts) {
  policy().retry.max_retries = 0;
  policy().fallback =
      Fallback::Fixed(grpc::Status(StatusCode::DATA_LOSS, "of the fallback"));
  Fail(1);
  Start();
  EXPECT_EQ(Told(), "UNAVAILABLE;0 EXHAUSTED");
  EXPECT_EQ(result_.status.error_code(), StatusCode::DATA_LOSS);
}

ATTEMPTS_TEST_P(HistoryTest, FallbacksReplyTellsTheAttempts) {
  policy().retry.max_retries = 0;
  policy().fallback = Fallback::Reply(Reply());
  Fail(1);
  Start();
  EXPECT_EQ(Told(), "UNAVAILABLE;0 EXHAUSTED");
  EXPECT_TRUE(result_.status.ok());
}

ATTEMPTS_TEST_P(HistoryTest, HookIsToldIt) {
  policy().retry.max_retries = 1;
  Slot<FailedCall> failed;
  policy().on_final_failure = [&](const FailedCall& call) { failed.Put(call); };
  Fail(2);
  Start();
  FinishBackoff();
  const std::string told = Told();
  EXPECT_EQ(HistoryText(failed.Take("the hook").history), told);
}

ATTEMPTS_TEST_P(HistoryTest, EveryAttemptIsToldWhenItHasEnded) {
  absl::Mutex mutex;
  std::vector<std::string> told;
  policy().on_attempt = [&](const FinishedAttempt& attempt) {
    internal::MutexLock lock(mutex);
    told.push_back(absl::StrCat(attempt.method, " ", attempt.number, ": ",
                                attempt.status.error_code(), " ",
                                ToString(attempt.error.category), " ",
                                absl::FormatDuration(attempt.delay), " ",
                                absl::FormatDuration(attempt.took)));
  };
  Answer slow = Answer::Error(StatusCode::UNAVAILABLE);
  slow.handler = [this](grpc::ServerContext&) {
    env_.Advance(absl::Seconds(3));
    return grpc::Status(StatusCode::UNAVAILABLE, "");
  };
  server_.Push(slow);

  Start();
  FinishBackoff();
  Told();
  Start();
  Told();

  EXPECT_THAT(told, ElementsAre(absl::StrCat(kUnary, " 1: 14 TRANSIENT 0 3s"),
                                absl::StrCat(kUnary, " 2: 0 NONE 10s 0"),
                                absl::StrCat(kUnary, " 1: 0 NONE 0 0")));
}

ATTEMPTS_TEST_P(HistoryTest, HookForAttemptsMayThrow) {
  policy().on_attempt = [](const FinishedAttempt&) {
    throw std::runtime_error("by the application");
  };
  Fail(1);
  Start();
  FinishBackoff();
  EXPECT_EQ(Told(), "UNAVAILABLE;0,OK;10000 SUCCEEDED");
}

// ---- Calls of one attempt, whose only one is their own

class OneAttemptTest : public E2eTest,
                       public ::testing::WithParamInterface<StreamFlavour> {
 protected:
  OneAttemptTest() {
    policy().on_attempt = [this](const FinishedAttempt& attempt) {
      attempts_.push_back(
          absl::StrCat(attempt.number, ": ", attempt.status.error_code()));
    };
  }

  // Of a stream.
  std::unique_ptr<Stream> StartIt(const Configure& configure = nullptr) {
    if (channel_ == nullptr) channel_ = MakeChannel();
    return StartStream(GetParam(), channel_, configure);
  }
  CallResult CallIt() { return RunIt(*StartIt()); }
  static CallResult RunIt(Stream& stream) {
    return RunStream(stream, GetParam().kind, {"a"}).call;
  }

  std::vector<std::string> attempts_;
  std::shared_ptr<grpc::Channel> channel_;
};

INSTANTIATE_TEST_SUITE_P(Flavours, OneAttemptTest,
                         ::testing::ValuesIn(AllStreamFlavours()),
                         [](const auto& info) { return ToString(info.param); });

TEST_P(OneAttemptTest, FailureOfAStreamTellsIt) {
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  server_.Push(Answer::Error(StatusCode::NOT_FOUND));

  CallResult result = CallIt();
  EXPECT_EQ(HistoryText(CallHistoryOf(result.status)),
            "UNAVAILABLE;0 EXHAUSTED");
  EXPECT_EQ(ValueOf(result.trailing_metadata, kStoppedKey), "EXHAUSTED");
  result = CallIt();
  EXPECT_EQ(HistoryText(CallHistoryOf(result.status)),
            "NOT_FOUND;0 NOT_RETRYABLE");

  EXPECT_THAT(attempts_, ElementsAre("1: 14", "1: 5"));
}

TEST_P(OneAttemptTest, SuccessOfAStreamTellsTheHookAlone) {
  const CallResult result = CallIt();
  EXPECT_TRUE(result.status.ok());
  EXPECT_THAT(result.trailing_metadata, IsEmpty());
  EXPECT_THAT(attempts_, ElementsAre("1: 0"));
}

TEST_P(OneAttemptTest, RefusedStreamHadNone) {
  policy().breaker.consecutive_failures = 1;
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  CallIt();
  attempts_.clear();

  const CallResult result = CallIt();

  EXPECT_EQ(HistoryText(CallHistoryOf(result.status)), " BREAKER_OPEN");
  EXPECT_EQ(ValueOf(result.trailing_metadata, kAttemptsKey), "0");
  EXPECT_TRUE(IsBreakerRejection(result.status));
  EXPECT_THAT(attempts_, IsEmpty());
}

TEST_P(OneAttemptTest, StreamThatComesTooLateHadNone) {
  for (const bool retried : {false, true}) {
    SCOPED_TRACE(retried);
    Slot<FailedCall> failed;
    policy().stream_retry.enabled = retried;
    policy().on_final_failure = [&](const FailedCall& call) {
      failed.Put(call);
    };
    channel_ = MakeChannel();
    const auto stream = StartIt([](grpc::ClientContext* context) {
      context->set_deadline(std::chrono::system_clock::now() -
                            std::chrono::seconds(1));
    });
    std::string told;
    const auto wait = [&] {
      told = HistoryText(failed.Take("the hook").history);
    };
    // The core ends such a stream before it begins.
    const bool ends_early =
        GetParam().corked && GetParam().api == StreamApi::kReactor;

    if (ends_early) wait();
    const CallResult result = RunIt(*stream);
    if (!ends_early) wait();

    EXPECT_EQ(result.status.error_code(), StatusCode::DEADLINE_EXCEEDED);
    EXPECT_EQ(HistoryText(CallHistoryOf(result.status)), " DEADLINE");
    EXPECT_EQ(ValueOf(result.trailing_metadata, kAttemptsKey), "0");
    EXPECT_EQ(told, " DEADLINE");
    EXPECT_FALSE(failed.has_value());
    EXPECT_THAT(attempts_, IsEmpty());
  }
}

}  // namespace
}  // namespace grpc_breaker::e2e
