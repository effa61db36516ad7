// gRFC A6 (client retries), statement by statement, for streams of every kind
// and API over a real server. Statements 11 and 12 are the budget's alone:
// grfc_a6_test.cc has them.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/call_history.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/stream_flavours.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;
using ::testing::Each;
using ::testing::ElementsAre;

class GrfcA6StreamTest : public E2eTest,
                         public ::testing::WithParamInterface<StreamFlavour> {
 protected:
  GrfcA6StreamTest() {
    policy().stream_retry.enabled = true;
    policy().retry.max_retries = 3;
    policy().retry.max_delay = absl::Seconds(25);
    policy().retry.jitter = Jitter::kGrpcA6;
    // Breakers are no business of A6's.
    policy().breaker.enabled = false;
  }

  StreamResult Run(const Configure& configure = nullptr,
                   const std::vector<std::string>& texts = {"a", "b", "c"}) {
    if (channel_ == nullptr) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // See docs/limits.md.
      channel_ = MakeChannel(arguments);
    }
    return ThroughBackoffs([&] {
      return RunStream(*StartStream(GetParam(), channel_, configure),
                       GetParam().kind, texts);
    });
  }

  static StopReason StoppedBy(const StreamResult& result) {
    const auto history = CallHistoryOf(result.call.status);
    EXPECT_TRUE(history.has_value());
    return history.has_value() ? history->stopped : StopReason::kSucceeded;
  }

  static Answer Fails(StatusCode code = StatusCode::UNAVAILABLE) {
    return Answer::ErrorAtTheEnd(code);
  }

  static Answer WithPushback(const std::string& value) {
    Answer answer = Fails();
    answer.trailing_metadata = {{"grpc-retry-pushback-ms", value}};
    return answer;
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GrfcA6StreamTest);
INSTANTIATE_TEST_SUITE_P(Flavours, GrfcA6StreamTest,
                         ::testing::ValuesIn(AllStreamFlavours()),
                         [](const auto& info) { return ToString(info.param); });

ATTEMPTS_TEST_P(GrfcA6StreamTest, Statement1MaxAttemptsIncludesTheOriginal) {
  server_.SetDefault(Fails());
  EXPECT_EQ(StoppedBy(Run()), StopReason::kExhausted);
  EXPECT_EQ(server_.calls(), 4);
}

ATTEMPTS_TEST_P(GrfcA6StreamTest,
                Statement2DeadlineSpansAllAttemptsAndBackoffs) {
  server_.SetDefault(Fails());
  env_.ScriptUniform({0.5, 0.5});
  const auto deadline =
      std::chrono::system_clock::now() + std::chrono::seconds(29);
  const StreamResult result = Run(
      [&](grpc::ClientContext* context) { context->set_deadline(deadline); });

  // After 10 s there is no room for 20 s more.
  EXPECT_EQ(server_.calls(), 2);
  EXPECT_EQ(StoppedBy(result), StopReason::kDeadline);
  for (const ReceivedCall& call : server_.received()) {
    EXPECT_LE(call.deadline, deadline + std::chrono::seconds(2));
    EXPECT_GE(call.deadline, deadline - std::chrono::seconds(2));
  }
}

ATTEMPTS_TEST_P(GrfcA6StreamTest,
                Statement3BackoffsGrowToTheLongestGiveOrTakeAFifth) {
  server_.SetDefault(Fails());
  env_.ScriptUniform({0.0, 0.5, 0.25});
  Run();
  EXPECT_THAT(backoffs_, ElementsAre(absl::Seconds(8), absl::Seconds(20),
                                     absl::Seconds(22.5)));
}

ATTEMPTS_TEST_P(GrfcA6StreamTest, Statement4OnlyListedCodesAreRetried) {
  policy().retry.max_retries = 1;
  for (int code = 1; code <= 16; ++code) {
    policy().classification[static_cast<StatusCode>(code)].retryable =
        code == StatusCode::ABORTED;
  }
  int calls = 0;
  for (const StatusCode code :
       {StatusCode::UNAVAILABLE, StatusCode::NOT_FOUND, StatusCode::ABORTED}) {
    const bool listed = code == StatusCode::ABORTED;
    server_.Push(Fails(code));
    EXPECT_EQ(Run().call.status.ok(), listed) << code;
    calls += listed ? 2 : 1;
    EXPECT_EQ(server_.calls(), calls) << code;
  }
}

