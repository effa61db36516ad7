// What comes from the wire that no well-kept server sends, and what becomes of
// the call: requests that were refused, pages of proxies, replies that are
// none, rejections from further down. Who made a status is in
// error_origin_test.cc.

#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "grpc_breaker/trailing_metadata.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/raw_server.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;

using WireTest = E2eTest;

ATTEMPTS_TEST_F(WireTest,
                CallThatAServerRefusedUnseenIsRepeatedThoughItMayNotBe) {
  policy().idempotency = Idempotency::kAsDeclared;
  for (const bool by_goaway : {false, true}) {
    // The core repeats what a GOAWAY says nobody saw once by itself.
    const int refusals = by_goaway ? 6 : 3;
    RawServer server([=](RawCall call) {
      if (call.number() > refusals) return call.SendReply("");
      by_goaway ? call.GoAway(0) : call.Reset(Http2Error::kRefusedStream);
    });

    auto call = StartCall(Flavour::kQueue, MakeChannelTo(server.target()), "x");
    for (int i = 0; i < 3; ++i) FinishBackoff();

    EXPECT_TRUE(call->Wait().status.ok());
    EXPECT_EQ(server.requests(), refusals + 1);
  }
}

TEST_F(WireTest, CallThatAServerMayHaveSeenIsNotRepeatedUnlessItMayBe) {
  policy().idempotency = Idempotency::kAsDeclared;
  RawServer server(
      [](RawCall call) { call.Reset(Http2Error::kInternalError); });

  Call(Flavour::kQueue, MakeChannelTo(server.target()), "x");

  EXPECT_EQ(server.requests(), 1);
}

// gRPC 1.51 does not always tell of the initial metadata of such an answer
// where the application asks for them alone: not to a bare channel, and not
// past the deadline.
ATTEMPTS_TEST_F(WireTest, PagesOfAProxyEndCallsThatReadInitialMetadata) {
  RawServer server([](RawCall call) {
    call.SendHeaders({{":status", "401"}, {"content-type", "text/html"}});
    call.SendData("<html>who are you?</html>", /*end_stream=*/true);
  });
  policy().breaker.enabled = false;
  const auto channel = MakeChannelTo(server.target());
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(
        Call(Flavour::kQueueMetadata, channel, "hello").status.error_code(),
        StatusCode::UNAUTHENTICATED);
  }
}

