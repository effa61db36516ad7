// Orders of events that no real call can be made to have at will: our
// interceptor gets batches from the test instead of from gRPC. Its attempts go
// to a real server all the same.

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/call_history.h"
#include "grpc_breaker/call_stats.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/trailing_metadata.h"
#include "grpcpp/support/client_interceptor.h"
#include "tests/e2e/fake_batch.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/stream_flavours.h"
#include "tests/environments.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;
using ::grpc::experimental::Interceptor;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kStreamMethod[] = "/grpc_breaker.e2e.TestService/Bidi";

const std::set<Hook> kUnarySends = {Hook::PRE_SEND_INITIAL_METADATA,
                                    Hook::PRE_SEND_MESSAGE,
                                    Hook::PRE_SEND_CLOSE};
const std::set<Hook> kUnaryReceives = {Hook::PRE_RECV_INITIAL_METADATA,
                                       Hook::PRE_RECV_MESSAGE,
                                       Hook::PRE_RECV_STATUS};

class HookOrderTest : public E2eTest {
 protected:
  std::unique_ptr<PreparedCall> Prepare(bool stream = false) {
    return PrepareCall(options_, server_.target(), stream);
  }

  // A unary call whose result has somewhere to go.
  struct UnderWayCall {
    explicit UnderWayCall(HookOrderTest& test)
        : prepared(test.Prepare()),
          sends(test.Batch(kUnarySends)),
          receives(test.Batch(kUnaryReceives)) {
      prepared->interceptor->Intercept(&sends);
      prepared->interceptor->Intercept(&receives);
    }
    const std::unique_ptr<PreparedCall> prepared;
    FakeBatch sends;
    FakeBatch receives;
  };

  FakeBatch Batch(std::set<Hook> hooks) { return {bare_, std::move(hooks)}; }

  // How often calls ended in each way: "1 CANCELLED, 1 attempts".
  std::string CallsOf(const std::string& name) {
    const CallTotals totals =
        directory_.Registries().at(0)->Find(name)->call_totals();
    std::string text;
    for (const CallTotals::Series& series : totals.calls) {
      absl::StrAppend(&text, series.latency.count(), " ",
                      absl::StatusCodeToString(series.code), ", ");
    }
    uint64_t attempts = 0;
    for (const CallTotals::Series& series : totals.attempts) {
      attempts += series.latency.count();
    }
    return absl::StrCat(text, attempts, " attempts");
  }

  void Cancel(Interceptor& interceptor) { CancelAt(interceptor, bare_); }

  const std::shared_ptr<grpc::Channel> bare_ = BareChannel();
};

ATTEMPTS_TEST_F(HookOrderTest, ReceivesThatComeInsideHijackGetTheResult) {
  const auto call = Prepare();
  FakeBatch sends = Batch(kUnarySends);
  FakeBatch receives = Batch(kUnaryReceives);
  sends.on_hijack = [&] { call->interceptor->Intercept(&receives); };

  call->interceptor->Intercept(&sends);
  receives.WaitUntilProceeded();

  EXPECT_EQ(sends.hijacks, 1);
  EXPECT_EQ(sends.proceeds, 0);
  EXPECT_EQ(receives.proceeds, 1);
  EXPECT_EQ(receives.hijacks, 0);
  EXPECT_EQ(receives.failed_receives, 0);
  EXPECT_TRUE(receives.status.ok());
  EXPECT_EQ(receives.reply.text(), "hello");
}

ATTEMPTS_TEST_F(HookOrderTest, ReceivesInThreeBatchesBeforeTheResultGetIt) {
  const auto call = Prepare();
  auto gate = std::make_shared<Gate>();
  Answer answer = Answer::Blocked(gate);
  answer.initial_metadata = {{"first", "1"}};
  answer.trailing_metadata = {{"last", "2"}};
  server_.Push(answer);
  FakeBatch sends = Batch(kUnarySends);
  FakeBatch status = Batch({Hook::PRE_RECV_STATUS});
  FakeBatch message = Batch({Hook::PRE_RECV_MESSAGE});
  FakeBatch metadata = Batch({Hook::PRE_RECV_INITIAL_METADATA});

  call->interceptor->Intercept(&sends);
  for (FakeBatch* batch : {&status, &message, &metadata}) {
    call->interceptor->Intercept(batch);
  }
  gate->WaitForArrivals(1);
  for (FakeBatch* batch : {&status, &message, &metadata}) {
    EXPECT_EQ(batch->proceeds, 0);
  }
  gate->Open();
  for (FakeBatch* batch : {&status, &message, &metadata}) {
    batch->WaitUntilProceeded();
    EXPECT_EQ(batch->proceeds, 1);
  }

  EXPECT_TRUE(status.status.ok());
  EXPECT_EQ(status.trailing.count("last"), 1u);
  EXPECT_EQ(message.reply.text(), "hello");
  EXPECT_EQ(metadata.initial.count("first"), 1u);
}

