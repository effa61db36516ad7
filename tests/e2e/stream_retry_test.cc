// Streaming calls that are retried until they commit, of every kind and
// flavour, over a real server.

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/call_history.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/retry/replay_bytes.h"
#include "grpc_breaker/trailing_metadata.h"
#include "grpcpp/generic/generic_stub.h"
#include "tests/e2e/eager_reactor.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/probe_listener.h"
#include "tests/e2e/queue.h"
#include "tests/e2e/reserved_port.h"
#include "tests/e2e/stream_flavours.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class StreamRetryFixture : public E2eTest {
 protected:
  StreamRetryFixture() { policy().stream_retry.enabled = true; }

  const std::shared_ptr<grpc::Channel>& channel() {
    if (channel_ == nullptr) {
      // So that servers see how many attempts there were before.
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
      channel_ = MakeChannel(arguments);
    }
    return channel_;
  }

  // Runs `function` while backoffs are brought to their end.
  template <typename Function>
  auto WithBackoffs(int backoffs, Function function) {
    Slot<decltype(function())> result;
    std::thread thread([&] { result.Put(function()); });
    for (int i = 0; i < backoffs; ++i) FinishBackoff();
    auto value = result.Take("a stream with backoffs");
    thread.join();
    EXPECT_EQ(env_.pending_timers(), 0u);
    return value;
  }

  std::vector<std::string> ReceivedTexts() {
    std::vector<std::string> texts;
    for (const ReceivedCall& call : server_.received()) {
      texts.push_back(call.text);
    }
    return texts;
  }

  std::vector<std::string> PreviousAttempts() {
    std::vector<std::string> numbers;
    for (const ReceivedCall& call : server_.received()) {
      numbers.push_back(ValueOf(call.metadata, "grpc-previous-rpc-attempts"));
    }
    return numbers;
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

class StreamRetryTest : public StreamRetryFixture,
                        public ::testing::WithParamInterface<StreamFlavour> {
 protected:
  StreamKind kind() const { return GetParam().kind; }
  std::string method() const { return MethodOf(kind()); }

  std::unique_ptr<Stream> StartIt(const Configure& configure = nullptr) {
    return StartStream(GetParam(), channel(), configure);
  }
  StreamResult RunIt(const std::vector<std::string>& texts, int backoffs = 0,
                     const Configure& configure = nullptr) {
    return WithBackoffs(backoffs, [&] {
      return RunStream(*StartIt(configure), kind(), texts);
    });
  }

  void OpenBreaker() {
    policy().breaker.consecutive_failures = 1;
    policy().breaker.half_open_permits = 1;
    policy().breaker.half_open_successes = 1;
    server_.Push(Answer::ErrorAtTheEnd(StatusCode::INTERNAL));
    RunIt({"opens"});
    ASSERT_EQ(Breaker(method()).state, BreakerState::kOpen);
  }

  // Started so far that its initial metadata is on the way.
  std::unique_ptr<Stream> StartSending(const Configure& configure = nullptr) {
    std::unique_ptr<Stream> stream = StartIt(configure);
    if (kind() != StreamKind::kServer) stream->Write("first");
    return stream;
  }

  void ExpectNotRetried(const StreamResult& result) {
    EXPECT_EQ(result.call.status.error_code(), StatusCode::UNAVAILABLE);
    EXPECT_TRUE(result.call.finished_ok);
    EXPECT_THAT(WithoutHistory(result.call.trailing_metadata), IsEmpty());
    const std::optional<CallHistory> history =
        CallHistoryOf(result.call.status);
    ASSERT_TRUE(history.has_value());
    EXPECT_EQ(history->attempts.size(), 1u);
    EXPECT_EQ(ToString(history->stopped),
              ValueOf(result.call.trailing_metadata, kStoppedKey));
    EXPECT_EQ(server_.calls(), 1);
    EXPECT_EQ(Breaker(method()).counts.failures, 1);
    EXPECT_EQ(Breaker(method()).counts.successes, 0);
  }

  std::string Joined(const std::vector<std::string>& texts) const {
    if (kind() == StreamKind::kServer) return "hello";
    std::string joined;
    for (const std::string& text : texts) joined += text;
    return joined;
  }

  // That the default answer to `texts` has come.
  void ExpectAnswered(const StreamResult& result,
                      const std::vector<std::string>& texts) {
    EXPECT_TRUE(result.call.status.ok()) << result.call.status.error_message();
    EXPECT_TRUE(result.all_written);
    if (kind() == StreamKind::kClient) {
      EXPECT_EQ(result.call.text, Joined(texts));
    } else if (kind() == StreamKind::kServer) {
      EXPECT_THAT(result.replies, ElementsAre("hello", "hello", "hello"));
    } else {
      EXPECT_EQ(result.replies, texts);
    }
  }
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StreamRetryTest);
INSTANTIATE_TEST_SUITE_P(Flavours, StreamRetryTest,
                         ::testing::ValuesIn(AllStreamFlavours()),
                         [](const auto& info) { return ToString(info.param); });

ATTEMPTS_TEST_P(StreamRetryTest, SuccessIsAsWithoutRetries) {
  Answer answer;
  answer.initial_metadata = {{"first", "1"}};
  answer.trailing_metadata = {{"last", "2"}};
  server_.Push(answer);

  const StreamResult result = RunIt({"a", "b"});

  ExpectAnswered(result, {"a", "b"});
  EXPECT_EQ(ValueOf(result.call.initial_metadata, "first"), "1");
  EXPECT_EQ(ValueOf(result.call.trailing_metadata, "last"), "2");
  EXPECT_EQ(result.call.trailing_metadata.size(), 1u);
  EXPECT_THAT(PreviousAttempts(), ElementsAre(""));
  EXPECT_EQ(Breaker(method()).counts.successes, 1);
  EXPECT_EQ(Breaker(method()).counts.failures, 0);
}

ATTEMPTS_TEST_P(StreamRetryTest, RetriesWhatFailsAtOnceAndReplaysAllInOrder) {
  server_.Push(2, Answer::ErrorAtOnce(StatusCode::UNAVAILABLE));
  Answer answer;
  answer.initial_metadata = {{"first", "1"}};
  answer.trailing_metadata = {{"last", "2"}};
  server_.Push(answer);

  const StreamResult result = RunIt({"a", "b", "c"}, /*backoffs=*/2);

  ExpectAnswered(result, {"a", "b", "c"});
  EXPECT_EQ(server_.received().back().text, Joined({"a", "b", "c"}));
  EXPECT_EQ(ValueOf(result.call.initial_metadata, "first"), "1");
  EXPECT_EQ(ValueOf(result.call.trailing_metadata, "last"), "2");
  EXPECT_EQ(ValueOf(result.call.trailing_metadata, kAttemptsKey), "3");
  EXPECT_EQ(WithoutHistory(result.call.trailing_metadata).size(), 1u);
  EXPECT_EQ(ValueOf(result.call.trailing_metadata, kAttemptHistoryKey),
            "UNAVAILABLE;0,UNAVAILABLE;10000,OK;20000");
  EXPECT_TRUE(result.call.finished_ok);
  EXPECT_THAT(PreviousAttempts(), ElementsAre("", "1", "2"));
  EXPECT_EQ(Breaker(method()).counts.failures, 2);
  EXPECT_EQ(Breaker(method()).counts.successes, 1);
}

ATTEMPTS_TEST_P(StreamRetryTest, RetriesWhatFailsAfterTheHalfClose) {
  server_.Push(2, Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));

  const StreamResult result = RunIt({"a", "b", "c"}, /*backoffs=*/2);

  ExpectAnswered(result, {"a", "b", "c"});
  EXPECT_THAT(ReceivedTexts(), Each(Joined({"a", "b", "c"})));
  EXPECT_EQ(server_.calls(), 3);
}

