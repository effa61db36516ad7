// Breakers and the connection of their channel: a server that goes away and
// comes back.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/grpc_status.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/probe_listener.h"
#include "tests/e2e/raw_server.h"
#include "tests/e2e/reserved_port.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;

class RecoveryTest : public E2eTest {
 protected:
  RecoveryTest() {
    policy().retry.max_retries = 0;
    policy().breaker.consecutive_failures = 1;
    policy().breaker.half_open_successes = 1;
    Policy& other =
        options_.methods["/grpc_breaker.e2e.TestService/UnaryReadOnly"];
    other.retry.max_retries = 0;
    other.breaker.consecutive_failures = 0;
    other.breaker.failure_rate = 0;
    StartServer();
  }

  // To a server that StopServer and StartServer take away and bring back.
  std::shared_ptr<grpc::Channel> Connect() {
    grpc::ChannelArguments arguments = ReconnectsAfter(absl::Milliseconds(20));
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return MakeChannelTo(server_gone_->target(), arguments);
  }
  void StopServer() { server_gone_.reset(); }
  void StartServer() { server_gone_.emplace(port_.port()); }

  // By another life of the server.
  void Reconnect(const std::shared_ptr<grpc::Channel>& channel) {
    StopServer();
    WaitUntil([&] { return channel->GetState(false) != GRPC_CHANNEL_READY; },
              "the end of the connection");
    StartServer();
    // What is connected may be connected to the one that went, still. Calls
    // that no breaker refuses tell.
    const auto stub = TestService::NewStub(channel);
    WaitUntil(
        [&] {
          grpc::ClientContext context;
          Reply reply;
          return stub->UnaryReadOnly(&context, Request(), &reply).ok();
        },
        "an answer by a new connection");
  }

  BreakerState state() { return Breaker(kUnary).state; }
  static bool Succeeds(const std::shared_ptr<grpc::Channel>& channel) {
    return Call(Flavour::kSync, channel, "hello").status.ok();
  }

  const ReservedPort port_;
  std::optional<TestServer> server_gone_;
};

// The manual clock stands still: nothing becomes due by time.
TEST_F(RecoveryTest, BreakerThatHadNoAnswerProbesWhenTheChannelIsConnected) {
  const auto channel = Connect();
  ASSERT_TRUE(Succeeds(channel));
  StopServer();
  EXPECT_FALSE(Succeeds(channel));
  ASSERT_EQ(state(), BreakerState::kOpen);
  EXPECT_FALSE(Succeeds(channel));

  StartServer();
  WaitUntil([this] { return state() == BreakerState::kHalfOpen; },
            "an early probe");

  EXPECT_TRUE(Succeeds(channel));
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(RecoveryTest, EveryOutageIsFollowedByAProbe) {
  const auto channel = Connect();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Succeeds(channel)) << i;
    StopServer();
    EXPECT_FALSE(Succeeds(channel));
    ASSERT_EQ(state(), BreakerState::kOpen);
    StartServer();
    WaitUntil([this] { return state() == BreakerState::kHalfOpen; },
              "an early probe");
  }
}

TEST_F(RecoveryTest, BreakerThatOpenedByAnswersWaitsForItsTime) {
  const auto channel = Connect();
  server_gone_->Push(Answer::Error(StatusCode::INTERNAL));
  EXPECT_FALSE(Succeeds(channel));
  ASSERT_EQ(state(), BreakerState::kOpen);

  Reconnect(channel);

  // What was to come of it would have come by the second new connection.
  Reconnect(channel);
  EXPECT_EQ(state(), BreakerState::kOpen);
  env_.Advance(policy().breaker.open_duration);
  EXPECT_TRUE(Succeeds(channel));
}

// A server that connects and then fails every call would be asked at each
// connection otherwise.
TEST_F(RecoveryTest, ConnectionThatProvesWorthlessIsNoSignASecondTime) {
  RawServer server([](RawCall call) { call.CloseConnection(); });
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  const auto channel = MakeChannelTo(server.target(), arguments);
  EXPECT_FALSE(Succeeds(channel));
  WaitUntil([this] { return state() == BreakerState::kHalfOpen; },
            "an early probe");
  const int connections = server.connections();
  EXPECT_FALSE(Succeeds(channel));
  ASSERT_EQ(state(), BreakerState::kOpen);
  WaitUntil([&] { return server.connections() > connections; },
            "another connection");
  WaitUntil([&] { return channel->GetState(false) == GRPC_CHANNEL_READY; },
            "another connection");

  EXPECT_TRUE(
      IsBreakerRejection(Call(Flavour::kSync, channel, "hello").status));
  EXPECT_EQ(server.requests(), 2);
}