// gRPC 1.83 with assertions ends the process when it is asked about a call that
// ended in the middle of its headers.
ATTEMPTS_TEST_F(WireTest, HeadersThatAreTooLargeEndACallOfTheLibrarysOwn) {
  RawServer server([](RawCall call) {
    call.SendHeaders(ResponseHeaders({{"x-large", std::string(20'000, 'x')}}));
    call.SendTrailers(StatusTrailers(0));
  });
  for (const Flavour flavour : AllFlavours()) {
    EXPECT_EQ(Call(flavour, MakeChannelTo(server.target()), "hello")
                  .status.error_code(),
              StatusCode::RESOURCE_EXHAUSTED)
        << ToString(flavour);
  }
}

// ---- Replies of attempts that fail

class FailedReplyTest : public WireTest,
                        public ::testing::WithParamInterface<UnaryWay> {
 protected:
  FailedReplyTest() { GoBy(GetParam(), policy()); }

  static std::string ReplyOf(const std::string& text) {
    Reply reply;
    reply.set_text(text);
    return reply.SerializeAsString();
  }
};

ATTEMPTS_TEST_P(FailedReplyTest, GivesWayToThatOfTheAttemptThatSucceeds) {
  RawServer server([](RawCall call) {
    if (call.number() == 2) return call.SendReply(ReplyOf("second"));
    call.SendHeaders(ResponseHeaders());
    call.SendMessage(ReplyOf("first"));
    call.SendTrailers(StatusTrailers(StatusCode::UNAVAILABLE));
  });

  auto call =
      StartCall(GetParam().flavour, MakeChannelTo(server.target()), "hello");
  FinishBackoff();
  const CallResult result = call->Wait();

  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.text, "second");
}

ATTEMPTS_TEST_P(FailedReplyTest, GivesWayToThatOfTheFallback) {
  policy().retry.max_retries = 0;
  policy().fallback =
      Fallback::Fixed(grpc::Status::OK, ReplyOf("from the fallback"));
  RawServer server([](RawCall call) {
    call.SendHeaders(ResponseHeaders());
    call.SendMessage(ReplyOf("first"));
    call.SendTrailers(StatusTrailers(StatusCode::UNAVAILABLE));
  });

  const CallResult result =
      Call(GetParam().flavour, MakeChannelTo(server.target()), "hello");

  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.text, "from the fallback");
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(FailedReplyTest);
INSTANTIATE_TEST_SUITE_P(Flavours, FailedReplyTest,
                         ::testing::ValuesIn(AllUnaryWays()),
                         [](const auto& info) { return ToString(info.param); });

// ---- Replies that are none

class BadReplyTest : public WireTest,
                     public ::testing::WithParamInterface<UnaryWay> {
 protected:
  BadReplyTest() { GoBy(GetParam(), policy()); }

  // For a generic stub, any bytes are a reply.
  static std::vector<RawServer::Script> BadReplies() {
    std::vector<RawServer::Script> scripts = {
        [](RawCall call) { call.SendTrailersOnly(StatusCode::OK); },
        AfterHeaders(
            [](RawCall call) { call.SendTrailers(StatusTrailers(0)); }),
        AfterHeaders([](RawCall call) {
          call.SendData(kHalfAMessage);
          call.SendTrailers(StatusTrailers(0));
        }),
    };
    if (!IsGeneric(GetParam().flavour)) {
      scripts.push_back([](RawCall call) { call.SendReply("\xff\xff\xff"); });
    }
    return scripts;
  }
};

ATTEMPTS_TEST_P(BadReplyTest, IsAFailureOfTheServerWithTheStatusThatGrpcGives) {
  for (const RawServer::Script& script : BadReplies()) {
    RawServer server(script);
    std::vector<grpc::Status> told;
    policy().on_final_failure = [&](const FailedCall& call) {
      told.push_back(call.status);
    };

    const auto channel = MakeChannelTo(server.target());
    const CallResult result = Call(GetParam().flavour, channel, "hello");

    EXPECT_EQ(result.status.error_code(), StatusCode::UNIMPLEMENTED);
    EXPECT_EQ(result.status.error_message(),
              "No message returned for unary request");
    EXPECT_TRUE(result.finished_ok);
    EXPECT_EQ(LastClass(kUnary), "PERMANENT HIGH FAILURE");
    EXPECT_EQ(Breaker(kUnary).counts.failures, 1);
    EXPECT_EQ(Breaker(kUnary).counts.successes, 0);
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].error_code(), StatusCode::UNIMPLEMENTED);
    EXPECT_EQ(server.requests(), 1);
  }
}

ATTEMPTS_TEST_P(BadReplyTest, IsAnsweredByTheFallback) {
  Reply reply;
  reply.set_text("from the fallback");
  policy().fallback =
      Fallback::Fixed(grpc::Status::OK, reply.SerializeAsString());
  for (const RawServer::Script& script : BadReplies()) {
    RawServer server(script);

    const auto channel = MakeChannelTo(server.target());
    const CallResult result = Call(GetParam().flavour, channel, "hello");

    EXPECT_TRUE(result.status.ok()) << result.status.error_message();
    EXPECT_EQ(result.text, "from the fallback");
    EXPECT_TRUE(result.finished_ok);
    EXPECT_EQ(Breaker(kUnary).counts.failures, 1);
  }
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BadReplyTest);
INSTANTIATE_TEST_SUITE_P(Flavours, BadReplyTest,
                         ::testing::ValuesIn(AllUnaryWays()),
                         [](const auto& info) { return ToString(info.param); });

TEST_F(WireTest, OkWithoutAReplyIsAFailureOfANativeCallAsWell) {
  policy().retry.max_retries = 0;
  RawServer server([](RawCall call) { call.SendTrailersOnly(StatusCode::OK); });

  const auto channel = MakeChannelTo(server.target());
  const CallResult result = Call(Flavour::kSync, channel, "hello");

  EXPECT_EQ(result.status.error_code(), StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(LastClass(kUnary), "PERMANENT HIGH FAILURE");
  EXPECT_EQ(Breaker(kUnary).counts.failures, 1);
}

// ---- What servers pass on from further down

TEST_F(WireTest, RejectionThatAServerPassesOnIsNoneOfThisCall) {
  // The server is a client, too, whose breaker refuses.
  Directory hidden;
  Options options;
  options.environment = &env_;
  options.directory = &hidden;
  options.default_policy.breaker.consecutive_failures = 1;
  options.default_policy.retry.max_retries = 0;
  auto further =
      CreateChannel("127.0.0.1:1", grpc::InsecureChannelCredentials(), options);
  ASSERT_TRUE(further.ok());
  EXPECT_FALSE(Call(Flavour::kSync, *further, "opens").status.ok());
  Answer pass_on;
  pass_on.handler = [&](grpc::ServerContext& context) {
    grpc::ClientContext inner;
    Reply reply;
    const grpc::Status status =
        TestService::NewStub(*further)->Unary(&inner, Request(), &reply);
    EXPECT_TRUE(IsBreakerRejection(status));
    for (const auto& [key, value] : inner.GetServerTrailingMetadata()) {
      context.AddTrailingMetadata({key.data(), key.size()},
                                  {value.data(), value.size()});
    }
    return status;
  };
  for (const int retries : {0, 1}) {  // Natively, and not.
    policy().retry.max_retries = retries;
    policy().idempotency = Idempotency::kAsDeclared;
    server_.Push(pass_on);

    const auto channel = MakeChannel();
    const CallResult result = Call(Flavour::kSync, channel, "hello");

    EXPECT_EQ(result.status.error_code(), StatusCode::UNAVAILABLE);
    EXPECT_FALSE(IsBreakerRejection(result.status));
    ASSERT_TRUE(RejectionDetailOf(result.status).has_value());
    EXPECT_EQ(RejectionDetailOf(result.status)->state, "OPEN");
    EXPECT_EQ(result.trailing_metadata.count(kRejectedKey), 0u);
    EXPECT_EQ(result.trailing_metadata.count(kRetryAfterKey), 0u);
    EXPECT_EQ(Breaker(kUnary).counts.failures, 1);
    EXPECT_EQ(LastClass(kUnary), "TRANSIENT MEDIUM FAILURE retryable");
  }
}

}  // namespace
}  // namespace grpc_breaker::e2e