ATTEMPTS_TEST_P(StreamRetryTest, HeadersCommit) {
  Answer answer = Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE);
  answer.headers_first = true;
  answer.initial_metadata = {{"first", "1"}};
  server_.Push(answer);

  const StreamResult result = RunIt({"a"});

  ExpectNotRetried(result);
  EXPECT_EQ(ValueOf(result.call.initial_metadata, "first"), "1");
}

ATTEMPTS_TEST_P(StreamRetryTest, HeadersCommitThoughMessagesCannotBeSent) {
  Answer answer = Answer::ErrorAtOnce(StatusCode::UNAVAILABLE);
  answer.headers_first = true;
  server_.Push(answer);

  ExpectNotRetried(RunIt({"a", "b", "c"}));
}

ATTEMPTS_TEST_P(StreamRetryTest, AMessageCommits) {
  if (kind() == StreamKind::kClient) GTEST_SKIP() << "has one at the end";
  Answer answer = Answer::Error(StatusCode::UNAVAILABLE);
  answer.messages = 1;
  server_.Push(answer);

  const StreamResult result = RunIt({"a", "b"});

  ExpectNotRetried(result);
  EXPECT_EQ(result.replies.size(), 1u);
}

ATTEMPTS_TEST_P(StreamRetryTest, HeadersOfALaterAttemptCommit) {
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  Answer answer = Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE);
  answer.headers_first = true;
  answer.initial_metadata = {{"first", "1"}};
  server_.Push(answer);

  const StreamResult result = RunIt({"a"}, /*backoffs=*/1);

  EXPECT_EQ(result.call.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(ValueOf(result.call.initial_metadata, "first"), "1");
  EXPECT_EQ(server_.calls(), 2);
  EXPECT_EQ(Breaker(method()).counts.failures, 2);
}

ATTEMPTS_TEST_P(StreamRetryTest, AMessageOfALaterAttemptCommits) {
  if (kind() == StreamKind::kClient) GTEST_SKIP() << "has one at the end";
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  Answer answer = Answer::Error(StatusCode::UNAVAILABLE);
  answer.messages = 1;
  server_.Push(answer);

  const StreamResult result = RunIt({"a", "b"}, /*backoffs=*/1);

  EXPECT_EQ(result.call.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(result.replies.size(), 1u);
  EXPECT_EQ(server_.calls(), 2);
}

ATTEMPTS_TEST_P(StreamRetryTest, WhatDoesNotFitIntoTheBufferCommits) {
  policy().stream_retry.replay_buffer_bytes = 1000;
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  const std::string large(1000, 'x');

  if (kind() == StreamKind::kServer) {
    policy().stream_retry.replay_buffer_bytes = 10;
  }
  const StreamResult result = RunIt({"a", large, "b"});

  ExpectNotRetried(result);
  EXPECT_TRUE(result.all_written || kind() == StreamKind::kServer);
  EXPECT_EQ(server_.received().back().text, Joined({"a", large, "b"}));
}

ATTEMPTS_TEST_P(StreamRetryTest, WhatFitsIntoTheBufferIsReplayed) {
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  const std::vector<std::string> texts(4, std::string(7000, 'x'));

  ExpectAnswered(RunIt(texts, /*backoffs=*/1), texts);
}

ATTEMPTS_TEST_P(StreamRetryTest, BufferThatOverflowsInALaterAttemptCommits) {
  if (kind() == StreamKind::kServer) GTEST_SKIP() << "sends one message";
  policy().stream_retry.replay_buffer_bytes = 1 << 20;
  server_.Push(Answer::ErrorAtOnce(StatusCode::UNAVAILABLE));
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));

  const StreamResult result = WithBackoffs(1, [&] {
    const std::unique_ptr<Stream> stream = StartIt();
    while (server_.calls() < 2) stream->Write("more");
    return RunStream(*stream, kind(), {std::string(1 << 20, 'x'), "end"});
  });

  EXPECT_EQ(result.call.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_TRUE(result.all_written);
  EXPECT_EQ(server_.calls(), 2);
  EXPECT_THAT(server_.received().back().text, ::testing::EndsWith("xend"));
}

ATTEMPTS_TEST_P(StreamRetryTest, WhatAllCallsKeepIsBoundedAsWell) {
  SetReplayBytesOfProcess(10);
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));

  ExpectNotRetried(RunIt({"a"}));

  SetReplayBytesOfProcess(64 << 20);
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  ExpectAnswered(RunIt({"a"}, /*backoffs=*/1), {"a"});
}

ATTEMPTS_TEST_P(StreamRetryTest, NothingIsKeptOfAStreamThatHasEnded) {
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::NOT_FOUND));

  const std::unique_ptr<Stream> stream = StartIt();
  const StreamResult result = RunStream(*stream, kind(), {"a"});

  EXPECT_EQ(result.call.status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(internal::ReplayBytes::OfProcess(), 0);
}

