#include "grpc_breaker/fleet/calls_under_way.h"

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

using admin::v1::CircuitBreakerAdmin;

class CallsUnderWayTest : public ::testing::Test {
 protected:
  // Waits for a server that there is not, far longer than anything here takes.
  grpc::StatusCode Ask(CallsUnderWay::Call& call) const {
    call.context().set_wait_for_ready(true);
    call.context().set_deadline(std::chrono::system_clock::now() +
                                std::chrono::seconds(60));
    admin::v1::Breaker breaker;
    return stub_
        ->GetBreaker(&call.context(), admin::v1::GetBreakerRequest(), &breaker)
        .error_code();
  }

  const std::unique_ptr<CircuitBreakerAdmin::Stub> stub_ =
      CircuitBreakerAdmin::NewStub(grpc::CreateChannel(
          "127.0.0.1:1", grpc::InsecureChannelCredentials()));
  CallsUnderWay calls_;
};

TEST_F(CallsUnderWayTest, CancelEndsThemAll) {
  constexpr int kCalls = 3;
  absl::BlockingCounter begun(kCalls);
  std::vector<std::thread> threads;
  for (int i = 0; i < kCalls; ++i) {
    threads.emplace_back([this, &begun] {
      CallsUnderWay::Call call(calls_);
      begun.DecrementCount();
      EXPECT_EQ(Ask(call), grpc::StatusCode::CANCELLED);
    });
  }
  begun.Wait();
  calls_.Cancel();
  for (std::thread& thread : threads) thread.join();
}

TEST_F(CallsUnderWayTest, CallThatBeginsAfterCancelEndsAtOnce) {
  calls_.Cancel();
  CallsUnderWay::Call call(calls_);
  EXPECT_EQ(Ask(call), grpc::StatusCode::CANCELLED);
}

}  // namespace
}  // namespace grpc_breaker::internal
