// Deadlines, time-outs and durations: whose they are, and what they say of the
// server. timing_test steps the wall clock of its own process.

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "grpc/support/time.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/raw_server.h"
#include "tests/e2e/stream_flavours.h"

namespace {

std::atomic<int64_t> wall_clock_step_s{0};

}  // namespace

// Instead of the C library's, for gRPC as well.
extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const int result = static_cast<int>(syscall(SYS_clock_gettime, clock, time));
  if (result == 0 && clock == CLOCK_REALTIME) {
    time->tv_sec += wall_clock_step_s.load(std::memory_order_relaxed);
  }
  return result;
}

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;
using std::chrono::milliseconds;
using WallClock = std::chrono::system_clock;

class TimingTest : public E2eTest {
 protected:
  ~TimingTest() override { wall_clock_step_s = 0; }
};

// ---- Deadlines

// Ways to say "in so long", and one that comes from the policy.
enum class Kind { kWall, kMonotonic, kSpan, kPolicy };

class DeadlineKindTest : public TimingTest,
                         public ::testing::WithParamInterface<Kind> {
 protected:
  Configure In(milliseconds duration) {
    const gpr_timespec span =
        gpr_time_from_millis(duration.count(), GPR_TIMESPAN);
    switch (GetParam()) {
      case Kind::kWall:
        return [=](grpc::ClientContext* context) {
          context->set_deadline(WallClock::now() + duration);
        };
      case Kind::kMonotonic:
        return [=](grpc::ClientContext* context) {
          context->set_deadline(
              gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), span));
        };
      case Kind::kSpan:
        return
            [=](grpc::ClientContext* context) { context->set_deadline(span); };
      case Kind::kPolicy:
        policy().timeout = absl::FromChrono(duration);
        break;
    }
    return nullptr;
  }
};

ATTEMPTS_TEST_P(DeadlineKindTest,
                StepOfTheWallClockForwardDoesNotBringItNearer) {
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  policy().retry.base_delay = absl::Milliseconds(1);
  const Configure configure = In(std::chrono::minutes(10));
  auto call = StartCall(Flavour::kQueue, MakeChannel(), "hello", configure);
  WaitUntil([&] { return env_.pending_timers() > 0; }, "a backoff");

  wall_clock_step_s = 3600;
  FinishBackoff();

  EXPECT_EQ(call->Wait().status.error_code(), StatusCode::OK);
}

ATTEMPTS_TEST_P(DeadlineKindTest, StepOfTheWallClockBackDoesNotPutItOff) {
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  server_.SetDefault(Answer::Blocked(gate));
  policy().retry.base_delay = absl::Milliseconds(1);
  const Configure configure = In(std::chrono::seconds(2));
  auto call = StartCall(Flavour::kQueue, MakeChannel(), "hello", configure);
  WaitUntil([&] { return env_.pending_timers() > 0; }, "a backoff");

  wall_clock_step_s = -3600;
  FinishBackoff();

  // Or the watchdog ends this.
  EXPECT_EQ(call->Wait().status.error_code(), StatusCode::DEADLINE_EXCEEDED);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeadlineKindTest);
INSTANTIATE_TEST_SUITE_P(Kinds, DeadlineKindTest,
                         ::testing::Values(Kind::kWall, Kind::kMonotonic,
                                           Kind::kSpan, Kind::kPolicy));

