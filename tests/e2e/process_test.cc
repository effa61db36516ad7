// What happens between processes: servers that are killed and come back, and a
// process that ends with calls pending.

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "grpc_breaker/trailing_metadata.h"
#include "tests/e2e/child.h"
#include "tests/e2e/fixture.h"

namespace grpc_breaker::e2e {
namespace {

class ProcessTest : public E2eTest {
 protected:
  ProcessTest() {
    // So that a retry finds the new server instead of the channel's own
    // reconnection backoff.
    policy().wait_for_ready = true;
    policy().retry.max_retries = 3;
  }

  std::shared_ptr<grpc::Channel> ChannelTo(int port) {
    return MakeChannelTo(absl::StrCat("127.0.0.1:", port),
                         ReconnectsAfter(absl::Milliseconds(20)));
  }
};

ATTEMPTS_TEST_F(ProcessTest, RetryFindsTheServerThatReplacedAKilledOne) {
  Child first({"serve", "0", "block"});
  int port = 0;
  ASSERT_TRUE(absl::SimpleAtoi(first.ReadLine(), &port));
  auto call = StartCall(Flavour::kQueue, ChannelTo(port), "hello");
  ASSERT_EQ(first.ReadLine(), "call");

  first.Kill();
  WaitUntil([&] { return env_.pending_timers() == 1; }, "a backoff");
  EXPECT_EQ(Breaker(kUnary).counts.failures, 1);
  Child second({"serve", absl::StrCat(port)});
  ASSERT_EQ(second.ReadLine(), absl::StrCat(port));
  FinishBackoff();
  const CallResult result = call->Wait();

  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.text, "hello");
  EXPECT_EQ(ValueOf(result.trailing_metadata, kAttemptsKey), "2");
}

TEST_F(ProcessTest, BreakerOpensOnADeadServerAndClosesWhenItIsBack) {
  policy().wait_for_ready.reset();
  policy().retry.max_retries = 0;
  policy().breaker.consecutive_failures = 3;
  policy().breaker.half_open_successes = 1;
  Child first({"serve", "0"});
  int port = 0;
  ASSERT_TRUE(absl::SimpleAtoi(first.ReadLine(), &port));
  const auto channel = ChannelTo(port);
  EXPECT_TRUE(Call(Flavour::kSync, channel, "hello").status.ok());

  first.Kill();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Call(Flavour::kSync, channel, "hello").status.error_code(),
              grpc::StatusCode::UNAVAILABLE);
  }
  EXPECT_EQ(Breaker(kUnary).state, BreakerState::kOpen);
  const CallResult rejected = Call(Flavour::kSync, channel, "hello");
  EXPECT_EQ(ValueOf(rejected.trailing_metadata, kRejectedKey), "OPEN");

  Child second({"serve", absl::StrCat(port)});
  ASSERT_EQ(second.ReadLine(), absl::StrCat(port));
  WaitUntil(
      [&] {
        return channel->GetState(/*try_to_connect=*/true) == GRPC_CHANNEL_READY;
      },
      "a new connection");
  env_.Advance(absl::Seconds(60));
  EXPECT_TRUE(Call(Flavour::kSync, channel, "hello").status.ok());
  EXPECT_EQ(Breaker(kUnary).state, BreakerState::kClosed);
}

TEST_F(ProcessTest, ProcessEndsCleanlyWithCallsPending) {
  auto gate = std::make_shared<Gate>();
  Answer answer;
  answer.handler = [gate](grpc::ServerContext& context) {
    if (context.client_metadata().count("fail") > 0) {
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "as asked");
    }
    gate->Pass(context);
    return grpc::Status::OK;
  };
  server_.SetDefault(answer);
  for (int i = 1; i <= 5; ++i) {
    Child child({"pending", server_.target()});
    server_.WaitForCalls(20 * i);
    gate->WaitForArrivals(10 * i);

    child.EndInput();

    EXPECT_EQ(child.Wait(), 0);
  }
}

// Each call fails once, so that the library's threads are needed.
ATTEMPTS_TEST_F(ProcessTest, ChildOfAForkMakesCallsOfItsOwn) {
  for (int i = 0; i < 3; ++i) {
    server_.Push(Answer::Error(grpc::StatusCode::UNAVAILABLE));
    server_.Push(Answer());
  }

  Child child({"fork", server_.target()});

  EXPECT_EQ(child.Wait(), 0);
  EXPECT_EQ(server_.calls(), 6);
}

}  // namespace
}  // namespace grpc_breaker::e2e
