// gRFC A6 (client retries), statement by statement, for unary calls over a real
// server; grfc_a6_stream_test.cc has them for streams. Policies are those of a
// service config.

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/call_history.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/raw_server.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class GrfcA6Test : public E2eTest,
                   public ::testing::WithParamInterface<UnaryWay> {
 protected:
  // A method config of the test service; `more` goes into its retryPolicy.
  static std::string RetryPolicyWith(int max_attempts,
                                     const std::string& throttling = "") {
    return absl::Substitute(R"json({"methodConfig": [{
        "name": [{"service": "grpc_breaker.e2e.TestService"}],
        "retryPolicy": {"maxAttempts": $0, "initialBackoff": "10s",
          "maxBackoff": "25s", "backoffMultiplier": 2,
          "retryableStatusCodes": ["UNAVAILABLE", "ABORTED"]}}]$1})json",
                            max_attempts, throttling);
  }

  std::shared_ptr<grpc::Channel> ChannelOf(
      const std::string& service_config,
      grpc::ChannelArguments arguments = grpc::ChannelArguments(),
      const std::string& target = "") {
    auto options = Options::FromServiceConfig(service_config);
    EXPECT_TRUE(options.ok()) << options.status();
    options->environment = &env_;
    options->directory = &directory_;
    Policy& policy = options->services["/grpc_breaker.e2e.TestService/"];
    // Breakers are no business of A6's.
    policy.breaker.enabled = false;
    GoBy(GetParam(), policy);
    auto channel = CreateChannel(target.empty() ? server_.target() : target,
                                 grpc::InsecureChannelCredentials(),
                                 *std::move(options), arguments);
    EXPECT_TRUE(channel.ok()) << channel.status();
    return *channel;
  }

  // Ends the call, whatever backoffs it takes, and says how long those were.
  CallResult Run(const std::shared_ptr<grpc::Channel>& channel,
                 const Configure& configure = nullptr) {
    return ThroughBackoffs(
        [&] { return Call(GetParam().flavour, channel, "hello", configure); });
  }

  static Answer WithPushback(StatusCode code, const std::string& value) {
    Answer answer = Answer::Error(code);
    answer.trailing_metadata = {{"grpc-retry-pushback-ms", value}};
    return answer;
  }

  std::string PreviousAttempts(int call) {
    return ValueOf(server_.received().at(call).metadata,
                   "grpc-previous-rpc-attempts");
  }
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GrfcA6Test);
INSTANTIATE_TEST_SUITE_P(Flavours, GrfcA6Test,
                         ::testing::ValuesIn(AllUnaryWays()),
                         [](const auto& info) { return ToString(info.param); });

ATTEMPTS_TEST_P(GrfcA6Test, Statement1MaxAttemptsIncludesTheOriginal) {
  server_.SetDefault(Answer::Error(StatusCode::UNAVAILABLE));
  EXPECT_EQ(Run(ChannelOf(RetryPolicyWith(3))).status.error_code(),
            StatusCode::UNAVAILABLE);
  EXPECT_EQ(server_.calls(), 3);
}

ATTEMPTS_TEST_P(GrfcA6Test,
                Statement1MaxAttemptsBeyondTheClientsLimitIsTheLimit) {
  server_.SetDefault(Answer::Error(StatusCode::UNAVAILABLE));
  Run(ChannelOf(RetryPolicyWith(9)));
  EXPECT_EQ(server_.calls(), 5);
}

ATTEMPTS_TEST_P(GrfcA6Test, Statement2DeadlineSpansAllAttemptsAndBackoffs) {
  server_.SetDefault(Answer::Error(StatusCode::UNAVAILABLE));
  env_.ScriptUniform({0.5, 0.5, 0.5});
  const auto deadline =
      std::chrono::system_clock::now() + std::chrono::seconds(29);
  const CallResult result = Run(
      ChannelOf(RetryPolicyWith(5)),
      [&](grpc::ClientContext* context) { context->set_deadline(deadline); });

  // After 10 s there is no room for 20 s more.
  EXPECT_EQ(server_.calls(), 2);
  EXPECT_EQ(CallHistoryOf(result.status)->stopped, StopReason::kDeadline);
  for (const ReceivedCall& call : server_.received()) {
    EXPECT_LE(call.deadline, deadline + std::chrono::seconds(2));
    EXPECT_GE(call.deadline, deadline - std::chrono::seconds(2));
  }
}

ATTEMPTS_TEST_P(GrfcA6Test,
                Statement3BackoffsGrowToTheLongestGiveOrTakeAFifth) {
  server_.SetDefault(Answer::Error(StatusCode::UNAVAILABLE));
  env_.ScriptUniform({0.0, 0.5, 0.25, 0.5});
  Run(ChannelOf(RetryPolicyWith(5)));
  EXPECT_THAT(backoffs_, ElementsAre(absl::Seconds(8), absl::Seconds(20),
                                     absl::Seconds(22.5), absl::Seconds(25)));
}