ATTEMPTS_TEST_P(StreamRetryTest, ExhaustedRetriesEndWithTheLastStatus) {
  Slot<FailedCall> told;
  policy().retry.max_retries = 1;
  policy().on_final_failure = [&](const FailedCall& call) {
    EXPECT_FALSE(told.has_value());
    told.Put(call);
  };
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  Answer answer = Answer::ErrorAtTheEnd(StatusCode::RESOURCE_EXHAUSTED);
  answer.status = grpc::Status(StatusCode::UNAVAILABLE, "last",
                               std::string("de\0tails", 8));
  answer.trailing_metadata = {{"last", "2"}};
  server_.Push(answer);

  const StreamResult result = RunIt({"a"}, /*backoffs=*/1);

  EXPECT_EQ(result.call.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(result.call.status.error_message(), "last");
  EXPECT_EQ(result.call.status.error_details(), answer.status.error_details());
  EXPECT_EQ(ValueOf(result.call.trailing_metadata, "last"), "2");
  EXPECT_EQ(ValueOf(result.call.trailing_metadata, kAttemptsKey), "2");
  EXPECT_TRUE(result.call.finished_ok);
  EXPECT_THAT(result.replies, IsEmpty());
  EXPECT_EQ(Breaker(method()).counts.failures, 2);
  const FailedCall call = told.Take("the hook");
  EXPECT_EQ(call.status.error_message(), "last");
  EXPECT_EQ(call.attempts, 2);
  EXPECT_EQ(call.request, nullptr);
  EXPECT_FALSE(call.rejected);
}

ATTEMPTS_TEST_P(StreamRetryTest, WhatIsNotRetryableIsNotRetried) {
  for (const auto& make : {Answer::ErrorAtOnce, Answer::ErrorAtTheEnd}) {
    server_.Push(make(StatusCode::INVALID_ARGUMENT));

    const StreamResult result = RunIt({"a", "b"});

    EXPECT_EQ(result.call.status.error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_TRUE(result.call.finished_ok);
    EXPECT_THAT(WithoutHistory(result.call.trailing_metadata), IsEmpty());
    EXPECT_THAT(result.replies, IsEmpty());
  }
  EXPECT_EQ(server_.calls(), 2);
  EXPECT_EQ(Breaker(method()).counts.successes, 2);
}

ATTEMPTS_TEST_P(StreamRetryTest, WhatMayNotBeRepeatedIsNotRetried) {
  policy().idempotency = Idempotency::kAsDeclared;
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));

  ExpectNotRetried(RunIt({"a"}));
}

ATTEMPTS_TEST_P(StreamRetryTest, WithoutTheOptionNothingIsRetried) {
  policy().stream_retry.enabled = false;
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));

  ExpectNotRetried(RunIt({"a"}));
}

ATTEMPTS_TEST_P(StreamRetryTest, WhatNoServerSawIsRetriedForAnyMethod) {
  policy().idempotency = Idempotency::kAsDeclared;
  const ReservedPort nobody;
  const auto channel =
      MakeChannelTo(nobody.target(), ReconnectsAfter(absl::Milliseconds(10)));

  const StreamResult result = WithBackoffs(3, [&] {
    return RunStream(*StartStream(GetParam(), channel), kind(), {"a", "b"});
  });

  EXPECT_EQ(result.call.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(ValueOf(result.call.trailing_metadata, kAttemptsKey), "4");
  EXPECT_EQ(LastClass(method()), "NETWORK MEDIUM FAILURE retryable never sent");
  EXPECT_EQ(Breaker(method()).counts.failures, 4);
}

ATTEMPTS_TEST_P(StreamRetryTest, PushbackIsHeeded) {
  Answer answer = Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE);
  answer.trailing_metadata = {{"grpc-retry-pushback-ms", "1234"}};
  server_.Push(answer);
  answer.trailing_metadata = {{"grpc-retry-pushback-ms", "-1"}};
  server_.Push(answer);

  const StreamResult result = RunIt({"a"}, /*backoffs=*/1);

  EXPECT_EQ(result.call.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(env_.elapsed(), absl::Milliseconds(1234));
  EXPECT_EQ(server_.calls(), 2);
}

ATTEMPTS_TEST_P(StreamRetryTest, RetryBudgetIsSharedWithOtherCalls) {
  options_.retry_budget.max_tokens = 4;
  options_.retry_budget.token_ratio = 1;
  server_.SetDefault(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));

  RunIt({"a"}, /*backoffs=*/1);
  EXPECT_EQ(server_.calls(), 2);
  RunIt({"a"});
  EXPECT_EQ(server_.calls(), 3);
  server_.SetDefault(Answer());
  for (int i = 0; i < 3; ++i) ExpectAnswered(RunIt({"a"}), {"a"});
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  ExpectAnswered(RunIt({"a"}, /*backoffs=*/1), {"a"});
}

ATTEMPTS_TEST_P(StreamRetryTest, BreakerThatOpensBetweenAttemptsEndsTheCall) {
  policy().breaker.consecutive_failures = 1;
  Answer answer = Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE);
  answer.status = grpc::Status(StatusCode::UNAVAILABLE, "down");
  answer.trailing_metadata = {{"last", "2"}};
  server_.Push(answer);

  const StreamResult result = RunIt({"a"}, /*backoffs=*/1);

  EXPECT_EQ(result.call.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_TRUE(IsBreakerRejection(result.call.status));
  EXPECT_THAT(result.call.status.error_message(),
              ::testing::EndsWith("; last error: down"));
  EXPECT_EQ(WithoutHistory(result.call.trailing_metadata),
            (Metadata{{kRejectedKey, "OPEN"}, {kRetryAfterKey, "50000"}}));
  EXPECT_TRUE(result.call.finished_ok);
  EXPECT_THAT(result.replies, IsEmpty());
  EXPECT_EQ(server_.calls(), 1);
  EXPECT_EQ(Breaker(method()).rejections, 1u);
}