ATTEMPTS_TEST_P(GrfcA6StreamTest, Statement5ResponseHeadersCommit) {
  Answer answer = Fails();
  answer.headers_first = true;
  server_.Push(answer);
  EXPECT_EQ(StoppedBy(Run()), StopReason::kCommitted);
  EXPECT_EQ(server_.calls(), 1);
}

ATTEMPTS_TEST_P(GrfcA6StreamTest, Statement6TrailersOnlyDoesNotCommit) {
  server_.Push(Fails());
  EXPECT_TRUE(Run().call.status.ok());
  EXPECT_EQ(server_.calls(), 2);
}

ATTEMPTS_TEST_P(GrfcA6StreamTest,
                Statement7OverflowCommitsAndTheAttemptUnderWayGoesOn) {
  policy().stream_retry.replay_buffer_bytes = 4;
  const std::string large(100, 'x');
  EXPECT_TRUE(Run(nullptr, {large, large}).call.status.ok());
  server_.Push(Fails());
  EXPECT_EQ(StoppedBy(Run(nullptr, {large, large})), StopReason::kCommitted);
  EXPECT_EQ(server_.calls(), 2);
}

ATTEMPTS_TEST_P(GrfcA6StreamTest,
                Statement8MessagesAndHalfCloseAreReplayedInFullAndInOrder) {
  server_.Push(2, Fails());
  const StreamResult result = Run();
  EXPECT_TRUE(result.call.status.ok());
  EXPECT_EQ(server_.calls(), 3);
  std::vector<std::string> received;
  for (const ReceivedCall& call : server_.received()) {
    received.push_back(call.text);
  }
  EXPECT_THAT(received, Each(GetParam().kind == StreamKind::kServer
                                 ? std::string("hello")
                                 : std::string("abc")));
}

ATTEMPTS_TEST_P(GrfcA6StreamTest, Statement9HalfOfTheTokensIsTooFew) {
  options_.retry_budget.max_tokens = 4;
  options_.retry_budget.token_ratio = 1;
  policy().retry.max_retries = 1;
  server_.Push(2, Fails());
  EXPECT_EQ(StoppedBy(Run()), StopReason::kBudget);  // Retried at 3; 2 left.
  EXPECT_EQ(server_.calls(), 2);
  server_.Push(Fails());
  EXPECT_EQ(StoppedBy(Run()), StopReason::kBudget);  // 1 left.
  EXPECT_EQ(server_.calls(), 3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Run().call.status.ok());  // 4
  server_.Push(Fails());
  EXPECT_TRUE(Run().call.status.ok());
}

ATTEMPTS_TEST_P(GrfcA6StreamTest,
                Statement10OnlyWhatCouldBeRetriedTakesAToken) {
  options_.retry_budget.max_tokens = 4;
  options_.retry_budget.token_ratio = 0.001;
  server_.Push(5, Fails(StatusCode::NOT_FOUND));
  for (int i = 0; i < 5; ++i) Run();
  server_.Push(Fails());
  EXPECT_TRUE(Run().call.status.ok()) << "there are 3 left";
}

ATTEMPTS_TEST_P(GrfcA6StreamTest,
                Statement13PushbackSetsTheNextDelayExactlyAndStartsAfresh) {
  server_.Push(Fails());
  server_.Push(WithPushback("1234"));
  server_.Push(Fails());
  env_.ScriptUniform({0.5, 0.5});
  EXPECT_TRUE(Run().call.status.ok());
  EXPECT_THAT(backoffs_,
              ElementsAre(absl::Seconds(10), absl::Milliseconds(1234),
                          absl::Seconds(10)));
}

ATTEMPTS_TEST_P(GrfcA6StreamTest,
                Statement13PushbackThatIsNoTimeForbidsRetries) {
  for (const char* value : {"-1", "xxx", "", "12.5"}) {
    server_.Push(WithPushback(value));
    EXPECT_EQ(StoppedBy(Run()), StopReason::kPushback) << value;
  }
  EXPECT_EQ(server_.calls(), 4);
}

ATTEMPTS_TEST_P(GrfcA6StreamTest,
                Statement14PreviousAttemptsAreCountedForTheServer) {
  server_.Push(2, Fails());
  EXPECT_TRUE(Run().call.status.ok());
  std::vector<std::string> numbers;
  for (const ReceivedCall& call : server_.received()) {
    numbers.push_back(ValueOf(call.metadata, "grpc-previous-rpc-attempts"));
  }
  EXPECT_THAT(numbers, ElementsAre("", "1", "2"));
}

}  // namespace
}  // namespace grpc_breaker::e2e
