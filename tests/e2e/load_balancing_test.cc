// One bad backend of two behind round_robin: what a breaker makes of it, and
// what takes the bad one out of the channel before it does.

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpc_breaker/grpc_status.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/support/channel_arguments.h"
#include "tests/e2e/fixture.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;

// Answers every call with the same status, and tells of its health.
class Backend {
 public:
  Backend() {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
  }
  ~Backend() { server_->Shutdown(std::chrono::system_clock::now()); }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }
  int calls() const { return service_.calls; }
  void Fail(bool fails) { service_.fails = fails; }
  void SetServing(bool serving) {
    server_->GetHealthCheckService()->SetServingStatus("e2e", serving);
  }

 private:
  class Service final : public TestService::Service {
   public:
    grpc::Status Unary(grpc::ServerContext* /*context*/,
                       const Request* /*request*/, Reply* /*reply*/) override {
      ++calls;
      return fails ? grpc::Status(StatusCode::UNAVAILABLE, "broken")
                   : grpc::Status::OK;
    }

    std::atomic<int> calls{0};
    std::atomic<bool> fails{false};
  };

  Service service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

class LoadBalancingTest : public E2eTest {
 protected:
  LoadBalancingTest() {
    policy().retry.max_retries = 0;
    policy().breaker.consecutive_failures = 0;
    policy().breaker.failure_rate = 0.4;
    policy().breaker.minimum_calls = 20;
  }

  std::shared_ptr<grpc::Channel> MakeBalancedChannel(
      const std::string& service_config) {
    grpc::ChannelArguments arguments;
    arguments.SetServiceConfigJSON(service_config);
    auto channel = CreateChannel(
        absl::StrCat("ipv4:", good_.address(), ",", bad_.address()),
        grpc::InsecureChannelCredentials(), options_, arguments);
    EXPECT_TRUE(channel.ok()) << channel.status();
    return *channel;
  }

  // Until both backends have had a call, so that neither is still connecting.
  void CallBoth(const std::shared_ptr<grpc::Channel>& channel) {
    WaitUntil(
        [&] {
          Call(Flavour::kSync, channel, "hello");
          return good_.calls() > 0 && bad_.calls() > 0;
        },
        "a call to each backend");
  }

  Backend good_;
  Backend bad_;
};

TEST_F(LoadBalancingTest, OneBadBackendOfTwoOpensTheBreakerOfBoth) {
  const auto channel =
      MakeBalancedChannel(R"({"loadBalancingConfig": [{"round_robin": {}}]})");
  CallBoth(channel);
  bad_.Fail(true);

  WaitUntil(
      [&] {
        return IsBreakerRejection(Call(Flavour::kSync, channel, "").status);
      },
      "the breaker to open");

  EXPECT_EQ(Breaker(kUnary).state, BreakerState::kOpen);
  // In turn, so that the good one had as many, but for where they began.
  EXPECT_GE(good_.calls() + 2, bad_.calls());
}

TEST_F(LoadBalancingTest, OutlierDetectionTakesTheBadBackendOut) {
  // The rule has to wait for longer than outlier detection does.
  policy().breaker.failure_rate = 0.9;
  const auto channel = MakeBalancedChannel(R"({
    "loadBalancingConfig": [{"outlier_detection_experimental": {
      "interval": "0.1s",
      "baseEjectionTime": "300s",
      "maxEjectionPercent": 50,
      "failurePercentageEjection": {
        "threshold": 50,
        "enforcementPercentage": 100,
        "minimumHosts": 2,
        "requestVolume": 2
      },
      "childPolicy": [{"round_robin": {}}]
    }}]
  })");
  CallBoth(channel);
  bad_.Fail(true);

  // Round robin would have brought half of them to the bad one.
  int good_in_a_row = 0;
  WaitUntil(
      [&] {
        const bool good = Call(Flavour::kSync, channel, "").status.ok();
        good_in_a_row = good ? good_in_a_row + 1 : 0;
        return good_in_a_row == 20;
      },
      "the bad backend to be ejected");

  EXPECT_EQ(Breaker(kUnary).state, BreakerState::kClosed);
  EXPECT_EQ(Breaker(kUnary).rejections, 0u);
}

TEST_F(LoadBalancingTest, BackendThatSaysItIsUnwellGetsNoCalls) {
  bad_.Fail(true);
  bad_.SetServing(false);
  good_.SetServing(true);
  const auto channel = MakeBalancedChannel(R"({
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": "e2e"}
  })");

  for (int i = 0; i < 40; ++i) {
    EXPECT_TRUE(Call(Flavour::kSync, channel, "").status.ok());
  }

  EXPECT_EQ(good_.calls(), 40);
  EXPECT_EQ(bad_.calls(), 0);
  EXPECT_EQ(Breaker(kUnary).state, BreakerState::kClosed);

  // Once it is well it is called again, and so is the one that is left when
  // the other is not.
  bad_.Fail(false);
  bad_.SetServing(true);
  WaitUntil(
      [&] {
        EXPECT_TRUE(Call(Flavour::kSync, channel, "").status.ok());
        return bad_.calls() > 0;
      },
      "a call to the backend that is well again");
}

}  // namespace
}  // namespace grpc_breaker::e2e