ATTEMPTS_TEST_F(HookOrderTest, ReceivesInThreeBatchesAfterTheResultGetIt) {
  for (const bool fails : {false, true}) {
    const auto call = Prepare();
    if (fails) server_.Push(Answer::Error(StatusCode::NOT_FOUND));
    FakeBatch sends = Batch(kUnarySends);
    call->interceptor->Intercept(&sends);
    FakeBatch metadata = Batch({Hook::PRE_RECV_INITIAL_METADATA});
    FakeBatch message = Batch({Hook::PRE_RECV_MESSAGE});
    FakeBatch status = Batch({Hook::PRE_RECV_STATUS});
    call->interceptor->Intercept(&metadata);
    metadata.WaitUntilProceeded();  // So there is a result.

    call->interceptor->Intercept(&message);
    EXPECT_EQ(message.proceeds, 1);
    EXPECT_EQ(message.failed_receives, fails ? 1 : 0);
    call->interceptor->Intercept(&status);
    EXPECT_EQ(status.proceeds, 1);
    EXPECT_EQ(status.status.error_code(),
              fails ? StatusCode::NOT_FOUND : StatusCode::OK);
  }
}

ATTEMPTS_TEST_F(HookOrderTest, InterceptorMayBeDestroyedInsideItsLastProceed) {
  for (int i = 0; i < 100; ++i) {
    const auto call = Prepare();
    FakeBatch sends = Batch(kUnarySends);
    FakeBatch receives = Batch(kUnaryReceives);
    Slot<bool> destroyed;
    receives.on_proceed = [&] {
      call->interceptor.reset();
      destroyed.Put(true);
    };
    // Alternately before the result and, most of the time, after it.
    if (i % 2 == 0) {
      sends.on_hijack = [&] { call->interceptor->Intercept(&receives); };
      call->interceptor->Intercept(&sends);
    } else {
      call->interceptor->Intercept(&sends);
      server_.WaitForCalls(i + 1);
      call->interceptor->Intercept(&receives);
    }
    destroyed.Take("the destruction of the interceptor");
  }
}

TEST_F(HookOrderTest, CallThatIsRejectedMayBeDestroyedInsideItsFirstIntercept) {
  policy().breaker.consecutive_failures = 1;
  policy().retry.max_retries = 0;
  policy().on_final_failure = [](const FailedCall&) {};
  const auto call = Prepare();
  // Another call of the same registry opens the breaker.
  const auto registry = directory_.Registries().at(0);
  registry->FindOrCreate(kUnary)
      .breaker()
      .TryAcquire(env_.Now())
      .Record(Outcome::kFailure, env_.Now());
  FakeBatch sends = Batch(kUnarySends);
  FakeBatch receives = Batch(kUnaryReceives);
  receives.on_proceed = [&] { call->interceptor.reset(); };
  sends.on_hijack = [&] { call->interceptor->Intercept(&receives); };

  call->interceptor->Intercept(&sends);
  receives.WaitUntilProceeded();

  EXPECT_TRUE(IsBreakerRejection(receives.status));
  EXPECT_EQ(receives.failed_receives, 1);
  EXPECT_EQ(receives.initial.size(), 0u);
  EXPECT_EQ(server_.calls(), 0);
}

