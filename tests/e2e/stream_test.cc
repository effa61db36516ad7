// Streaming calls of every kind and flavour, over a real server: the breaker
// admits, rejects and records them, and there are no retries, for which see
// stream_retry_test.cc.

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/trailing_metadata.h"
#include "grpcpp/generic/generic_stub.h"
#include "tests/e2e/eager_reactor.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/queue.h"
#include "tests/e2e/stream_flavours.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class StreamFixture : public E2eTest {
 protected:
  const std::shared_ptr<grpc::Channel>& channel() {
    if (channel_ == nullptr) channel_ = MakeChannel();
    return channel_;
  }

  // Has the breaker of the kind's method opened by one failure.
  void OpenBreaker(StreamKind kind) {
    policy().breaker.consecutive_failures = 1;
    server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
    const auto stream = StartStream({kind, StreamApi::kSync}, channel());
    ASSERT_EQ(RunStream(*stream, kind, {"opens"}).call.status.error_code(),
              StatusCode::UNAVAILABLE);
    ASSERT_EQ(Breaker(MethodOf(kind)).state, BreakerState::kOpen);
    ASSERT_EQ(server_.calls(), 1);
  }

  void ExpectRejected(const CallResult& result) {
    EXPECT_EQ(result.status.error_code(), StatusCode::UNAVAILABLE);
    EXPECT_TRUE(IsBreakerRejection(result.status))
        << result.status.error_message();
    EXPECT_EQ(ValueOf(result.trailing_metadata, kRejectedKey), "OPEN");
    EXPECT_EQ(ValueOf(result.trailing_metadata, kRetryAfterKey), "60000");
    EXPECT_EQ(WithoutHistory(result.trailing_metadata).size(), 2u);
    EXPECT_TRUE(result.initial_metadata.empty());
    EXPECT_TRUE(result.finished_ok);
    EXPECT_EQ(server_.calls(), 1);
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

struct StreamCase : StreamFlavour {
  // The policy asks for retries, but says of no call that it may be repeated.
  bool retries = false;
};

class StreamTest : public StreamFixture,
                   public ::testing::WithParamInterface<StreamCase> {
 protected:
  StreamTest() {
    if (!GetParam().retries) return;
    policy().stream_retry.enabled = true;
    policy().idempotency = Idempotency::kAsDeclared;
  }

  StreamKind kind() const { return GetParam().kind; }
  std::string method() const { return MethodOf(kind()); }

  std::unique_ptr<Stream> StartIt(const Configure& configure = nullptr) {
    return StartStream(GetParam(), channel(), configure);
  }
  StreamResult RunIt(const std::vector<std::string>& texts) {
    const std::unique_ptr<Stream> stream = StartIt();
    return RunStream(*stream, kind(), texts);
  }

  // Started so far that its initial metadata is on the way.
  std::unique_ptr<Stream> StartSending(const Configure& configure = nullptr) {
    std::unique_ptr<Stream> stream = StartIt(configure);
    if (kind() != StreamKind::kServer) stream->Write("first");
    return stream;
  }
};

std::vector<StreamCase> AllCases() {
  std::vector<StreamCase> cases;
  for (const bool retries : {false, true}) {
    for (const StreamFlavour& flavour : AllStreamFlavours()) {
      cases.push_back({flavour, retries});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Flavours, StreamTest, ::testing::ValuesIn(AllCases()),
                         [](const auto& info) {
                           return absl::StrCat(
                               ToString(info.param),
                               info.param.retries ? "Retried" : "");
                         });

TEST_P(StreamTest, SuccessPassesAllMessagesAndIsCountedOnce) {
  Answer answer;
  answer.initial_metadata = {{"first", "1"}};
  answer.trailing_metadata = {{"last", "2"}};
  server_.Push(answer);

  const StreamResult result = RunIt({"a", "b"});

  EXPECT_TRUE(result.call.status.ok()) << result.call.status.error_message();
  EXPECT_TRUE(result.all_written);
  if (kind() == StreamKind::kClient) {
    EXPECT_EQ(result.call.text, "ab");
  } else if (kind() == StreamKind::kServer) {
    EXPECT_THAT(result.replies, ElementsAre("hello", "hello", "hello"));
  } else {
    EXPECT_THAT(result.replies, ElementsAre("a", "b"));
  }
  EXPECT_EQ(ValueOf(result.call.initial_metadata, "first"), "1");
  EXPECT_EQ(ValueOf(result.call.trailing_metadata, "last"), "2");
  EXPECT_EQ(result.call.trailing_metadata.size(), 1u);
  EXPECT_EQ(Breaker(method()).counts.successes, 1);
  EXPECT_EQ(Breaker(method()).counts.failures, 0);
}

TEST_P(StreamTest, FailureIsRecordedAtTheFinalStatusAndNotRetried) {
  auto gate = std::make_shared<Gate>();
  Answer failure = Answer::Error(StatusCode::UNAVAILABLE, "down");
  failure.gate = gate;
  server_.Push(failure);
  const std::unique_ptr<Stream> stream = StartSending();
  gate->WaitForArrivals(1);
  EXPECT_EQ(Breaker(method()).counts.calls(), 0);

  gate->Open();
  const StreamResult result = RunStream(*stream, kind(), {});

  EXPECT_EQ(result.call.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(result.call.status.error_message(), "down");
  EXPECT_EQ(Breaker(method()).counts.failures, 1);
  EXPECT_EQ(Breaker(method()).counts.successes, 0);
  EXPECT_EQ(server_.calls(), 1);
  EXPECT_EQ(env_.pending_timers(), 0u);
}

TEST_P(StreamTest, ClientsFaultCountsAsSuccess) {
  server_.Push(Answer::Error(StatusCode::INVALID_ARGUMENT));

  const StreamResult result = RunIt({"a"});

  EXPECT_EQ(result.call.status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Breaker(method()).counts.successes, 1);
  EXPECT_EQ(Breaker(method()).counts.failures, 0);
}

TEST_P(StreamTest, CancelledStreamSaysNothingAboutTheServer) {
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  const std::unique_ptr<Stream> stream = StartSending();
  gate->WaitForArrivals(1);

  stream->Cancel();
  EXPECT_EQ(stream->Read(), std::nullopt);
  const CallResult result = stream->Finish();

  EXPECT_EQ(result.status.error_code(), StatusCode::CANCELLED);
  gate->WaitForCancellations(1);
  EXPECT_EQ(Breaker(method()).counts.calls(), 0);
}

TEST_P(StreamTest, CancelBeforeTheStartSaysNothingAboutTheServer) {
  const std::unique_ptr<Stream> stream =
      StartSending([](grpc::ClientContext* context) { context->TryCancel(); });
  const CallResult result = stream->Finish();

  EXPECT_EQ(result.status.error_code(), StatusCode::CANCELLED);
  EXPECT_EQ(Breaker(method()).counts.calls(), 0);
}

TEST_P(StreamTest, ExpiredDeadlineIsAFailure) {
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  const std::unique_ptr<Stream> stream =
      StartSending([](grpc::ClientContext* context) {
        context->set_deadline(std::chrono::system_clock::now() +
                              std::chrono::milliseconds(100));
      });
  EXPECT_EQ(stream->Read(), std::nullopt);

  EXPECT_EQ(stream->Finish().status.error_code(),
            StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(Breaker(method()).counts.failures, 1);
}

TEST_P(StreamTest, PolicyTimeoutEndsTheStreamAsADeadlineDoes) {
  policy().timeout = absl::Hours(1);
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  const std::unique_ptr<Stream> stream = StartSending();
  gate->WaitForArrivals(1);

  env_.Advance(absl::Hours(1));
  EXPECT_EQ(stream->Read(), std::nullopt);

  EXPECT_EQ(stream->Finish().status.error_code(),
            StatusCode::DEADLINE_EXCEEDED);
  gate->WaitForCancellations(1);
  EXPECT_EQ(Breaker(method()).counts.failures, 1);
}

TEST_P(StreamTest, PolicyTimeoutGoesWithItsStream) {
  policy().timeout = absl::Hours(1);

  EXPECT_TRUE(RunIt({"a"}).call.status.ok());
  StartSending().reset();

  EXPECT_EQ(env_.pending_timers(), 0u);
}

TEST_P(StreamTest, AbandonedStreamReturnsItsPermit) {
  policy().breaker.half_open_permits = 1;
  OpenBreaker(kind());
  env_.Advance(absl::Seconds(60));
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  std::unique_ptr<Stream> stream = StartSending();
  gate->WaitForArrivals(1);
  ASSERT_EQ(Breaker(method()).state, BreakerState::kHalfOpen);
  ASSERT_EQ(Breaker(method()).permits_in_use, 1);

  stream.reset();

  EXPECT_EQ(Breaker(method()).permits_in_use, 0);
  EXPECT_TRUE(RunIt({"a"}).call.status.ok());
}

TEST_P(StreamTest, ProbesThatSucceedCloseTheBreaker) {
  OpenBreaker(kind());
  env_.Advance(absl::Seconds(60));

  EXPECT_TRUE(RunIt({"a"}).call.status.ok());
  EXPECT_EQ(Breaker(method()).state, BreakerState::kHalfOpen);
  EXPECT_TRUE(RunIt({"a"}).call.status.ok());
  EXPECT_EQ(Breaker(method()).state, BreakerState::kClosed);
}

TEST_P(StreamTest, RejectedStreamFailsEveryOperationAndCarriesNoMessage) {
  OpenBreaker(kind());

  const StreamResult result = RunIt({"a", "b"});

  ExpectRejected(result.call);
  EXPECT_THAT(result.replies, IsEmpty());
  EXPECT_EQ(result.all_written, kind() == StreamKind::kServer);
  EXPECT_EQ(Breaker(method()).rejections, 1u);
}

TEST_P(StreamTest, RejectedStreamCanBeFinishedAtOnce) {
  OpenBreaker(kind());

  const std::unique_ptr<Stream> stream = StartSending();

  ExpectRejected(stream->Finish());
}

TEST_P(StreamTest, RejectedStreamCanEndWithItsOnlyWrite) {
  if (kind() == StreamKind::kServer) GTEST_SKIP() << "writes nothing";
  OpenBreaker(kind());

  const std::unique_ptr<Stream> stream = StartIt();
  EXPECT_FALSE(stream->Write("only", /*last=*/true));
  EXPECT_EQ(stream->Read(), std::nullopt);

  ExpectRejected(stream->Finish());
}

TEST_P(StreamTest, RejectedStreamCanEndWithoutAMessage) {
  if (GetParam().corked && GetParam().api == StreamApi::kSync) {
    GTEST_SKIP() << "hangs on a bare channel too: nothing takes the metadata";
  }
  OpenBreaker(kind());

  ExpectRejected(RunIt({}).call);
}

TEST_P(StreamTest, RejectedStreamReadsNothingHoweverOftenItIsAsked) {
  OpenBreaker(kind());

  const std::unique_ptr<Stream> stream = StartSending();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(stream->Read(), std::nullopt);

  ExpectRejected(stream->Finish());
}

TEST_P(StreamTest, RejectedStreamCanBeCancelled) {
  OpenBreaker(kind());

  const std::unique_ptr<Stream> stream = StartSending();
  stream->Cancel();
  EXPECT_EQ(stream->Read(), std::nullopt);
  const CallResult result = stream->Finish();

  EXPECT_FALSE(result.status.ok());
  EXPECT_EQ(server_.calls(), 1);
}

TEST_P(StreamTest, RejectedStreamCanBeAbandoned) {
  OpenBreaker(kind());

  StartSending();

  EXPECT_EQ(Breaker(method()).rejections, 1u);
  env_.Advance(absl::Seconds(60));
  EXPECT_TRUE(RunIt({"a"}).call.status.ok());
}

TEST_P(StreamTest, FinalFailureHookRunsOnceAndFallbacksNever) {
  Slot<FailedCall> seen;
  policy().on_final_failure = [&](const FailedCall& call) {
    EXPECT_FALSE(seen.has_value());
    seen.Put(call);
  };
  policy().fallback = Fallback::Fixed(grpc::Status::OK);
  server_.Push(Answer::Error(StatusCode::INTERNAL, "broken"));

  EXPECT_EQ(RunIt({"a"}).call.status.error_code(), StatusCode::INTERNAL);

  const FailedCall call = seen.Take("the hook");
  EXPECT_EQ(call.method, method());
  EXPECT_EQ(call.request, nullptr);
  EXPECT_EQ(call.status.error_message(), "broken");
  EXPECT_EQ(call.attempts, 1);
  EXPECT_FALSE(call.rejected);
}

TEST_P(StreamTest, ManyMessagesPassInOrder) {
  std::vector<std::string> texts;
  std::string joined;
  for (int i = 0; i < 100; ++i) {
    texts.push_back(std::to_string(i) + ";");
    joined += texts.back();
  }

  const StreamResult result = RunIt(texts);

  EXPECT_TRUE(result.call.status.ok());
  if (kind() == StreamKind::kClient) {
    EXPECT_EQ(result.call.text, joined);
  } else if (kind() == StreamKind::kBidi) {
    EXPECT_EQ(result.replies, texts);
  } else {
    EXPECT_EQ(result.replies.size(), 3u);
  }
}

// A reader and a writer at once, as bidi applications do it.
TEST_F(StreamFixture, RejectedBidiEndsReaderAndWriterOnTwoThreads) {
  OpenBreaker(StreamKind::kBidi);
  const auto stub = TestService::NewStub(channel());
  for (int i = 0; i < 100; ++i) {
    grpc::ClientContext context;
    const auto stream = stub->Bidi(&context);
    Slot<bool> read;
    std::thread reader([&] {
      Reply reply;
      read.Put(stream->Read(&reply));
    });
    Request request;
    while (stream->Write(request)) {
    }
    EXPECT_FALSE(read.Take("Read of a rejected stream"));
    reader.join();
    EXPECT_TRUE(IsBreakerRejection(stream->Finish()));
  }
  EXPECT_EQ(server_.calls(), 1);
}

TEST_F(StreamFixture, EagerReactorsSucceedCorkedOrNot) {
  for (const bool corked : {false, true}) {
    EagerReactor reactor(channel(), corked);
    const StreamResult result = reactor.Wait();

    EXPECT_TRUE(result.call.status.ok()) << result.call.status.error_message();
    EXPECT_THAT(result.replies, ElementsAre("eager"));
  }
  EXPECT_EQ(Breaker(MethodOf(StreamKind::kBidi)).counts.successes, 2);
}

TEST_F(StreamFixture, EagerReactorsAreRejectedCorkedOrNot) {
  OpenBreaker(StreamKind::kBidi);
  for (int i = 0; i < 50; ++i) {
    for (const bool corked : {false, true}) {
      EagerReactor reactor(channel(), corked);
      const StreamResult result = reactor.Wait();

      ExpectRejected(result.call);
      EXPECT_THAT(result.replies, IsEmpty());
      EXPECT_FALSE(result.all_written);
    }
  }
}

// Tells of the first batch that has passed ours.
class BatchSeer final
    : public grpc::experimental::ClientInterceptorFactoryInterface,
      public grpc::experimental::Interceptor {
 public:
  explicit BatchSeer(absl::Notification* seen) : seen_(seen) {}

  Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* /*info*/) override {
    return new BatchSeer(seen_);
  }
  void Intercept(grpc::experimental::InterceptorBatchMethods* batch) override {
    if (!seen_->HasBeenNotified()) seen_->Notify();
    batch->Proceed();
  }

 private:
  absl::Notification* const seen_;
};

// Its read has reached the core, and would wait there for ever.
TEST_F(StreamFixture, ReadThatComesWhileACorkedStreamIsRefusedEnds) {
  for (const bool retried : {false, true}) {
    absl::Notification refused;
    absl::Notification passed;
    policy().stream_retry.enabled = retried;
    policy().on_final_failure = [&](const FailedCall& call) {
      EXPECT_TRUE(call.rejected);
      refused.Notify();
      passed.WaitForNotification();
    };
    FactoryList after;
    after.push_back(std::make_unique<BatchSeer>(&passed));
    const auto channel = MakeChannelBetween({}, std::move(after));
    ManualState open;
    open.state = BreakerState::kForcedOpen;
    ASSERT_TRUE(directory_.Registries()
                    .at(0)
                    ->FindOrCreate(MethodOf(StreamKind::kBidi))
                    .breaker()
                    .SetManualState(open)
                    .ok());
    const auto stream = StartStream(
        {StreamKind::kBidi, StreamApi::kSync, /*corked=*/true}, channel);

    std::thread writer([&] { EXPECT_FALSE(stream->Write("first")); });
    refused.WaitForNotification();
    EXPECT_EQ(stream->Read(), std::nullopt);
    writer.join();

    EXPECT_TRUE(IsBreakerRejection(stream->Finish().status));
  }
}

class GenericBidi {
 public:
  explicit GenericBidi(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(channel),
        stream_(stub_.PrepareCall(&context_, MethodOf(StreamKind::kBidi),
                                  queue_.get())) {
    stream_->StartCall(this);
    queue_.Next(this, "the start of a generic stream");
  }

  StreamResult Run() {
    StreamResult result;
    stream_->Write(grpc::ByteBuffer(&empty_, 1), this);
    result.all_written = queue_.Next(this, "a generic Write");
    stream_->WritesDone(this);
    queue_.Next(this, "a generic WritesDone");
    grpc::ByteBuffer reply;
    for (;;) {
      stream_->Read(&reply, this);
      if (!queue_.Next(this, "a generic Read")) break;
      result.replies.emplace_back();
    }
    grpc::Status status;
    stream_->Finish(&status, this);
    const bool ok = queue_.Next(this, "a generic Finish");
    result.call = ResultOf(context_, status);
    result.call.finished_ok = ok;
    return result;
  }

 private:
  grpc::Slice empty_;  // A Request without text.
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  Queue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

TEST_F(StreamFixture, GenericStreamSucceeds) {
  const StreamResult result = GenericBidi(channel()).Run();

  EXPECT_TRUE(result.call.status.ok()) << result.call.status.error_message();
  EXPECT_EQ(result.replies.size(), 1u);
  EXPECT_EQ(Breaker(MethodOf(StreamKind::kBidi)).counts.successes, 1);
}

TEST_F(StreamFixture, GenericStreamIsRejected) {
  OpenBreaker(StreamKind::kBidi);

  const StreamResult result = GenericBidi(channel()).Run();

  ExpectRejected(result.call);
  EXPECT_THAT(result.replies, IsEmpty());
  EXPECT_FALSE(result.all_written);
}

}  // namespace
}  // namespace grpc_breaker::e2e