ATTEMPTS_TEST_P(GrfcA6Test, Statement4OnlyListedCodesAreRetried) {
  const auto channel = ChannelOf(RetryPolicyWith(2));
  int calls = 0;
  for (int code = 1; code <= 16; ++code) {
    // CANCELLED by a server is a code like others.
    const bool listed =
        code == StatusCode::UNAVAILABLE || code == StatusCode::ABORTED;
    server_.Push(Answer::Error(static_cast<StatusCode>(code)));
    EXPECT_EQ(Run(channel).status.ok(), listed) << code;
    calls += listed ? 2 : 1;
    EXPECT_EQ(server_.calls(), calls) << code;
  }
  EXPECT_TRUE(Run(channel).status.ok());
  EXPECT_EQ(server_.calls(), calls + 1);
}

ATTEMPTS_TEST_P(GrfcA6Test, Statement5ResponseHeadersCommit) {
  for (const HeaderList& more :
       {HeaderList(), HeaderList({{"key", "value"}})}) {
    RawServer server([more](RawCall call) {
      call.SendHeaders(ResponseHeaders(more));
      call.SendTrailers(StatusTrailers(StatusCode::UNAVAILABLE, "busy"));
    });
    const CallResult result =
        Run(ChannelOf(RetryPolicyWith(5), {}, server.target()));
    EXPECT_EQ(result.status.error_message(), "busy");
    EXPECT_EQ(CallHistoryOf(result.status)->stopped, StopReason::kCommitted);
    EXPECT_EQ(server.requests(), 1);
  }
}

ATTEMPTS_TEST_P(GrfcA6Test, Statement6ConnectionThatIsRefusedDoesNotCommit) {
  const CallResult result =
      Run(ChannelOf(RetryPolicyWith(3), {}, "127.0.0.1:1"));
  EXPECT_EQ(CallHistoryOf(result.status)->stopped, StopReason::kExhausted);
}

ATTEMPTS_TEST_P(GrfcA6Test, Statement6TrailersOnlyDoesNotCommit) {
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  EXPECT_TRUE(Run(ChannelOf(RetryPolicyWith(2))).status.ok());
  EXPECT_EQ(server_.calls(), 2);
}

ATTEMPTS_TEST_P(GrfcA6Test, Statement8TheMessageIsReplayedInFull) {
  server_.Push(2, Answer::Error(StatusCode::UNAVAILABLE));
  EXPECT_EQ(Run(ChannelOf(RetryPolicyWith(5))).text, "hello");
  ASSERT_EQ(server_.calls(), 3);
  for (const ReceivedCall& call : server_.received()) {
    EXPECT_EQ(call.text, "hello");
  }
}

// grpc-java's vector: max 4, ratio .8.
ATTEMPTS_TEST_P(GrfcA6Test,
                Statement9TokensStartAtTheMostAndHalfOfThemIsTooFew) {
  const auto channel = ChannelOf(RetryPolicyWith(
      2, R"(, "retryThrottling": {"maxTokens": 4, "tokenRatio": 0.8})"));
  const auto fails_after = [&] {
    const int before = server_.calls();
    server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
    Run(channel);
    return server_.calls() - before;
  };
  // The retry succeeds: 4 - 1 + .8.
  EXPECT_EQ(fails_after(), 2);
  EXPECT_EQ(fails_after(), 2);  // 3.6
  server_.Push(2, Answer::Error(StatusCode::UNAVAILABLE));
  Run(channel);                 // Retried at 2.6, and failed: 1.6.
  EXPECT_EQ(fails_after(), 1);  // .6
  EXPECT_EQ(fails_after(), 1);  // 0
  EXPECT_EQ(fails_after(), 1);  // 0
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Run(channel).status.ok());  // 2.4
  EXPECT_EQ(fails_after(), 1);                                        // 1.4
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Run(channel).status.ok());  // 3.8
  EXPECT_EQ(fails_after(), 2);
}

ATTEMPTS_TEST_P(GrfcA6Test,
                Statement10OnlyWhatCouldBeRetriedTakesATokenAndSoDoesTheLast) {
  const std::string throttling =
      R"(, "retryThrottling": {"maxTokens": 4, "tokenRatio": 0.001})";
  const auto channel = ChannelOf(RetryPolicyWith(2, throttling));
  server_.Push(10, Answer::Error(StatusCode::NOT_FOUND));
  for (int i = 0; i < 10; ++i) Run(channel);
  EXPECT_EQ(server_.calls(), 10);
  // A pushback that forbids retries takes one, whatever the code: 3 left.
  server_.Push(WithPushback(StatusCode::NOT_FOUND, "-1"));
  Run(channel);
  EXPECT_EQ(server_.calls(), 11);
  // This one is retried at no more than 2: not at all.
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  EXPECT_EQ(CallHistoryOf(Run(channel).status)->stopped, StopReason::kBudget);
  EXPECT_EQ(server_.calls(), 12);
}