ATTEMPTS_TEST_F(HookOrderTest, CancelBeforeTheFirstBatchPreventsEveryAttempt) {
  const auto call = Prepare();
  Cancel(*call->interceptor);
  FakeBatch sends = Batch(kUnarySends);
  FakeBatch receives = Batch(kUnaryReceives);
  sends.on_hijack = [&] { call->interceptor->Intercept(&receives); };

  call->interceptor->Intercept(&sends);
  receives.WaitUntilProceeded();

  EXPECT_EQ(receives.status.error_code(), StatusCode::CANCELLED);
  EXPECT_EQ(receives.failed_receives, 1);
  EXPECT_EQ(server_.calls(), 0);
}

ATTEMPTS_TEST_F(HookOrderTest, CancelAfterTheLastBatchChangesNothing) {
  UnderWayCall call(*this);
  call.receives.WaitUntilProceeded();

  Cancel(*call.prepared->interceptor);

  EXPECT_TRUE(call.receives.status.ok());
  EXPECT_EQ(call.receives.proceeds, 1);
}

ATTEMPTS_TEST_F(HookOrderTest,
                CancelInABackoffDoesNotEndTheCallOnTheCancellingThread) {
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  UnderWayCall call(*this);
  WaitUntil([&] { return env_.pending_timers() == 1; }, "a backoff");

  Cancel(*call.prepared->interceptor);
  call.receives.WaitUntilProceeded();

  EXPECT_EQ(call.receives.status.error_code(), StatusCode::CANCELLED);
  EXPECT_NE(call.receives.proceeded_on.load(), std::this_thread::get_id());
}

ATTEMPTS_TEST_F(HookOrderTest, CancelThatRacesAFailedAttemptEndsInCancelled) {
  server_.SetDefault(Answer::Error(StatusCode::UNAVAILABLE));
  policy().breaker.enabled = false;
  for (int i = 0; i < 100; ++i) {
    const int calls = server_.calls();
    UnderWayCall call(*this);
    // About when the failure is on its way back.
    if (i % 2 == 0) server_.WaitForCalls(calls + 1);

    Cancel(*call.prepared->interceptor);
    call.receives.WaitUntilProceeded();

    EXPECT_EQ(call.receives.status.error_code(), StatusCode::CANCELLED);
    EXPECT_EQ(call.receives.proceeds, 1);
    EXPECT_EQ(env_.pending_timers(), 0u);
  }
}

ATTEMPTS_TEST_F(HookOrderTest, CancelThatRacesTheEndOfABackoffEndsTheCallOnce) {
  server_.SetDefault(Answer::Error(StatusCode::UNAVAILABLE));
  policy().breaker.enabled = false;
  for (int i = 0; i < 100; ++i) {
    UnderWayCall call(*this);
    WaitUntil([&] { return env_.pending_timers() == 1; }, "a backoff");

    std::thread clock([&] { env_.AdvanceToNextTimer(); });
    Cancel(*call.prepared->interceptor);
    clock.join();
    call.receives.WaitUntilProceeded();

    EXPECT_EQ(call.receives.status.error_code(), StatusCode::CANCELLED);
    EXPECT_EQ(call.receives.proceeds, 1);
  }
}

ATTEMPTS_TEST_F(HookOrderTest, CancelThatRacesASuccessEndsTheCallOnce) {
  for (int i = 0; i < 200; ++i) {
    const int calls = server_.calls();
    UnderWayCall call(*this);
    if (i % 2 == 0) server_.WaitForCalls(calls + 1);

    Cancel(*call.prepared->interceptor);
    call.receives.WaitUntilProceeded();

    EXPECT_EQ(call.receives.proceeds, 1);
    if (call.receives.status.ok()) {
      EXPECT_EQ(call.receives.reply.text(), "hello");
      EXPECT_EQ(call.receives.failed_receives, 0);
    } else {
      EXPECT_EQ(call.receives.status.error_code(), StatusCode::CANCELLED);
      EXPECT_EQ(call.receives.failed_receives, 1);
    }
  }
}

ATTEMPTS_TEST_F(HookOrderTest, CallThatNobodyWaitsForIsCancelled) {
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  const auto call = Prepare();
  FakeBatch sends = Batch(kUnarySends);
  call->interceptor->Intercept(&sends);
  gate->WaitForArrivals(1);

  call->interceptor.reset();

  EXPECT_EQ(Breaker(kUnary).permits_in_use, 0);
  EXPECT_EQ(CallsOf(kUnary), "1 CANCELLED, 1 attempts");
  gate->WaitForCancellations(1);
}

