// The harness itself, on a channel without any interceptor: what fails here is
// no failure of the library.

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "gtest/gtest.h"
#include "tests/e2e/stream_flavours.h"
#include "tests/e2e/test_server.h"
#include "tests/e2e/unary_flavours.h"

namespace grpc_breaker::e2e {
namespace {

using ::testing::ElementsAre;

std::shared_ptr<grpc::Channel> ChannelTo(const TestServer& server) {
  return grpc::CreateChannel(server.target(),
                             grpc::InsecureChannelCredentials());
}

class UnaryFlavourTest : public ::testing::TestWithParam<Flavour> {};

INSTANTIATE_TEST_SUITE_P(Flavours, UnaryFlavourTest,
                         ::testing::ValuesIn(AllFlavours()),
                         [](const auto& info) { return ToString(info.param); });

TEST_P(UnaryFlavourTest, ShowsReplyStatusAndMetadata) {
  TestServer server;
  Answer failure = Answer::Error(grpc::StatusCode::ABORTED, "scripted");
  failure.trailing_metadata = {{"key", "value"}};
  server.Push(failure);
  const auto channel = ChannelTo(server);

  const CallResult failed = Call(GetParam(), channel, "first");
  const CallResult succeeded = Call(GetParam(), channel, "second");

  EXPECT_EQ(failed.status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(ValueOf(failed.trailing_metadata, "key"), "value");
  EXPECT_TRUE(succeeded.status.ok());
  EXPECT_EQ(succeeded.text, "second");
  EXPECT_EQ(server.calls(), 2);
}

TEST_P(UnaryFlavourTest, CancelsABlockedCall) {
  TestServer server;
  auto gate = std::make_shared<Gate>();
  server.Push(Answer::Blocked(gate));
  auto call = StartCall(GetParam(), ChannelTo(server), "hello");
  gate->WaitForArrivals(1);

  call->Cancel();

  EXPECT_EQ(call->Wait().status.error_code(), grpc::StatusCode::CANCELLED);
  gate->WaitForCancellations(1);
}

class StreamFlavourTest : public ::testing::TestWithParam<StreamFlavour> {};

INSTANTIATE_TEST_SUITE_P(Flavours, StreamFlavourTest,
                         ::testing::ValuesIn(AllStreamFlavours()),
                         [](const auto& info) { return ToString(info.param); });

TEST_P(StreamFlavourTest, CarriesMessagesAndStatus) {
  TestServer server;
  Answer failure = Answer::Error(grpc::StatusCode::ABORTED, "scripted");
  server.Push(Answer());
  server.Push(failure);
  const StreamKind kind = GetParam().kind;

  const auto channel = ChannelTo(server);
  const auto good = StartStream(GetParam(), channel);
  const StreamResult succeeded = RunStream(*good, kind, {"a", "b"});
  const auto bad = StartStream(GetParam(), channel);
  const StreamResult failed = RunStream(*bad, kind, {"a", "b"});

  EXPECT_TRUE(succeeded.call.status.ok());
  EXPECT_TRUE(succeeded.all_written);
  if (kind == StreamKind::kClient) {
    EXPECT_EQ(succeeded.call.text, "ab");
  } else if (kind == StreamKind::kServer) {
    EXPECT_THAT(succeeded.replies, ElementsAre("hello", "hello", "hello"));
  } else {
    EXPECT_THAT(succeeded.replies, ElementsAre("a", "b"));
  }
  EXPECT_EQ(failed.call.status.error_code(), grpc::StatusCode::ABORTED);
}

}  // namespace
}  // namespace grpc_breaker::e2e
