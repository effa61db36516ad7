// The raw server, as a client of gRPC's without any interceptor sees it.

#include "tests/e2e/raw_server.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "gtest/gtest.h"
#include "tests/e2e/stream_flavours.h"
#include "tests/e2e/unary_flavours.h"
#include "tests/e2e/wait.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;
using ::testing::HasSubstr;

std::shared_ptr<grpc::Channel> ChannelTo(const RawServer& server) {
  return grpc::CreateChannel(server.target(),
                             grpc::InsecureChannelCredentials());
}

std::string SerializedReply(const std::string& text) {
  Reply reply;
  reply.set_text(text);
  return reply.SerializeAsString();
}

CallResult CallOnce(const RawServer& server) {
  return Call(Flavour::kSync, ChannelTo(server), "hello");
}

TEST(RawServerTest, RepliesWithMessageAndMetadata) {
  RawServer server([](RawCall call) {
    call.SendHeaders(ResponseHeaders({{"first", "1"}}));
    call.SendMessage(SerializedReply("raw"));
    call.SendTrailers(StatusTrailers(0, "", {{"last", "2"}}));
  });

  const CallResult result = CallOnce(server);

  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.text, "raw");
  EXPECT_EQ(ValueOf(result.initial_metadata, "first"), "1");
  EXPECT_EQ(ValueOf(result.trailing_metadata, "last"), "2");
}

TEST(RawServerTest, SendsValuesOfAnyLength) {
  // Around the lengths at which HPACK's integers grow.
  for (const size_t size : {1, 126, 127, 128, 254, 255, 3000}) {
    const std::string value(size, 'v');
    RawServer server([&](RawCall call) {
      call.SendTrailersOnly(5, value, {{"key", value}});
    });

    const CallResult result = CallOnce(server);

    EXPECT_EQ(result.status.error_code(), StatusCode::NOT_FOUND);
    EXPECT_EQ(result.status.error_message(), value) << size;
    EXPECT_EQ(ValueOf(result.trailing_metadata, "key"), value) << size;
  }
}

TEST(RawServerTest, SendsBlocksThatNeedSeveralFrames) {
  const std::string text(40000, 't');
  RawServer server([&](RawCall call) {
    if (call.number() == 1) return call.SendReply(SerializedReply(text));
    call.SendTrailersOnly(5, text);
  });
  // By default clients take 8 KiB of metadata.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 100000);
  const auto channel = grpc::CreateCustomChannel(
      server.target(), grpc::InsecureChannelCredentials(), arguments);

  EXPECT_EQ(Call(Flavour::kSync, channel, "").text, text);
  EXPECT_EQ(Call(Flavour::kSync, channel, "").status.error_message(), text);
}

TEST(RawServerTest, TakesManyAndLongRequests) {
  RawServer server([](RawCall call) { call.SendReply(SerializedReply("ok")); });
  const auto channel = ChannelTo(server);

  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(
        Call(Flavour::kSync, channel, std::string(200000, 'x')).status.ok());
  }

  EXPECT_EQ(server.connections(), 1);
  EXPECT_EQ(server.streams(), 10);
  EXPECT_EQ(server.requests(), 10);
}

TEST(RawServerTest, ResetsStreams) {
  RawServer server(
      [](RawCall call) { call.Reset(Http2Error::kEnhanceYourCalm); });

  const CallResult result = CallOnce(server);

  EXPECT_EQ(result.status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(result.status.error_message(), HasSubstr("RST_STREAM"));
}

TEST(RawServerTest, HasStreamsThatItSendsAwayUnseenRepeatedByTheCore) {
  RawServer server([](RawCall call) {
    if (call.number() == 1) return call.GoAway(/*last_stream=*/0);
    call.SendTrailersOnly(5);
  });

  EXPECT_EQ(CallOnce(server).status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(server.streams(), 2);
  EXPECT_EQ(server.connections(), 2);
}

TEST(RawServerTest, FinishesCallsItHasSeenAfterGoAway) {
  RawServer server([](RawCall call) {
    call.GoAway(call.stream());
    call.SendReply(SerializedReply("last"));
  });

  EXPECT_EQ(CallOnce(server).text, "last");
}

TEST(RawServerTest, ClosesConnections) {
  RawServer server([](RawCall call) {
    call.SendHeaders(ResponseHeaders());
    // The prefix of a message that does not come.
    call.SendData(absl::string_view("\0\0\0\0\5he", 7));
    call.CloseConnection();
  });

  EXPECT_FALSE(CallOnce(server).status.ok());
}

TEST(RawServerTest, ResetsConnections) {
  RawServer server([](RawCall call) { call.ResetConnection(); });

  const CallResult result = CallOnce(server);

  EXPECT_EQ(result.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_THAT(result.status.error_message(), HasSubstr("reset"));
}

TEST(RawServerTest, AnswersFromOtherThreads) {
  Slot<RawCall> asked;
  RawServer server([&](RawCall call) { asked.Put(call); });
  const auto channel = ChannelTo(server);
  auto first = StartCall(Flavour::kCallback, channel, "");
  const RawCall first_call = asked.Take("the first request");
  auto second = StartCall(Flavour::kCallback, channel, "");
  const RawCall second_call = asked.Take("the second request");

  second_call.SendReply(SerializedReply("second"));
  first_call.SendReply(SerializedReply("first"));

  EXPECT_EQ(first->Wait().text, "first");
  EXPECT_EQ(second->Wait().text, "second");
}

TEST(RawServerTest, AnswersRequestsBeforeTheirEnd) {
  RawServer server([](RawCall call) { call.SendTrailersOnly(5); },
                   RawServer::When::kRequestBegun);
  const auto stream =
      StartStream({StreamKind::kBidi, StreamApi::kSync}, ChannelTo(server));

  EXPECT_EQ(stream->Read(), std::nullopt);
  EXPECT_EQ(stream->Finish().status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(server.streams(), 1);
}

}  // namespace
}  // namespace grpc_breaker::e2e