ATTEMPTS_TEST_F(HookOrderTest, CallThatNobodyWaitsForIsNotRetried) {
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  const auto call = Prepare();
  FakeBatch sends = Batch(kUnarySends);
  call->interceptor->Intercept(&sends);
  WaitUntil([&] { return env_.pending_timers() == 1; }, "a backoff");

  call->interceptor.reset();

  EXPECT_EQ(env_.pending_timers(), 0u);
  EXPECT_EQ(server_.calls(), 1);
  EXPECT_EQ(CallsOf(kUnary), "1 CANCELLED, 1 attempts");
}

// Whatever it has been given may go then.
ATTEMPTS_TEST_F(HookOrderTest, CallThatNobodyWaitsForDoesNothingAfterwards) {
  server_.SetDefault(Answer::Error(StatusCode::NOT_FOUND));
  absl::Notification in_hook;
  absl::Notification gone;
  bool outlived = false;
  policy().on_attempt = [&](const FinishedAttempt&) {
    in_hook.Notify();
    // What must not come can only be waited for by the clock.
    outlived = gone.WaitForNotificationWithTimeout(absl::Milliseconds(200));
  };
  const auto call = Prepare();
  FakeBatch sends = Batch(kUnarySends);
  call->interceptor->Intercept(&sends);
  in_hook.WaitForNotification();

  call->interceptor.reset();
  gone.Notify();

  EXPECT_FALSE(outlived);
}

// ---- What gRPC does not do

TEST_F(HookOrderTest, ReceivesBeforeTheStartProceed) {
  const auto call = Prepare();
  FakeBatch receives = Batch(kUnaryReceives);

  call->interceptor->Intercept(&receives);

  EXPECT_EQ(receives.proceeds, 1);
  EXPECT_EQ(receives.hijacks, 0);
  EXPECT_EQ(server_.calls(), 0);
}

ATTEMPTS_TEST_F(HookOrderTest, ResultIsDeliveredOnce) {
  server_.Push(Answer::Error(StatusCode::NOT_FOUND));
  UnderWayCall call(*this);
  call.receives.WaitUntilProceeded();
  FakeBatch again = Batch(kUnaryReceives);

  call.prepared->interceptor->Intercept(&again);

  EXPECT_EQ(again.proceeds, 1);
  EXPECT_TRUE(again.status.ok());  // As it was.
  EXPECT_EQ(again.trailing.size(), 0u);
}

TEST_F(HookOrderTest, BatchWithoutHooksProceeds) {
  for (const bool stream : {false, true}) {
    const auto call = Prepare(stream);
    FakeBatch empty = Batch({});

    call->interceptor->Intercept(&empty);

    EXPECT_EQ(empty.proceeds, 1);
    EXPECT_EQ(empty.hijacks, 0);
  }
}

// ---- Streams

class StreamHookOrderTest : public HookOrderTest {
 protected:
  std::unique_ptr<PreparedCall> PrepareRejected() {
    policy().breaker.consecutive_failures = 1;
    auto call = Prepare(/*stream=*/true);
    directory_.Registries()
        .at(0)
        ->FindOrCreate(kStreamMethod)
        .breaker()
        .TryAcquire(env_.Now())
        .Record(Outcome::kFailure, env_.Now());
    return call;
  }
};

TEST_F(StreamHookOrderTest, RejectionFailsWritesAndReadsOneByOne) {
  const auto call = PrepareRejected();
  FakeBatch start = Batch({Hook::PRE_SEND_INITIAL_METADATA});
  FakeBatch write = Batch({Hook::PRE_SEND_MESSAGE});
  FakeBatch close = Batch({Hook::PRE_SEND_CLOSE});
  FakeBatch read = Batch({Hook::PRE_RECV_MESSAGE});
  FakeBatch metadata = Batch({Hook::PRE_RECV_INITIAL_METADATA});
  FakeBatch status = Batch({Hook::PRE_RECV_STATUS});

  call->interceptor->Intercept(&start);
  EXPECT_EQ(start.hijacks, 1);
  EXPECT_EQ(start.proceeds, 0);
  for (FakeBatch* batch : {&write, &close, &read, &metadata, &status}) {
    call->interceptor->Intercept(batch);
    EXPECT_EQ(batch->proceeds, 1);
    EXPECT_EQ(batch->hijacks, 0);
  }

  EXPECT_EQ(write.failed_sends, 1);
  EXPECT_EQ(read.failed_receives, 1);
  EXPECT_TRUE(IsBreakerRejection(status.status));
}