ATTEMPTS_TEST_P(GrfcA6Test, Statement10TheLastAttemptTakesATokenAsWell) {
  const auto channel = ChannelOf(RetryPolicyWith(
      2, R"(, "retryThrottling": {"maxTokens": 6, "tokenRatio": 0.001})"));
  server_.Push(2, Answer::Error(StatusCode::UNAVAILABLE));
  Run(channel);  // 4 left.
  EXPECT_EQ(server_.calls(), 2);
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  EXPECT_EQ(CallHistoryOf(Run(channel).status)->stopped, StopReason::kBudget);
}

TEST_P(GrfcA6Test, Statement11TokensAreUpTo1000AndTheirRatioHasThreeDecimals) {
  const auto options_of = [](const std::string& throttling) {
    return Options::FromServiceConfig(
        absl::StrCat(R"({"retryThrottling": )", throttling, "}"));
  };
  EXPECT_THAT(std::string(options_of(R"({"maxTokens": 1001, "tokenRatio": 1})")
                              .status()
                              .message()),
              HasSubstr("retryThrottling.maxTokens"));
  EXPECT_THAT(std::string(options_of(R"({"maxTokens": 0, "tokenRatio": 1})")
                              .status()
                              .message()),
              HasSubstr("retryThrottling.maxTokens"));
  const auto options = options_of(R"({"maxTokens": 10, "tokenRatio": 0.1239})");
  ASSERT_TRUE(options.ok()) << options.status();
  RetryBudget budget(options->retry_budget);
  EXPECT_TRUE(budget.RecordFailure());
  budget.RecordSuccess();
  EXPECT_NEAR(budget.tokens(), 9.123, 1e-9);
}

ATTEMPTS_TEST_P(GrfcA6Test,
                Statement12TheThrottleIsSharedByTheChannelsOfAServerName) {
  const std::string config = RetryPolicyWith(
      2, R"(, "retryThrottling": {"maxTokens": 2, "tokenRatio": 0.001})");
  const auto first = ChannelOf(config);
  const auto second = ChannelOf(config);
  server_.Push(1, Answer::Error(StatusCode::UNAVAILABLE));
  EXPECT_EQ(CallHistoryOf(Run(first).status)->stopped, StopReason::kBudget);

  server_.Push(1, Answer::Error(StatusCode::UNAVAILABLE));
  EXPECT_EQ(CallHistoryOf(Run(second).status)->stopped, StopReason::kBudget);
}

ATTEMPTS_TEST_P(GrfcA6Test,
                Statement13PushbackSetsTheNextDelayExactlyAndStartsAfresh) {
  server_.Push(2, Answer::Error(StatusCode::UNAVAILABLE));
  server_.Push(WithPushback(StatusCode::UNAVAILABLE, "1234"));
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  env_.ScriptUniform({0.5, 0.5, 0.5});
  EXPECT_TRUE(Run(ChannelOf(RetryPolicyWith(5))).status.ok());
  EXPECT_THAT(backoffs_,
              ElementsAre(absl::Seconds(10), absl::Seconds(20),
                          absl::Milliseconds(1234), absl::Seconds(10)));
}

ATTEMPTS_TEST_P(GrfcA6Test, Statement13PushbackThatIsNoTimeForbidsRetries) {
  const auto channel = ChannelOf(RetryPolicyWith(5));
  for (const char* value : {"-1", "xxx", "", "12.5"}) {
    server_.Push(WithPushback(StatusCode::UNAVAILABLE, value));
    const CallResult result = Run(channel);
    EXPECT_FALSE(result.status.ok()) << value;
    EXPECT_EQ(CallHistoryOf(result.status)->stopped, StopReason::kPushback);
  }
  EXPECT_EQ(server_.calls(), 4);
}

ATTEMPTS_TEST_P(GrfcA6Test,
                Statement13PushbackAllowsNothingThatIsNotAllowedAnyway) {
  const auto channel = ChannelOf(RetryPolicyWith(2));
  server_.Push(WithPushback(StatusCode::NOT_FOUND, "0"));
  EXPECT_FALSE(Run(channel).status.ok());
  EXPECT_EQ(server_.calls(), 1);
  server_.Push(2, WithPushback(StatusCode::UNAVAILABLE, "0"));
  EXPECT_FALSE(Run(channel).status.ok());
  EXPECT_EQ(server_.calls(), 3);
}

ATTEMPTS_TEST_P(GrfcA6Test, Statement14PreviousAttemptsAreCountedForTheServer) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // See docs/limits.md.
  server_.Push(2, Answer::Error(StatusCode::UNAVAILABLE));
  EXPECT_TRUE(Run(ChannelOf(RetryPolicyWith(5), arguments)).status.ok());
  EXPECT_EQ(PreviousAttempts(0), "");
  EXPECT_EQ(PreviousAttempts(1), "1");
  EXPECT_EQ(PreviousAttempts(2), "2");
}

}  // namespace
}  // namespace grpc_breaker::e2e