TEST_F(RecoveryTest, NothingProbesEarlyWhereTheOptionIsOff) {
  options_.probe_when_connected = false;
  const auto channel = Connect();
  ASSERT_TRUE(Succeeds(channel));
  StopServer();
  EXPECT_FALSE(Succeeds(channel));
  ASSERT_EQ(state(), BreakerState::kOpen);
  StartServer();
  WaitUntil([&] { return channel->GetState(true) == GRPC_CHANNEL_READY; },
            "a new connection");

  EXPECT_FALSE(Succeeds(channel));
  EXPECT_EQ(state(), BreakerState::kOpen);
}

TEST_F(RecoveryTest, ChannelMayGoWhileItIsWatched) {
  for (int i = 0; i < 20; ++i) {
    auto channel = Connect();
    ASSERT_TRUE(Succeeds(channel));
    StopServer();
    EXPECT_FALSE(Succeeds(channel));
    ASSERT_EQ(state(), BreakerState::kOpen);
    if (i % 2 == 0) {
      channel.reset();
      StartServer();
    } else {
      StartServer();
      channel.reset();
    }
    WaitUntil([this] { return directory_.Registries().empty(); },
              "the end of the registry");
  }
}

TEST_F(RecoveryTest, DestroyedChannelUsesNothingOfTheApplicationsAnyMore) {
  absl::Notification probing;
  absl::Notification destroyed;
  bool outlived = false;
  options_.listeners.push_back(std::make_shared<ProbeListener>([&] {
    probing.Notify();
    // What must not come can only be waited for by the clock.
    outlived =
        destroyed.WaitForNotificationWithTimeout(absl::Milliseconds(200));
  }));
  auto channel = Connect();
  ASSERT_TRUE(Succeeds(channel));
  StopServer();
  EXPECT_FALSE(Succeeds(channel));
  StartServer();
  probing.WaitForNotification();

  channel.reset();
  destroyed.Notify();

  EXPECT_FALSE(outlived);
  EXPECT_TRUE(directory_.Registries().empty());
}

// gRPC's channel lives as long as the context of a call.
TEST_F(RecoveryTest, ContextOfACallKeepsNoWatchGoing) {
  absl::Notification probing;
  options_.listeners.push_back(
      std::make_shared<ProbeListener>([&] { probing.Notify(); }));
  auto channel = Connect();
  ASSERT_TRUE(Succeeds(channel));
  StopServer();
  grpc::ClientContext context;
  Reply reply;
  EXPECT_FALSE(
      TestService::NewStub(channel)->Unary(&context, Request(), &reply).ok());

  channel.reset();
  StartServer();

  // What must not come can only be waited for by the clock.
  EXPECT_FALSE(probing.WaitForNotificationWithTimeout(absl::Milliseconds(200)));
}

TEST_F(RecoveryTest, ListenerMayDestroyTheChannelThatItHearsOf) {
  std::shared_ptr<grpc::Channel> channel;
  absl::Notification destroyed;
  options_.listeners.push_back(std::make_shared<ProbeListener>([&] {
    channel.reset();
    destroyed.Notify();
  }));
  channel = Connect();
  ASSERT_TRUE(Succeeds(channel));
  StopServer();
  EXPECT_FALSE(Succeeds(channel));
  StartServer();

  destroyed.WaitForNotification();
  WaitUntil([this] { return directory_.Registries().empty(); },
            "the end of the registry");
}

// Each with a clock of its own, which goes with it.
TEST_F(RecoveryTest, ClockMayGoAsSoonAsTheChannelHas) {
  for (int i = 0; i < 20; ++i) {
    ManualEnvironment environment;
    options_.environment = &environment;
    auto channel = Connect();
    ASSERT_TRUE(Succeeds(channel));
    StopServer();
    EXPECT_FALSE(Succeeds(channel));
    StartServer();
    if (i % 2 == 0) {
      WaitUntil([&] { return channel->GetState(false) == GRPC_CHANNEL_READY; },
                "a new connection");
    }
    channel.reset();
  }
  options_.environment = &env_;
}

}  // namespace
}  // namespace grpc_breaker::e2e