TEST_F(TimingTest, DeadlinesInAThousandYearsAndNeverAreNone) {
  const auto channel = MakeChannel();
  for (const gpr_timespec deadline :
       {gpr_timespec{32'503'680'000, 0, GPR_CLOCK_REALTIME},
        gpr_timespec{253'402'300'800, 0, GPR_CLOCK_REALTIME},
        gpr_inf_future(GPR_CLOCK_REALTIME), gpr_inf_future(GPR_CLOCK_MONOTONIC),
        gpr_inf_future(GPR_TIMESPAN)}) {
    EXPECT_TRUE(Call(Flavour::kQueue, channel, "hello",
                     [&](grpc::ClientContext* context) {
                       context->set_deadline(deadline);
                     })
                    .status.ok())
        << deadline.tv_sec;
  }
}

TEST_F(TimingTest, CallWhoseDeadlineHasPassedSaysNothingAboutTheServer) {
  const auto in_the_past = [](grpc::ClientContext* context) {
    context->set_deadline(WallClock::now() - std::chrono::seconds(1));
  };
  int told = 0;
  for (const int retries : {0, 3}) {
    policy().retry.max_retries = retries;
    if (retries > 0) policy().on_final_failure = [&](auto&) { ++told; };
    const auto channel = MakeChannel();
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(Call(Flavour::kQueue, channel, "late", in_the_past)
                    .status.error_code(),
                StatusCode::DEADLINE_EXCEEDED);
    }
    EXPECT_EQ(Breaker(kUnary).permits.issued, 0u);
  }
  EXPECT_EQ(told, 10);

  const auto channel = MakeChannel();
  for (const StreamFlavour& flavour : AllStreamFlavours()) {
    auto stream = StartStream(flavour, channel, in_the_past);
    EXPECT_EQ(RunStream(*stream, flavour.kind, {"a"}).call.status.error_code(),
              StatusCode::DEADLINE_EXCEEDED);
    EXPECT_EQ(Breaker(MethodOf(flavour.kind)).permits.issued, 0u);
  }
  EXPECT_GT(told, 10);
  EXPECT_EQ(server_.calls(), 0);
}

TEST_F(TimingTest, CallWhoseDeadlineHasPassedIsNotRefusedEither) {
  policy().retry.max_retries = 0;
  policy().breaker.consecutive_failures = 1;
  const auto channel = MakeChannel();
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  EXPECT_FALSE(Call(Flavour::kSync, channel, "opens").status.ok());

  EXPECT_EQ(
      Call(Flavour::kSync, channel, "late",
           [](grpc::ClientContext* context) {
             context->set_deadline(WallClock::now() - std::chrono::seconds(1));
           })
          .status.error_code(),
      StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(Breaker(kUnary).rejections, 0u);
}

TEST_F(TimingTest, DeadlineThatTheServerTellsOfIsItsAnswerAndNotRetried) {
  for (const bool limited : {false, true}) {
    if (limited) policy().attempt_timeout = absl::Minutes(10);
    server_.Push(Answer::Error(StatusCode::DEADLINE_EXCEEDED, "my own limit"));

    const CallResult result = Call(Flavour::kQueue, MakeChannel(), "hello");

    EXPECT_EQ(result.status.error_message(), "my own limit");
    EXPECT_EQ(env_.pending_timers(), 0u);
  }
  EXPECT_EQ(server_.calls(), 2);
}

// It sees the deadline of the attempt, and may be the first to act on it.
ATTEMPTS_TEST_F(TimingTest, AttemptTimeoutThatTheServerTellsOfIsRetried) {
  policy().attempt_timeout = absl::Minutes(10);
  auto gate = std::make_shared<Gate>();
  Answer answer = Answer::Error(StatusCode::DEADLINE_EXCEEDED);
  answer.gate = gate;
  server_.Push(answer);
  auto call = StartCall(Flavour::kQueue, MakeChannel(), "hello");
  gate->WaitForArrivals(1);

  env_.Advance(absl::Minutes(10) - absl::Milliseconds(10));
  gate->Open();
  FinishBackoff();

  EXPECT_TRUE(call->Wait().status.ok());
  EXPECT_EQ(server_.calls(), 2);
}

TEST_F(TimingTest, AttemptThatEndsAfterTheDeadlineWasEndedByThat) {
  policy().attempt_timeout = absl::Minutes(10);
  auto gate = std::make_shared<Gate>();
  Answer answer = Answer::Error(StatusCode::DEADLINE_EXCEEDED);
  answer.gate = gate;
  server_.Push(answer);
  auto call = StartCall(
      Flavour::kQueue, MakeChannel(), "hello",
      [](grpc::ClientContext* context) {
        context->set_deadline(WallClock::now() + std::chrono::hours(1));
      });
  gate->WaitForArrivals(1);

  env_.Advance(absl::Hours(2));
  gate->Open();

  EXPECT_EQ(HistoryText(CallHistoryOf(call->Wait().status)),
            "DEADLINE_EXCEEDED;0 NOT_RETRYABLE");
}

TEST_F(TimingTest, LimitOfTheServerShortlyBeforeThatOfTheAttemptIsNotRetried) {
  policy().attempt_timeout = absl::Minutes(10);
  auto gate = std::make_shared<Gate>();
  Answer answer = Answer::Error(StatusCode::DEADLINE_EXCEEDED, "my own limit");
  answer.gate = gate;
  server_.Push(answer);
  auto call = StartCall(Flavour::kQueue, MakeChannel(), "hello");
  gate->WaitForArrivals(1);

  env_.Advance(absl::Minutes(10) - absl::Milliseconds(11));
  gate->Open();

  EXPECT_EQ(call->Wait().status.error_message(), "my own limit");
  EXPECT_EQ(server_.calls(), 1);
}

// ---- The time-out of a policy, for calls that run natively

// The application's context goes while the time is up; run by sanitizers, too.
TEST_F(TimingTest, TimeoutThatRacesTheEndOfItsCallTouchesNothingOfIt) {
  options_.environment = &Environment::Default();
  policy().retry.max_retries = 0;
  policy().breaker.enabled = false;
  policy().timeout = absl::Milliseconds(2);
  Answer answer;
  std::atomic<int> number{0};
  answer.handler = [&](grpc::ServerContext&) {
    std::this_thread::sleep_for(
        std::chrono::microseconds(1500 + number++ * 37 % 1000));
    return grpc::Status::OK;
  };
  server_.SetDefault(answer);
  const auto channel = MakeChannel();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      const auto stub = TestService::NewStub(channel);
      for (int i = 0; i < 200; ++i) {
        auto context = std::make_unique<grpc::ClientContext>();
        Reply reply;
        const grpc::Status status =
            stub->Unary(context.get(), Request(), &reply);
        EXPECT_TRUE(status.ok() ||
                    status.error_code() == StatusCode::DEADLINE_EXCEEDED)
            << status.error_message();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  // The server of gRPC 1.83 sometimes crashes when it is shut down with
  // handlers of calls that have ended.
  WaitUntil(
      [this] {
        return server_.received().size() ==
               static_cast<size_t>(server_.calls());
      },
      "the last handlers");
}

// ---- A parent call that ends

class ParentTest : public TimingTest {
 protected:
  ParentTest() {
    Answer answer;
    answer.handler = [this](grpc::ServerContext& server_context) {
      const auto context =
          grpc::ClientContext::FromServerContext(server_context);
      Reply reply;
      inner_.Put(TestService::NewStub(channel_)->Unary(context.get(), Request(),
                                                       &reply));
      return grpc::Status::OK;
    };
    middle_.SetDefault(answer);
    server_.SetDefault(Answer::Error(StatusCode::UNAVAILABLE));
  }

  std::unique_ptr<UnderWay> StartOuter(const Configure& configure = nullptr) {
    return StartCall(Flavour::kQueue,
                     grpc::CreateChannel(middle_.target(),
                                         grpc::InsecureChannelCredentials()),
                     "hello", configure);
  }

  // The backoff ends on a clock that stands still.
  void ExpectItsCancellationToEndABackoff() {
    auto call = StartOuter();
    WaitUntil([&] { return env_.pending_timers() == 1; }, "a backoff");

    call->Cancel();

    EXPECT_EQ(inner_.Take("the inner call").error_code(),
              StatusCode::CANCELLED);
    EXPECT_EQ(call->Wait().status.error_code(), StatusCode::CANCELLED);
    EXPECT_EQ(env_.pending_timers(), 0u);
    EXPECT_EQ(server_.calls(), 1);
  }

  const std::shared_ptr<grpc::Channel> channel_ = MakeChannel();
  Slot<grpc::Status> inner_;
  TestServer middle_;
};

ATTEMPTS_TEST_F(ParentTest, ThatIsCancelledEndsABackoffAtOnce) {
  ExpectItsCancellationToEndABackoff();
  EXPECT_EQ(Breaker(kUnary).counts.calls(), 1);
}

ATTEMPTS_TEST_F(ParentTest, WhoseDeadlinePassesEndsABackoffAtOnce) {
  auto call = StartOuter([](grpc::ClientContext* context) {
    context->set_deadline(WallClock::now() + milliseconds(500));
  });

  // The caller may tell the middle to give up before its own time is up.
  EXPECT_THAT(
      inner_.Take("the inner call").error_code(),
      ::testing::AnyOf(StatusCode::CANCELLED, StatusCode::DEADLINE_EXCEEDED));
  EXPECT_EQ(call->Wait().status.error_code(), StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(env_.pending_timers(), 0u);
}

ATTEMPTS_TEST_F(ParentTest, ThatEndsEndsTheBackoffOfAStreamAtOnce) {
  policy().stream_retry.enabled = true;
  const auto channel = MakeChannel();
  Answer answer;
  answer.handler = [&](grpc::ServerContext& server_context) {
    const auto context = grpc::ClientContext::FromServerContext(server_context);
    const auto reader =
        TestService::NewStub(channel)->ServerStream(context.get(), Request());
    Reply reply;
    EXPECT_FALSE(reader->Read(&reply));
    inner_.Put(reader->Finish());
    return grpc::Status::OK;
  };
  middle_.SetDefault(answer);
  server_.SetDefault(Answer::ErrorAtOnce(StatusCode::UNAVAILABLE));
  ExpectItsCancellationToEndABackoff();
}

ATTEMPTS_TEST_F(ParentTest, ThatGoesOnLetsBackoffsEnd) {
  server_.SetDefault(Answer());
  server_.Push(2, Answer::Error(StatusCode::UNAVAILABLE));
  auto call = StartOuter();
  FinishBackoff();
  FinishBackoff();

  EXPECT_TRUE(inner_.Take("the inner call").ok());
  EXPECT_TRUE(call->Wait().status.ok());
  EXPECT_EQ(server_.calls(), 3);
}

// ---- Streams that last

class LongStreamTest : public TimingTest {
 protected:
  LongStreamTest() {
    policy().breaker.consecutive_failures = 5;
    policy().breaker.failure_rate = 0;
    policy().breaker.slow_call = absl::Seconds(1);
    policy().breaker.slow_rate = 0.5;
    policy().breaker.minimum_calls = 1;
  }

  void Open(StreamKind kind) {
    const auto channel = this->channel();
    server_.Push(5, Answer::Error(StatusCode::UNAVAILABLE));
    for (int i = 0; i < 5; ++i) {
      auto stream = StartStream({kind, StreamApi::kSync}, channel);
      EXPECT_FALSE(RunStream(*stream, kind, {"a"}).call.status.ok());
    }
    EXPECT_EQ(Breaker(MethodOf(kind)).state, BreakerState::kOpen);
  }

  const std::shared_ptr<grpc::Channel>& channel() {
    if (channel_ == nullptr) channel_ = MakeChannel();
    return channel_;
  }

  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(LongStreamTest, IsNoSlowCallIfItsFirstMessageCameInTime) {
  for (const StreamApi api :
       {StreamApi::kSync, StreamApi::kQueue, StreamApi::kReactor}) {
    auto stream = StartStream({StreamKind::kBidi, api}, channel());
    stream->Write("a");
    EXPECT_TRUE(stream->Read().has_value());
    env_.Advance(absl::Minutes(30));
    stream->WritesDone();
    EXPECT_FALSE(stream->Read().has_value());
    EXPECT_TRUE(stream->Finish().status.ok());

    const BreakerSnapshot breaker = Breaker(MethodOf(StreamKind::kBidi));
    EXPECT_EQ(breaker.state, BreakerState::kClosed);
    EXPECT_EQ(breaker.counts.slow, 0);
  }
}

TEST_F(LongStreamTest, IsASlowCallIfItsFirstMessageCameLate) {
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  auto stream = StartStream({StreamKind::kServer, StreamApi::kReactor},
                            channel(), nullptr);
  stream->Write("a", /*last=*/true);
  gate->WaitForArrivals(1);
  env_.Advance(absl::Minutes(1));
  gate->Open();
  while (stream->Read().has_value()) {
  }
  EXPECT_TRUE(stream->Finish().status.ok());

  EXPECT_EQ(Breaker(MethodOf(StreamKind::kServer)).state, BreakerState::kOpen);
}

TEST_F(LongStreamTest, OfTheClientIsNeverASlowCall) {
  auto stream = StartStream({StreamKind::kClient, StreamApi::kSync}, channel());
  stream->Write("a");
  env_.Advance(absl::Minutes(30));
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().status.ok());

  EXPECT_EQ(Breaker(MethodOf(StreamKind::kClient)).state,
            BreakerState::kClosed);
}

TEST_F(LongStreamTest, IsASuccessfulProbeOnceItsFirstMessageHasCome) {
  policy().breaker.half_open_successes = 1;
  Open(StreamKind::kBidi);
  env_.Advance(absl::Seconds(60));

  auto stream = StartStream({StreamKind::kBidi, StreamApi::kQueue}, channel());
  stream->Write("a");
  EXPECT_TRUE(stream->Read().has_value());

  EXPECT_EQ(Breaker(MethodOf(StreamKind::kBidi)).state, BreakerState::kClosed);
  stream->Cancel();
  EXPECT_EQ(stream->Finish().status.error_code(), StatusCode::CANCELLED);
  EXPECT_EQ(Breaker(MethodOf(StreamKind::kBidi)).state, BreakerState::kClosed);
}

TEST_F(LongStreamTest, ThatItsReaderCancelsAfterAMessageIsASuccess) {
  for (const StreamApi api :
       {StreamApi::kSync, StreamApi::kQueue, StreamApi::kReactor}) {
    const int64_t before =
        Breaker(MethodOf(StreamKind::kBidi)).counts.successes;
    auto stream = StartStream({StreamKind::kBidi, api}, channel());
    stream->Write("a");
    EXPECT_TRUE(stream->Read().has_value());
    stream->Cancel();
    EXPECT_EQ(stream->Finish().status.error_code(), StatusCode::CANCELLED);

    EXPECT_EQ(Breaker(MethodOf(StreamKind::kBidi)).counts.successes,
              before + 1);
  }
  EXPECT_EQ(LastClass(MethodOf(StreamKind::kBidi)), "");
}

TEST_F(LongStreamTest, ThatFailsAfterAMessageIsAFailureAllTheSame) {
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  auto stream = StartStream({StreamKind::kBidi, StreamApi::kSync}, channel());
  stream->Write("a");
  EXPECT_TRUE(stream->Read().has_value());
  stream->WritesDone();
  EXPECT_EQ(stream->Finish().status.error_code(), StatusCode::UNAVAILABLE);

  EXPECT_EQ(Breaker(MethodOf(StreamKind::kBidi)).counts.failures, 1);
}

// A server that answers with headers, and with the rest when it is told to.
class SilentStreamTest : public LongStreamTest {
 protected:
  SilentStreamTest()
      : server_([this](RawCall call) {
          call.SendHeaders(ResponseHeaders());
          call_.Put(call);
        }) {}

  // Until its initial metadata have come.
  void Start() {
    stub_ = TestService::NewStub(MakeChannelTo(server_.target()));
    reader_ = stub_->ServerStream(&context_, Request());
    reader_->WaitForInitialMetadata();
  }

  grpc::Status Finish() {
    Reply reply;
    EXPECT_FALSE(reader_->Read(&reply));
    return reader_->Finish();
  }

  grpc::ClientContext context_;
  Slot<RawCall> call_;
  RawServer server_;
  std::unique_ptr<TestService::Stub> stub_;
  std::unique_ptr<grpc::ClientReader<Reply>> reader_;
};

TEST_F(SilentStreamTest, IsNoSlowCallIfItsInitialMetadataCameInTime) {
  Start();
  env_.Advance(absl::Minutes(30));
  call_.Take("the call").SendTrailers(StatusTrailers(0));

  EXPECT_TRUE(Finish().ok());
  EXPECT_EQ(Breaker(MethodOf(StreamKind::kServer)).counts.successes, 1);
  EXPECT_EQ(Breaker(MethodOf(StreamKind::kServer)).counts.slow, 0);
}

TEST_F(SilentStreamTest, ThatItsReaderCancelsIsASuccess) {
  Start();
  context_.TryCancel();

  EXPECT_EQ(Finish().error_code(), StatusCode::CANCELLED);
  EXPECT_EQ(Breaker(MethodOf(StreamKind::kServer)).counts.successes, 1);
}

}  // namespace
}  // namespace grpc_breaker::e2e