TEST_F(StreamHookOrderTest, RejectionOfACorkedStreamReplacesTheCoresStatus) {
  const auto call = PrepareRejected();
  // Both reach the core: it has no initial metadata yet, and waits.
  FakeBatch early = Batch({Hook::PRE_RECV_INITIAL_METADATA});
  call->interceptor->Intercept(&early);
  FakeBatch early_status = Batch({Hook::PRE_RECV_STATUS});
  call->interceptor->Intercept(&early_status);
  EXPECT_EQ(early.proceeds, 1);
  EXPECT_EQ(early_status.proceeds, 1);

  FakeBatch start =
      Batch({Hook::PRE_SEND_INITIAL_METADATA, Hook::PRE_SEND_MESSAGE});
  call->interceptor->Intercept(&start);
  EXPECT_EQ(start.hijacks, 1);
  EXPECT_EQ(start.failed_sends, 1);

  FakeBatch end = Batch({Hook::POST_RECV_STATUS});
  end.status = grpc::Status(StatusCode::CANCELLED, "by the core");
  call->interceptor->Intercept(&end);

  EXPECT_EQ(end.proceeds, 1);
  EXPECT_TRUE(IsBreakerRejection(end.status)) << end.status.error_message();
}

TEST_F(StreamHookOrderTest, StatusIsRecordedOnceAndLateEventsChangeNothing) {
  const auto call = Prepare(/*stream=*/true);
  FakeBatch start = Batch({Hook::PRE_SEND_INITIAL_METADATA});
  call->interceptor->Intercept(&start);
  EXPECT_EQ(start.proceeds, 1);
  FakeBatch status = Batch({Hook::POST_RECV_STATUS});
  status.status = grpc::Status(StatusCode::UNAVAILABLE, "down");

  call->interceptor->Intercept(&status);
  Cancel(*call->interceptor);

  EXPECT_EQ(status.proceeds, 1);
  EXPECT_EQ(status.status.error_message(), "down");
  EXPECT_EQ(Breaker(kStreamMethod).counts.failures, 1);
}

// ---- Corked streams that end before they begin

// Something happens as the time is asked for.
class EventfulEnvironment final : public DelegatingEnvironment {
 public:
  MonotonicTime Now() override {
    if (const auto event = std::exchange(on_now, nullptr)) event();
    return DelegatingEnvironment::Now();
  }

  std::function<void()> on_now;  // The next time.
};

class EarlyEndTest : public StreamHookOrderTest {
 protected:
  EarlyEndTest() {
    options_.environment = &eventful_;
    policy().on_final_failure = [this](const FailedCall& call) {
      told_.push_back(HistoryText(call.history));
    };
  }

  // What the core says of a stream that it was not asked to begin.
  void EndByDeadline(PreparedCall& call) {
    status_.status =
        grpc::Status(StatusCode::DEADLINE_EXCEEDED, "Deadline Exceeded");
    call.interceptor->Intercept(&status_);
  }

  void ExpectEndedByDeadlineOnce() {
    EXPECT_EQ(status_.proceeds, 1);
    EXPECT_EQ(status_.status.error_code(), StatusCode::DEADLINE_EXCEEDED);
    EXPECT_EQ(HistoryText(CallHistoryOf(status_.status)), " DEADLINE");
    EXPECT_EQ(status_.trailing.count(kAttemptsKey), 1u);
    EXPECT_THAT(told_, ElementsAre(" DEADLINE"));
    EXPECT_EQ(CallsOf(kStreamMethod), "1 DEADLINE_EXCEEDED, 0 attempts");
  }

  EventfulEnvironment eventful_;
  FakeBatch start_ =
      Batch({Hook::PRE_SEND_INITIAL_METADATA, Hook::PRE_SEND_MESSAGE});
  FakeBatch status_ = Batch({Hook::POST_RECV_STATUS});
  std::vector<std::string> told_;
};

