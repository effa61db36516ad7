// Unary calls that run natively: those whose policy asks for nothing else and,
// in a build that cannot make attempts, those of any policy. Each is what it is
// on a bare channel, but the breaker counts and refuses, the policy's timeout
// ends it, and the hook is told.

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/trailing_metadata.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/queue.h"
#include "tests/e2e/raw_server.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;

class NativeTest : public E2eTest,
                   public ::testing::WithParamInterface<Flavour> {
 protected:
  NativeTest() {
    if (internal::kHasPrivateAccess) {
      policy().retry.max_retries = 0;
      return;
    }
    // All of it in vain.
    policy().retry.max_retries = 3;
    policy().wait_when_rejected = true;
    policy().attempt_timeout = absl::Milliseconds(1);
    policy().authority = "policy.test";
    policy().wait_for_ready = true;
    policy().fallback.function = [](const FailedCall&) {
      ADD_FAILURE() << "a fallback of a native call";
      return FallbackResult();
    };
  }

  std::unique_ptr<UnderWay> Start(const Configure& configure = nullptr) {
    if (channel_ == nullptr) channel_ = MakeChannel();
    return StartCall(GetParam(), channel_, "hello", configure);
  }
  CallResult CallIt(const Configure& configure = nullptr) {
    return Start(configure)->Wait();
  }
  CallResult Fail() {
    server_.Push(Answer::Error(StatusCode::UNAVAILABLE, "down"));
    return CallIt();
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

INSTANTIATE_TEST_SUITE_P(Flavours, NativeTest,
                         ::testing::ValuesIn(AllFlavours()),
                         [](const auto& info) { return ToString(info.param); });

TEST_P(NativeTest, ReplyStatusAndMetadataAreThoseOfABareChannel) {
  for (const grpc::Status& status :
       {grpc::Status::OK,
        grpc::Status(StatusCode::UNAVAILABLE, "down",
                     std::string("details\0with zero", 17))}) {
    Answer answer;
    answer.status = status;
    answer.initial_metadata = {{"first", "1"}, {"first", "2"}};
    answer.trailing_metadata = {{"last", "3"}, {"raw-bin", "\1"}};
    server_.Push(2, answer);
    const auto configure = [](grpc::ClientContext* context) {
      context->AddMetadata("key", "value");
      context->set_authority("context.test");
    };

    const CallResult ours = CallIt(configure);
    const CallResult bare = Call(GetParam(), BareChannel(), "hello", configure);

    ASSERT_EQ(bare.status.error_code(), status.error_code());
    ExpectSame(ours, bare);
  }
  for (const ReceivedCall& received : server_.received()) {
    EXPECT_EQ(received.text, "hello");
    EXPECT_EQ(ValueOf(received.metadata, "key"), "value");
    EXPECT_EQ(received.authority, "context.test");
  }
}

TEST_P(NativeTest, FailureIsCountedOnceAndNotRetried) {
  EXPECT_EQ(Fail().status.error_message(), "down");
  EXPECT_EQ(CallIt().text, "hello");

  EXPECT_EQ(server_.calls(), 2);
  EXPECT_EQ(env_.pending_timers(), 0u);
  EXPECT_EQ(Breaker(kUnary).counts.failures, 1);
  EXPECT_EQ(Breaker(kUnary).counts.successes, 1);
}

// Not every flavour tells its application.
TEST_P(NativeTest, OkWithoutAReplyIsAFailureThoughItLooksAsOnABareChannel) {
  RawServer server([](RawCall call) { call.SendTrailersOnly(StatusCode::OK); });
  const auto bare =
      grpc::CreateChannel(server.target(), grpc::InsecureChannelCredentials());

  const auto channel = MakeChannelTo(server.target());
  const CallResult ours = Call(GetParam(), channel, "hello");

  EXPECT_EQ(ours.status.error_code(),
            Call(GetParam(), bare, "hello").status.error_code());
  EXPECT_EQ(LastClass(kUnary), "PERMANENT HIGH FAILURE");
  EXPECT_EQ(Breaker(kUnary).counts.failures, 1);
}

TEST_P(NativeTest, OpenBreakerRefusesAndProbesCloseIt) {
  policy().breaker.consecutive_failures = 1;
  policy().breaker.half_open_successes = 1;
  Fail();
  env_.Advance(absl::Seconds(15));

  const CallResult refused = CallIt();

  EXPECT_EQ(refused.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_TRUE(IsBreakerRejection(refused.status));
  EXPECT_EQ(WithoutHistory(refused.trailing_metadata),
            (Metadata{{kRejectedKey, "OPEN"}, {kRetryAfterKey, "45000"}}));
  EXPECT_TRUE(refused.initial_metadata.empty());
  EXPECT_FALSE(refused.has_reply);
  EXPECT_TRUE(refused.finished_ok);
  EXPECT_EQ(server_.calls(), 1);
  env_.Advance(absl::Seconds(45));
  EXPECT_TRUE(CallIt().status.ok());
  EXPECT_EQ(Breaker(kUnary).state, BreakerState::kClosed);
}

TEST_P(NativeTest, PolicysTimeoutEndsItWhereTheCallerSetNoDeadline) {
  policy().timeout = absl::Hours(1);
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  auto call = Start();
  gate->WaitForArrivals(1);

  env_.Advance(absl::Hours(1));

  EXPECT_EQ(call->Wait().status.error_code(), StatusCode::DEADLINE_EXCEEDED);
  gate->WaitForCancellations(1);
  EXPECT_EQ(env_.pending_timers(), 0u);
  EXPECT_EQ(Breaker(kUnary).counts.failures, 1);
}

TEST_P(NativeTest, CancellationReachesTheServerAndCountsAsNothing) {
  std::atomic<int> failures_told{0};
  policy().on_final_failure = [&](const FailedCall&) { ++failures_told; };
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  auto call = Start();
  gate->WaitForArrivals(1);

  call->Cancel();

  EXPECT_EQ(call->Wait().status.error_code(), StatusCode::CANCELLED);
  gate->WaitForCancellations(1);
  EXPECT_EQ(Breaker(kUnary).counts.calls(), 0);
  EXPECT_EQ(failures_told, 0);
}

TEST_P(NativeTest, HookSeesFailuresAndRejectionsWithTheirRequest) {
  struct Told {
    int attempts;
    bool rejected;
    std::string request;
  };
  Slot<Told> told;
  policy().breaker.consecutive_failures = 1;
  policy().on_final_failure = [&](const FailedCall& call) {
    const absl::StatusOr<Request> request = call.ParseRequest<Request>();
    told.Put({call.attempts, call.rejected,
              request.ok() ? request->text() : "none"});
  };
  EXPECT_TRUE(CallIt().status.ok());

  for (const bool rejected : {false, true}) {
    rejected ? CallIt() : Fail();
    const Told seen = told.Take("the hook");
    EXPECT_EQ(seen.rejected, rejected);
    EXPECT_EQ(seen.attempts, rejected ? 0 : 1);
    EXPECT_EQ(seen.request, "hello");
  }
  EXPECT_EQ(server_.calls(), 2);
}

class WarnedListener final : public BreakerListener {
 public:
  void OnPolicyWarning(const PolicyWarning& warning) override {
    fields.push_back(warning.field);
  }
  std::vector<std::string> fields;
};

class NativeChannelTest : public E2eTest {};

TEST_F(NativeChannelTest, IsWarnedOfWhatItWillNotGet) {
  auto listener = std::make_shared<WarnedListener>();
  options_.listeners.push_back(listener);
  options_.default_policy.retry.max_retries = 0;
  policy().attempt_timeout = absl::Seconds(1);

  MakeChannel();

  const std::string name = "services[/grpc_breaker.e2e.TestService/].";
  EXPECT_EQ(listener->fields,
            internal::kHasPrivateAccess
                ? std::vector<std::string>()
                : std::vector<std::string>(
                      {name + "retry.max_retries", name + "attempt_timeout"}));
}

}  // namespace
}  // namespace grpc_breaker::e2e