ATTEMPTS_TEST_P(StreamRetryTest, RefusedFirstAttemptIsRefusedAsWithoutRetries) {
  OpenBreaker();

  const StreamResult result = RunIt({"a", "b"});

  EXPECT_TRUE(IsBreakerRejection(result.call.status));
  EXPECT_EQ(ValueOf(result.call.trailing_metadata, kRejectedKey), "OPEN");
  EXPECT_EQ(result.all_written, kind() == StreamKind::kServer);
  EXPECT_THAT(result.replies, IsEmpty());
  EXPECT_TRUE(result.call.finished_ok);
  EXPECT_EQ(server_.calls(), 1);
}

ATTEMPTS_TEST_P(StreamRetryTest, EachAttemptIsAProbeOfItsOwn) {
  OpenBreaker();
  env_.Advance(absl::Seconds(60));
  policy().breaker.open_duration = absl::Seconds(5);
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));

  // The failed probe opens the breaker for longer than the backoff.
  const StreamResult result = RunIt({"a"}, /*backoffs=*/1);

  EXPECT_TRUE(IsBreakerRejection(result.call.status));
  EXPECT_EQ(Breaker(method()).permits_in_use, 0);
  env_.Advance(absl::Seconds(60));
  ExpectAnswered(RunIt({"a"}), {"a"});
  EXPECT_EQ(Breaker(method()).state, BreakerState::kClosed);
}

ATTEMPTS_TEST_P(StreamRetryTest,
                ProbeSucceedsByTheFirstMessageOfALaterAttempt) {
  if (kind() != StreamKind::kBidi) GTEST_SKIP() << "reads no message midway";
  policy().breaker.consecutive_failures = 1;
  policy().breaker.open_duration = absl::Seconds(10);
  policy().breaker.half_open_permits = 1;
  policy().breaker.half_open_successes = 1;
  server_.Push(Answer::ErrorAtOnce(StatusCode::UNAVAILABLE));
  std::unique_ptr<Stream> stream;

  // The backoff ends as the breaker lets a probe pass.
  const auto reply = WithBackoffs(1, [&] {
    stream = StartSending();
    return stream->Read();
  });

  EXPECT_EQ(reply, "first");
  EXPECT_EQ(Breaker(method()).state, BreakerState::kClosed);
  stream->Cancel();
  stream->Finish();
  EXPECT_EQ(Breaker(method()).counts.failures, 0);
}

ATTEMPTS_TEST_P(StreamRetryTest, CancellationEndsABackoff) {
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  grpc::ClientContext* context = nullptr;
  std::unique_ptr<Stream> stream;
  Slot<StreamResult> result;
  std::thread thread([&] {
    stream =
        StartIt([&](grpc::ClientContext* of_stream) { context = of_stream; });
    result.Put(RunStream(*stream, kind(), {"a"}));
  });
  WaitUntil([this] { return env_.pending_timers() > 0; }, "a backoff");

  context->TryCancel();

  const StreamResult ended = result.Take("a stream cancelled in its backoff");
  thread.join();
  EXPECT_EQ(ended.call.status.error_code(), StatusCode::CANCELLED);
  EXPECT_TRUE(ended.call.finished_ok);
  EXPECT_EQ(env_.pending_timers(), 0u);
  EXPECT_EQ(server_.calls(), 1);
  EXPECT_EQ(Breaker(method()).counts.failures, 1);
}

// What the server has said stays true.
ATTEMPTS_TEST_P(StreamRetryTest, CancellationAfterAFailureOnlyPreventsARetry) {
  grpc::ClientContext* context = nullptr;
  policy().on_attempt = [&](const FinishedAttempt&) { context->TryCancel(); };
  const Configure configure = [&](grpc::ClientContext* own) { context = own; };
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::NOT_FOUND));

  const StreamResult retryable = RunIt({"a"}, /*backoffs=*/0, configure);
  const StreamResult other = RunIt({"a"}, /*backoffs=*/0, configure);

  EXPECT_EQ(HistoryText(CallHistoryOf(retryable.call.status)),
            "UNAVAILABLE;0 CANCELLED");
  EXPECT_EQ(HistoryText(CallHistoryOf(other.call.status)),
            "NOT_FOUND;0 NOT_RETRYABLE");
  EXPECT_EQ(retryable.call.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(other.call.status.error_code(), StatusCode::NOT_FOUND);
}

ATTEMPTS_TEST_P(StreamRetryTest, CancellationBeforeAnAttemptLeavesNoPermit) {
  policy().breaker.consecutive_failures = 1;
  policy().breaker.open_duration = absl::Seconds(5);
  grpc::ClientContext* context = nullptr;
  // In the middle of the retry: its permit is issued next.
  options_.listeners.push_back(
      std::make_shared<ProbeListener>([&] { context->TryCancel(); }));
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  std::unique_ptr<Stream> stream;
  const StreamResult result = WithBackoffs(1, [&] {
    stream = StartIt([&](grpc::ClientContext* own) { context = own; });
    return RunStream(*stream, kind(), {"a"});
  });

  EXPECT_EQ(result.call.status.error_code(), StatusCode::CANCELLED);
  EXPECT_EQ(server_.calls(), 1);
  EXPECT_EQ(Breaker(method()).permits.issued, 2u);
  EXPECT_EQ(Breaker(method()).permits.returned, 1u);
}

ATTEMPTS_TEST_P(StreamRetryTest, CancellationReachesTheServerOfALaterAttempt) {
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  grpc::ClientContext* context = nullptr;
  std::unique_ptr<Stream> stream;
  Slot<StreamResult> result;
  std::thread thread([&] {
    stream =
        StartIt([&](grpc::ClientContext* of_stream) { context = of_stream; });
    result.Put(RunStream(*stream, kind(), {"a"}));
  });
  FinishBackoff();
  gate->WaitForArrivals(1);

  context->TryCancel();

  const StreamResult ended = result.Take("a stream cancelled in an attempt");
  thread.join();
  EXPECT_EQ(ended.call.status.error_code(), StatusCode::CANCELLED);
  gate->WaitForCancellations(1);
  EXPECT_EQ(Breaker(method()).counts.failures, 1);
  EXPECT_EQ(Breaker(method()).counts.calls(), 1);
}

ATTEMPTS_TEST_P(StreamRetryTest, CancellationBeforeTheStartEndsIt) {
  const std::unique_ptr<Stream> stream =
      StartSending([](grpc::ClientContext* context) { context->TryCancel(); });

  EXPECT_EQ(stream->Finish().status.error_code(), StatusCode::CANCELLED);
  EXPECT_EQ(Breaker(method()).counts.calls(), 0);
}