TEST_F(EarlyEndTest, TellsOfNoAttempt) {
  const auto call = Prepare(/*stream=*/true);

  EndByDeadline(*call);
  call->interceptor->Intercept(&start_);

  ExpectEndedByDeadlineOnce();
  EXPECT_EQ(start_.proceeds, 1);
  EXPECT_EQ(start_.hijacks, 0);
  EXPECT_EQ(Breaker(kStreamMethod).permits.issued, 0u);
}

TEST_F(EarlyEndTest, OfACancelledStreamIsNoFailureForTheHook) {
  const auto call = Prepare(/*stream=*/true);
  Cancel(*call->interceptor);
  status_.status = grpc::Status(StatusCode::CANCELLED, "by the caller");

  call->interceptor->Intercept(&status_);

  EXPECT_EQ(HistoryText(CallHistoryOf(status_.status)), " CANCELLED");
  EXPECT_EQ(CallsOf(kStreamMethod), "1 CANCELLED, 0 attempts");
  EXPECT_EQ(Breaker(kStreamMethod).counts.calls(), 0);
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(EarlyEndTest, WhileTheBreakerIsAskedGivesItsPermitBack) {
  const auto call = Prepare(/*stream=*/true);
  eventful_.on_now = [&] { EndByDeadline(*call); };

  call->interceptor->Intercept(&start_);

  ExpectEndedByDeadlineOnce();
  EXPECT_EQ(start_.proceeds, 1);
  EXPECT_EQ(Breaker(kStreamMethod).permits.issued, 1u);
  EXPECT_EQ(Breaker(kStreamMethod).permits.returned, 1u);
}

TEST_F(EarlyEndTest, WhileTheBreakerRefusesIsAllThatIsTold) {
  const auto call = PrepareRejected();
  eventful_.on_now = [&] { EndByDeadline(*call); };

  call->interceptor->Intercept(&start_);

  ExpectEndedByDeadlineOnce();
  EXPECT_EQ(start_.proceeds, 1);
  EXPECT_EQ(start_.hijacks, 0);
}

TEST_F(EarlyEndTest, AfterTheBreakerHasRefusedTellsThat) {
  std::unique_ptr<PreparedCall> call;
  policy().on_final_failure = [&](const FailedCall&) { EndByDeadline(*call); };
  call = PrepareRejected();

  call->interceptor->Intercept(&start_);

  EXPECT_TRUE(IsBreakerRejection(status_.status));
  EXPECT_EQ(status_.trailing.count(kRejectedKey), 1u);
  EXPECT_EQ(start_.hijacks, 1);
  EXPECT_EQ(CallsOf(kStreamMethod), "1 UNAVAILABLE, 0 attempts");
}

TEST_F(StreamHookOrderTest, InterceptorMayBeDestroyedInsideItsLastProceed) {
  auto call = Prepare(/*stream=*/true);
  FakeBatch start = Batch({Hook::PRE_SEND_INITIAL_METADATA});
  call->interceptor->Intercept(&start);
  FakeBatch status = Batch({Hook::POST_RECV_STATUS});
  status.on_proceed = [&] { call->interceptor.reset(); };

  call->interceptor->Intercept(&status);

  EXPECT_EQ(status.proceeds, 1);
  EXPECT_EQ(Breaker(kStreamMethod).counts.successes, 1);
}

// A synchronous unary call that runs natively: the application is told
// UNIMPLEMENTED, although the status is OK.
TEST_F(HookOrderTest, OkWithoutAMessageIsSeenAsTheApplicationSeesIt) {
  policy().retry.max_retries = 0;
  const auto call = Prepare();
  const auto registry = directory_.Registries().at(0);
  FakeBatch sends = Batch(kUnarySends);
  call->interceptor->Intercept(&sends);
  ASSERT_EQ(sends.proceeds, 1);
  FakeBatch end = Batch({Hook::POST_RECV_MESSAGE, Hook::POST_RECV_STATUS});
  end.has_message = false;

  call->interceptor->Intercept(&end);

  const auto error = registry->Find(kUnary)->last_error();
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code, StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace grpc_breaker::e2e
