// Streaming calls that are retried until they commit, of every kind and
// flavour, over a real server.

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/trailing_metadata.h"
#include "grpcpp/generic/generic_stub.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/queue.h"
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
    EXPECT_EQ(result.all_written, kind() != StreamKind::kServer || true);
    if (kind() == StreamKind::kClient) {
      EXPECT_EQ(result.call.text, Joined(texts));
    } else if (kind() == StreamKind::kServer) {
      EXPECT_THAT(result.replies, ElementsAre("hello", "hello", "hello"));
    } else {
      EXPECT_EQ(result.replies, texts);
    }
  }
};

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
  EXPECT_EQ(result.call.trailing_metadata.size(), 2u);
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

}  // namespace
}  // namespace grpc_breaker::e2e