ATTEMPTS_TEST_P(StreamRetryTest, BackoffThatTheDeadlineForbidsIsNotBegun) {
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));

  const StreamResult result =
      RunIt({"a"}, /*backoffs=*/0, [](grpc::ClientContext* context) {
        context->set_deadline(std::chrono::system_clock::now() +
                              std::chrono::seconds(9));
      });

  ExpectNotRetried(result);
}

ATTEMPTS_TEST_P(StreamRetryTest, LaterAttemptsHaveTheDeadlineOfTheCall) {
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  const auto deadline =
      std::chrono::system_clock::now() + std::chrono::hours(1);

  const StreamResult result = RunIt(
      {"a"}, /*backoffs=*/1,
      [&](grpc::ClientContext* context) { context->set_deadline(deadline); });

  ExpectAnswered(result, {"a"});
  for (const ReceivedCall& call : server_.received()) {
    EXPECT_LT(call.deadline, deadline + std::chrono::minutes(10));
    EXPECT_GT(call.deadline, deadline - std::chrono::minutes(10));
  }
}

ATTEMPTS_TEST_P(StreamRetryTest, PolicysTimeoutSpansAllAttempts) {
  // On the clock that the test moves: of the call's 20 s, 10 s are a backoff.
  policy().timeout = absl::Seconds(20);
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  Slot<StreamResult> result;
  std::thread thread([&] { result.Put(RunStream(*StartIt(), kind(), {"a"})); });
  WaitUntil([this] { return Breaker(method()).counts.failures == 1; },
            "the first attempt's end");
  WaitUntil([this] { return env_.pending_timers() == 1; }, "a backoff");
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  env_.Advance(absl::Seconds(10));
  gate->WaitForArrivals(1);

  env_.Advance(absl::Seconds(10));

  const StreamResult ended = result.Take("a stream whose time is up");
  thread.join();
  EXPECT_EQ(ended.call.status.error_code(), StatusCode::DEADLINE_EXCEEDED);
  gate->WaitForCancellations(1);
  EXPECT_EQ(env_.pending_timers(), 0u);
}

ATTEMPTS_TEST_P(StreamRetryTest, AbandonedStreamReturnsThePermitOfItsAttempt) {
  if (GetParam().api == StreamApi::kReactor) GTEST_SKIP() << "cannot be";
  if (kind() == StreamKind::kServer) GTEST_SKIP() << "reads all the while";
  policy().breaker.consecutive_failures = 1;
  policy().breaker.open_duration = absl::Seconds(10);
  policy().breaker.half_open_permits = 1;
  server_.Push(Answer::ErrorAtOnce(StatusCode::UNAVAILABLE));
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  auto stream = WithBackoffs(1, [&] {
    std::unique_ptr<Stream> begun = StartSending();
    // Until it has met the failure.
    while (server_.calls() < 2) begun->Write("more");
    return begun;
  });
  gate->WaitForArrivals(1);
  ASSERT_EQ(Breaker(method()).permits_in_use, 1);

  stream.reset();

  EXPECT_EQ(Breaker(method()).permits_in_use, 0);
  gate->WaitForCancellations(1);
  EXPECT_EQ(env_.pending_timers(), 0u);
}

ATTEMPTS_TEST_P(StreamRetryTest, StreamAbandonedAfterAMessageIsCancelled) {
  if (GetParam().api == StreamApi::kReactor) GTEST_SKIP() << "cannot be";
  if (kind() == StreamKind::kClient) GTEST_SKIP() << "reads no message midway";
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  auto stream = WithBackoffs(1, [&] {
    std::unique_ptr<Stream> begun = StartIt();
    begun->Write("a", /*last=*/true);
    EXPECT_TRUE(begun->Read().has_value());
    return begun;
  });

  stream.reset();

  EXPECT_EQ(Breaker(method()).counts.failures, 1);
  EXPECT_EQ(Breaker(method()).counts.successes, 0);
}

ATTEMPTS_TEST_P(StreamRetryTest, ChannelMayGoDuringABackoff) {
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));

  const StreamResult result = WithBackoffs(1, [&] {
    const auto stream = StartStream(GetParam(), MakeChannel());
    return RunStream(*stream, kind(), {"a"});
  });

  ExpectAnswered(result, {"a"});
}

ATTEMPTS_TEST_P(StreamRetryTest, HalfCloseAloneIsReplayed) {
  if (GetParam().corked && GetParam().api == StreamApi::kSync) {
    GTEST_SKIP() << "hangs on a bare channel too: nothing takes the metadata";
  }
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));

  const StreamResult result = RunIt({}, /*backoffs=*/1);

  EXPECT_TRUE(result.call.status.ok()) << result.call.status.error_message();
  EXPECT_EQ(server_.calls(), 2);
}

ATTEMPTS_TEST_P(StreamRetryTest, LastMessageTakesTheHalfCloseAlong) {
  if (kind() == StreamKind::kServer) GTEST_SKIP() << "writes nothing";
  for (const auto& make : {Answer::ErrorAtOnce, Answer::ErrorAtTheEnd}) {
    server_.Push(make(StatusCode::UNAVAILABLE));

    const auto result = WithBackoffs(1, [&] {
      const std::unique_ptr<Stream> stream = StartIt();
      EXPECT_TRUE(stream->Write("only", /*last=*/true));
      StreamResult ended;
      while (std::optional<std::string> reply = stream->Read()) {
        ended.replies.push_back(*reply);
      }
      ended.call = stream->Finish();
      return ended;
    });

    EXPECT_TRUE(result.call.status.ok()) << result.call.status.error_message();
    EXPECT_EQ(server_.received().back().text, "only");
  }
}

ATTEMPTS_TEST_P(StreamRetryTest,
                MessagesPassInOrderOnceALaterAttemptCommitted) {
  server_.Push(Answer::ErrorAtOnce(StatusCode::UNAVAILABLE));
  std::vector<std::string> texts;
  for (int i = 0; i < 100; ++i) {
    texts.push_back(absl::StrCat(i, ";", std::string(i % 7 * 50, 'x')));
  }

  const StreamResult result = RunIt(texts, /*backoffs=*/1);

  ExpectAnswered(result, texts);
  EXPECT_EQ(server_.received().back().text, Joined(texts));
}

ATTEMPTS_TEST_P(StreamRetryTest, EarlyEndIsToldThoughMessagesAreLeftToSend) {
  Answer answer;
  answer.messages = 0;
  answer.text = "early";
  server_.Push(answer);

  const StreamResult result = RunIt({"a", "b", "c"});

  EXPECT_TRUE(result.call.status.ok()) << result.call.status.error_message();
  EXPECT_EQ(result.call.text, kind() == StreamKind::kClient ? "early" : "");
  EXPECT_THAT(result.replies, IsEmpty());
  EXPECT_EQ(server_.calls(), 1);
  EXPECT_EQ(Breaker(method()).counts.successes, 1);
}

ATTEMPTS_TEST_P(StreamRetryTest, MessagesBeforeAnEarlyEndAreRead) {
  if (kind() != StreamKind::kBidi) GTEST_SKIP();
  Answer answer = Answer::Error(StatusCode::UNAVAILABLE);
  answer.messages = 1;
  server_.Push(answer);
  const std::unique_ptr<Stream> stream = StartIt();

  // The application, which is alone with its stream, reads only after that.
  while (stream->Write("a")) {
  }
  EXPECT_EQ(stream->Read(), "a");
  EXPECT_EQ(stream->Read(), std::nullopt);
  EXPECT_EQ(stream->Finish().status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(server_.calls(), 1);
}

// A reader and a writer at once, as bidi applications do it.
ATTEMPTS_TEST_F(StreamRetryFixture, ReaderAndWriterOnTwoThreadsAreBothRetried) {
  policy().breaker.enabled = false;
  policy().retry.base_delay = absl::Milliseconds(1);
  const auto stub = TestService::NewStub(channel());
  for (int i = 0; i < 30; ++i) {
    server_.Push(i % 3, Answer::ErrorAtOnce(StatusCode::UNAVAILABLE));
    const int replies = WithBackoffs(i % 3, [&] {
      grpc::ClientContext context;
      const auto stream = stub->Bidi(&context);
      Slot<int> read;
      std::thread reader([&] {
        Reply reply;
        int count = 0;
        while (stream->Read(&reply)) {
          EXPECT_EQ(reply.text(), std::to_string(count++));
        }
        read.Put(count);
      });
      for (int message = 0; message < 50; ++message) {
        Request request;
        request.set_text(std::to_string(message));
        EXPECT_TRUE(stream->Write(request));
      }
      EXPECT_TRUE(stream->WritesDone());
      const int count = read.Take("the reader of a retried stream");
      reader.join();
      EXPECT_TRUE(stream->Finish().ok());
      return count;
    });
    EXPECT_EQ(replies, 50);
  }
}

ATTEMPTS_TEST_F(StreamRetryFixture, EagerReactorsAreRetriedCorkedOrNot) {
  policy().breaker.enabled = false;
  for (int i = 0; i < 20; ++i) {
    for (const bool corked : {false, true}) {
      server_.Push(i % 3, Answer::ErrorAtOnce(StatusCode::UNAVAILABLE));
      const StreamResult result = WithBackoffs(
          i % 3, [&] { return EagerReactor(channel(), corked).Wait(); });

      EXPECT_TRUE(result.call.status.ok())
          << result.call.status.error_message();
      EXPECT_THAT(result.replies, ElementsAre("eager"));
      EXPECT_TRUE(result.all_written);
    }
  }
}

// Its messages are ByteBuffers.
ATTEMPTS_TEST_F(StreamRetryFixture, GenericStreamIsRetried) {
  server_.Push(2, Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  const grpc::Status status = WithBackoffs(2, [&] {
    grpc::GenericStub stub(channel());
    grpc::ClientContext context;
    Queue queue;
    const auto stream =
        stub.PrepareCall(&context, MethodOf(StreamKind::kBidi), queue.get());
    stream->StartCall(&queue);
    EXPECT_TRUE(queue.Next(&queue, "the start"));
    grpc::Slice empty;  // A Request without text.
    stream->WriteLast(grpc::ByteBuffer(&empty, 1), grpc::WriteOptions(),
                      &queue);
    EXPECT_TRUE(queue.Next(&queue, "a Write"));
    grpc::ByteBuffer reply;
    stream->Read(&reply, &queue);
    EXPECT_TRUE(queue.Next(&queue, "a Read"));
    stream->Read(&reply, &queue);
    EXPECT_FALSE(queue.Next(&queue, "the last Read"));
    grpc::Status ended;
    stream->Finish(&ended, &queue);
    queue.Next(&queue, "Finish");
    return ended;
  });

  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(server_.calls(), 3);
}

ATTEMPTS_TEST_F(StreamRetryFixture,
                WaitForInitialMetadataWaitsForALaterAttempt) {
  server_.Push(2, Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  Answer answer;
  answer.headers_first = true;
  answer.initial_metadata = {{"first", "1"}};
  server_.Push(answer);
  const auto stub = TestService::NewStub(channel());

  const int replies = WithBackoffs(2, [&] {
    grpc::ClientContext context;
    Request request;
    const auto stream = stub->ServerStream(&context, request);
    stream->WaitForInitialMetadata();
    EXPECT_EQ(context.GetServerInitialMetadata().count("first"), 1u);
    Reply reply;
    int count = 0;
    while (stream->Read(&reply)) ++count;
    EXPECT_TRUE(stream->Finish().ok());
    return count;
  });

  EXPECT_EQ(replies, 3);
}

ATTEMPTS_TEST_F(StreamRetryFixture, ReadInitialMetadataOfAQueueIsRetried) {
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  Answer answer;
  answer.headers_first = true;
  answer.initial_metadata = {{"first", "1"}};
  server_.Push(answer);
  server_.Push(4, Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  const auto stub = TestService::NewStub(channel());

  for (const bool succeeds : {true, false}) {
    const grpc::Status status = WithBackoffs(succeeds ? 1 : 3, [&] {
      grpc::ClientContext context;
      Queue queue;
      Request request;
      const auto stream =
          stub->AsyncServerStream(&context, request, queue.get(), &queue);
      EXPECT_TRUE(queue.Next(&queue, "the start"));
      stream->ReadInitialMetadata(&queue);
      // Also told of an answer without any, as by a bare channel.
      EXPECT_TRUE(queue.Next(&queue, "the initial metadata"));
      EXPECT_EQ(context.GetServerInitialMetadata().count("first"),
                succeeds ? 1u : 0u);
      Reply reply;
      for (int i = 0; i < (succeeds ? 4 : 1); ++i) {
        stream->Read(&reply, &queue);
        EXPECT_EQ(queue.Next(&queue, "a Read"), succeeds && i < 3);
      }
      grpc::Status ended;
      stream->Finish(&ended, &queue);
      queue.Next(&queue, "Finish");
      return ended;
    });
    EXPECT_EQ(status.ok(), succeeds) << status.error_message();
  }
}

// Whether ReadInitialMetadata of a queue is told that all is well.
bool MetadataCome(const std::shared_ptr<grpc::Channel>& channel) {
  const auto stub = TestService::NewStub(channel);
  grpc::ClientContext context;
  Queue queue;
  const auto stream =
      stub->AsyncServerStream(&context, Request(), queue.get(), &context);
  queue.Next(&context, "the start");
  stream->ReadInitialMetadata(&queue);
  const bool come = queue.Next(&queue, "the initial metadata");
  grpc::Status status;
  stream->Finish(&status, &status);
  queue.Next(&status, "Finish");
  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
  return come;
}

ATTEMPTS_TEST_F(StreamRetryFixture,
                QueueIsToldOfInitialMetadataAsByABareChannelInTheEnd) {
  server_.SetDefault(Answer::ErrorAtOnce(StatusCode::UNAVAILABLE));
  EXPECT_EQ(WithBackoffs(3, [&] { return MetadataCome(channel()); }),
            MetadataCome(BareChannel()));

  const std::string nobody = "127.0.0.1:1";
  const auto ours = MakeChannelTo(nobody);
  EXPECT_EQ(WithBackoffs(3, [&] { return MetadataCome(ours); }),
            MetadataCome(grpc::CreateChannel(
                nobody, grpc::InsecureChannelCredentials())));
}

// What OnReadInitialMetadataDone is told.
class MetadataReactor final : public grpc::ClientReadReactor<Reply> {
 public:
  static bool MetadataCome(const std::shared_ptr<grpc::Channel>& channel) {
    const auto stub = TestService::NewStub(channel);
    MetadataReactor reactor;
    stub->async()->ServerStream(&reactor.context_, &reactor.request_, &reactor);
    reactor.StartCall();
    EXPECT_EQ(reactor.done_.Take("the end").error_code(),
              StatusCode::UNAVAILABLE);
    return reactor.come_;
  }

  void OnReadInitialMetadataDone(bool ok) override { come_ = ok; }
  void OnDone(const grpc::Status& status) override { done_.Put(status); }

 private:
  grpc::ClientContext context_;
  Request request_;
  bool come_ = false;
  Slot<grpc::Status> done_;
};

// The core would tell it by the first attempt, which reached no server.
ATTEMPTS_TEST_F(StreamRetryFixture,
                ReactorIsToldOfInitialMetadataAsByABareChannelInTheEnd) {
  std::optional<TestServer> server(std::in_place);
  const int port = server->port();
  const std::string target = server->target();
  server.reset();
  policy().retry.max_retries = 1;
  const auto ours =
      MakeChannelTo(target, ReconnectsAfter(absl::Milliseconds(20)));
  Slot<bool> come;
  std::thread thread([&] { come.Put(MetadataReactor::MetadataCome(ours)); });
  WaitUntil([this] { return env_.pending_timers() > 0; }, "a backoff");
  server.emplace(port);
  server->SetDefault(Answer::ErrorAtOnce(StatusCode::UNAVAILABLE));
  WaitUntil([&] { return ours->GetState(true) == GRPC_CHANNEL_READY; },
            "a connection");
  FinishBackoff();

  EXPECT_EQ(come.Take("the end"),
            MetadataReactor::MetadataCome(grpc::CreateChannel(
                target, grpc::InsecureChannelCredentials())));
  thread.join();
  EXPECT_EQ(server->calls(), 2);
}

ATTEMPTS_TEST_F(StreamRetryFixture, QueueMayBeShutDownOnceFinishIsUnderWay) {
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  const auto stub = TestService::NewStub(channel());
  Queue queue;
  grpc::ClientContext context;
  Request request;
  request.set_text("hello");
  Reply reply;
  grpc::Status status;
  const auto writer =
      stub->AsyncClientStream(&context, &reply, queue.get(), &context);
  ASSERT_TRUE(queue.Next(&context, "the start"));
  writer->WriteLast(request, grpc::WriteOptions(), &request);
  ASSERT_TRUE(queue.Next(&request, "the message"));
  writer->Finish(&status, &status);
  WaitUntil([&] { return env_.pending_timers() == 1; }, "a backoff");

  queue.ShutDown();
  FinishBackoff();

  EXPECT_TRUE(queue.Next(&status, "Finish"));
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(reply.text(), "hello");
}

ATTEMPTS_TEST_F(StreamRetryFixture, WriteWithoutFinishIsRetriedByItself) {
  server_.Push(Answer::ErrorAtOnce(StatusCode::UNAVAILABLE));
  const auto stub = TestService::NewStub(channel());

  WithBackoffs(1, [&] {
    grpc::ClientContext context;
    Reply reply;
    const auto stream = stub->ClientStream(&context, &reply);
    Request request;
    request.set_text("a");
    while (server_.calls() < 2) EXPECT_TRUE(stream->Write(request));
    return 0;
  });

  EXPECT_EQ(Breaker(MethodOf(StreamKind::kClient)).counts.failures, 1);
}

// While nothing but a read is pending, nobody reads what a server says during a
// replay.
ATTEMPTS_TEST_F(StreamRetryFixture, MuchIsNotReplayedForALonelyReader) {
  const auto stub = TestService::NewStub(channel());
  for (const int kilobytes : {20, 60}) {
    server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
    const bool fits = kilobytes < 32;

    const grpc::Status status = WithBackoffs(fits ? 1 : 0, [&] {
      grpc::ClientContext context;
      const auto stream = stub->Bidi(&context);
      Request request;
      request.set_text(std::string(1000, 'x'));
      for (int i = 1; i < kilobytes; ++i) stream->Write(request);
      stream->WriteLast(request, grpc::WriteOptions());
      Reply reply;
      while (stream->Read(&reply)) {
      }
      return stream->Finish();
    });

    EXPECT_EQ(status.ok(), fits) << status.error_message();
  }
}

ATTEMPTS_TEST_F(StreamRetryFixture, NothingIsKeptAfterAReplayThatOverflowed) {
  policy().stream_retry.replay_buffer_bytes = 1000;
  auto gate = std::make_shared<Gate>();
  Answer fails = Answer::ErrorAtOnce(StatusCode::UNAVAILABLE);
  fails.gate = gate;
  server_.Push(fails);
  const auto stub = TestService::NewStub(channel());
  grpc::ClientContext context;
  Queue queue;
  const auto stream = stub->AsyncBidi(&context, queue.get(), &queue);
  EXPECT_TRUE(queue.Next(&queue, "the start"));
  Request request;
  request.set_text("fits");
  stream->Write(request, &queue);
  EXPECT_TRUE(queue.Next(&queue, "a Write"));
  Reply reply;
  stream->Read(&reply, &queue);
  gate->Open();
  WaitUntil([this] { return env_.pending_timers() > 0; }, "a backoff");
  request.set_text(std::string(1000, 'x'));
  stream->Write(request, &queue);  // Waits for the replay.

  env_.AdvanceToNextTimer();
  EXPECT_TRUE(queue.Next(&queue, "the Write or the Read"));
  EXPECT_TRUE(queue.Next(&queue, "the other one"));

  EXPECT_EQ(reply.text(), "fits");
  EXPECT_EQ(internal::ReplayBytes::OfProcess(), 0);
  context.TryCancel();
  grpc::Status status;
  stream->Finish(&status, &queue);
  queue.Next(&queue, "Finish");
}

ATTEMPTS_TEST_F(StreamRetryFixture, LargeMessagesPassAfterTheCommit) {
  server_.Push(Answer::ErrorAtOnce(StatusCode::UNAVAILABLE));
  const auto stub = TestService::NewStub(channel());

  const grpc::Status status = WithBackoffs(1, [&] {
    grpc::ClientContext context;
    const auto stream = stub->Bidi(&context);
    Request request;
    Reply reply;
    for (int i = 0; i < 20; ++i) {
      const int size = i == 0 ? 1 : 64 << 10;
      request.set_text(std::string(size, static_cast<char>('a' + i)));
      EXPECT_TRUE(stream->Write(request));
      EXPECT_TRUE(stream->Read(&reply));
      EXPECT_EQ(reply.text(), request.text());
    }
    stream->WritesDone();
    EXPECT_FALSE(stream->Read(&reply));
    return stream->Finish();
  });

  EXPECT_TRUE(status.ok()) << status.error_message();
}

// Answers every call by itself, with a failure.
class FailingInterceptor final : public grpc::experimental::Interceptor {
 public:
  void Intercept(grpc::experimental::InterceptorBatchMethods* batch) override {
    using Point = grpc::experimental::InterceptionHookPoints;
    if (batch->QueryInterceptionHookPoint(Point::PRE_SEND_INITIAL_METADATA)) {
      if (!hijacked_) {
        hijacked_ = true;
        return batch->Hijack();
      }
    }
    if (batch->QueryInterceptionHookPoint(Point::PRE_RECV_MESSAGE)) {
      batch->FailHijackedRecvMessage();
    }
    if (batch->QueryInterceptionHookPoint(Point::PRE_RECV_STATUS)) {
      *batch->GetRecvStatus() = grpc::Status(StatusCode::UNAVAILABLE, "mine");
    }
    batch->Proceed();
  }

 private:
  bool hijacked_ = false;
};
class FailingFactory final
    : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* /*info*/) override {
    return new FailingInterceptor;
  }
};

ATTEMPTS_TEST_P(StreamRetryTest, AnswerOfAnInterceptorIsFinal) {
  if (GetParam().corked && GetParam().api == StreamApi::kReactor) {
    GTEST_SKIP() << "hangs without us as well: it is hijacked too late";
  }
  FactoryList after;
  after.push_back(std::make_unique<FailingFactory>());
  const auto channel = MakeChannelBetween({}, std::move(after));

  const auto stream = StartStream(GetParam(), channel);
  const StreamResult result = RunStream(*stream, kind(), {"a"});

  EXPECT_EQ(result.call.status.error_message(), "mine");
  EXPECT_THAT(result.replies, IsEmpty());
  EXPECT_EQ(server_.calls(), 0);
  EXPECT_EQ(Breaker(method()).counts.failures, 1);
  EXPECT_EQ(internal::ReplayBytes::OfProcess(), 0);
}

// Counts what is told of a cancellation.
class CancelCounter final
    : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit CancelCounter(std::atomic<int>* cancelled) : cancelled_(cancelled) {}
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* /*info*/) override {
    return new Interceptor(cancelled_);
  }

 private:
  class Interceptor final : public grpc::experimental::Interceptor {
   public:
    explicit Interceptor(std::atomic<int>* cancelled) : cancelled_(cancelled) {}
    void Intercept(
        grpc::experimental::InterceptorBatchMethods* batch) override {
      if (batch->QueryInterceptionHookPoint(
              grpc::experimental::InterceptionHookPoints::PRE_SEND_CANCEL)) {
        ++*cancelled_;
      }
      batch->Proceed();
    }

   private:
    std::atomic<int>* const cancelled_;
  };

  std::atomic<int>* const cancelled_;
};

ATTEMPTS_TEST_P(StreamRetryTest, CancellationInABackoffIsNoneOfTheLastAttempt) {
  std::atomic<int> cancelled{0};
  FactoryList after;
  after.push_back(std::make_unique<CancelCounter>(&cancelled));
  server_.Push(2, Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  const auto stream =
      StartStream(GetParam(), MakeChannelBetween({}, std::move(after)));
  Slot<StreamResult> result;
  std::thread thread([&] { result.Put(RunStream(*stream, kind(), {"a"})); });
  FinishBackoff();
  WaitUntil([this] { return env_.pending_timers() > 0; }, "another backoff");

  stream->Cancel();

  EXPECT_EQ(result.Take("the end").call.status.error_code(),
            StatusCode::CANCELLED);
  thread.join();
  EXPECT_EQ(cancelled, 1) << "the call itself";
}

}  // namespace
}  // namespace grpc_breaker::e2e
