// Unary calls of every flavour, over a real server.

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/registry/grpc_compat.h"
#include "grpc_breaker/trailing_metadata.h"
#include "tests/e2e/fixture.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;
using ::testing::Pair;

class UnaryTest : public E2eTest,
                  public ::testing::WithParamInterface<UnaryWay> {
 protected:
  UnaryTest() { GoBy(GetParam(), policy()); }

  Flavour flavour() const { return GetParam().flavour; }
  CallResult CallIt(const std::string& text,
                    const Configure& configure = nullptr) {
    return Call(flavour(), channel(), text, configure);
  }
  std::unique_ptr<UnderWay> StartIt(const std::string& text,
                                    const Configure& configure = nullptr) {
    return StartCall(flavour(), channel(), text, configure);
  }

  // Made when it is first needed, so that a test can set options before.
  const std::shared_ptr<grpc::Channel>& channel() {
    if (channel_ == nullptr) channel_ = MakeChannel();
    return channel_;
  }

  // With a breaker that one failure opens.
  void OpenBreaker() {
    policy().breaker.consecutive_failures = 1;
    policy().retry.max_retries = 0;
    server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
    ASSERT_EQ(CallIt("opens").status.error_code(), StatusCode::UNAVAILABLE);
    ASSERT_EQ(Breaker(kUnary).state, BreakerState::kOpen);
    ASSERT_EQ(server_.calls(), 1);
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

INSTANTIATE_TEST_SUITE_P(Flavours, UnaryTest,
                         ::testing::ValuesIn(AllUnaryWays()),
                         [](const auto& info) { return ToString(info.param); });

TEST_P(UnaryTest, SuccessTakesOneAttemptThatLooksLikeAnyOther) {
  const CallResult result = CallIt("hello");

  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.text, "hello");
  EXPECT_TRUE(result.finished_ok);
  ASSERT_EQ(server_.received().size(), 1u);
  EXPECT_EQ(server_.received()[0].text, "hello");
  EXPECT_THAT(server_.received()[0].metadata,
              Not(Contains(Pair("grpc-previous-rpc-attempts", testing::_))));
  EXPECT_EQ(Breaker(kUnary).counts.successes, 1);
}

TEST_P(UnaryTest, PeerIsTheServerUnlessTheLibraryMadeTheFirstAttempt) {
  grpc::ClientContext* context = nullptr;
  const auto call =
      StartIt("hello", [&](grpc::ClientContext* its) { context = its; });
  EXPECT_TRUE(call->Wait().status.ok());

  const bool native = !GetParam().hijacked || !internal::kHasPrivateAccess;
  EXPECT_EQ(absl::StartsWith(context->peer(), "ipv4:"), native)
      << context->peer();
}

TEST_P(UnaryTest, SuccessLooksAsOnABareChannel) {
  Answer answer;
  answer.initial_metadata = {{"first", "1"}, {"first", "2"}, {"raw-bin", "\1"}};
  answer.trailing_metadata = {{"last", "3"}, {"last", "4"}, {"raw-bin", "\2"}};
  server_.SetDefault(answer);
  const CallResult bare = Call(flavour(), BareChannel(), "hello");
  ASSERT_TRUE(bare.status.ok());
  ASSERT_EQ(bare.initial_metadata.count("first"), 2u);

  ExpectSame(CallIt("hello"), bare);
}

TEST_P(UnaryTest, EmptyReplyLooksAsOnABareChannel) {
  const CallResult bare = Call(flavour(), BareChannel(), "");
  ASSERT_TRUE(bare.status.ok());

  ExpectSame(CallIt(""), bare);
}

TEST_P(UnaryTest, FailureLooksAsOnABareChannel) {
  Answer answer;
  answer.status = grpc::Status(StatusCode::FAILED_PRECONDITION, "not now",
                               std::string("details\0with zero", 17));
  answer.initial_metadata = {{"first", "1"}};
  answer.trailing_metadata = {{"last", "2"}};
  server_.SetDefault(answer);
  const CallResult bare = Call(flavour(), BareChannel(), "hello");
  ASSERT_EQ(bare.status.error_code(), StatusCode::FAILED_PRECONDITION);

  ExpectSame(CallIt("hello"), bare);
}

TEST_P(UnaryTest, RequestMetadataAndDeadlineReachTheServer) {
  const auto deadline =
      std::chrono::system_clock::now() + std::chrono::hours(1);
  const CallResult result = CallIt("hello", [&](grpc::ClientContext* context) {
    context->AddMetadata("key", "a");
    context->AddMetadata("key", "b");
    context->AddMetadata("raw-bin", std::string("\0\1", 2));
    context->set_deadline(deadline);
  });

  ASSERT_TRUE(result.status.ok());
  const ReceivedCall received = server_.received().at(0);
  EXPECT_THAT(received.metadata, Contains(Pair("key", "a")));
  EXPECT_THAT(received.metadata, Contains(Pair("key", "b")));
  EXPECT_THAT(received.metadata,
              Contains(Pair("raw-bin", std::string("\0\1", 2))));
  // On the wire it is rounded.
  EXPECT_LT(received.deadline, deadline + std::chrono::minutes(10));
  EXPECT_GT(received.deadline, deadline - std::chrono::minutes(10));
}

TEST_P(UnaryTest, LargeMessagesPassBothWays) {
  const std::string large(3 << 20, 'x');

  const CallResult result = CallIt(large);

  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.text.size(), large.size());
  EXPECT_TRUE(result.text == large);
}

ATTEMPTS_TEST_P(UnaryTest, RetriesUntilSuccessAndSendsTheSameEveryTime) {
  server_.Push(2, Answer::Error(StatusCode::UNAVAILABLE));
  auto call = StartIt("hello", [](grpc::ClientContext* context) {
    context->AddMetadata("key", "value");
  });

  EXPECT_EQ(FinishBackoff(), absl::Seconds(10));
  EXPECT_EQ(FinishBackoff(), absl::Seconds(20));
  const CallResult result = call->Wait();

  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.text, "hello");
  EXPECT_TRUE(result.finished_ok);
  EXPECT_EQ(ValueOf(result.trailing_metadata, kAttemptsKey), "3");
  const auto received = server_.received();
  ASSERT_EQ(received.size(), 3u);
  for (const ReceivedCall& attempt : received) {
    EXPECT_EQ(attempt.text, "hello");
    EXPECT_EQ(ValueOf(attempt.metadata, "key"), "value");
  }
}

ATTEMPTS_TEST_P(UnaryTest, RetriedSuccessHasTheMetadataOfTheLastAttempt) {
  Answer failure = Answer::Error(StatusCode::UNAVAILABLE);
  failure.initial_metadata = {{"begin", "first"}, {"old", "1"}};
  failure.trailing_metadata = {{"from", "first"}, {"old", "1"}};
  server_.Push(failure);
  Answer success;
  success.initial_metadata = {{"begin", "second"}};
  success.trailing_metadata = {{"from", "second"}};
  server_.Push(success);
  auto call = StartIt("hello");

  FinishBackoff();
  const CallResult result = call->Wait();

  EXPECT_TRUE(result.status.ok());
  EXPECT_EQ(ValueOf(result.initial_metadata, "begin"), "second");
  EXPECT_EQ(result.initial_metadata.count("begin"), 1u);
  EXPECT_EQ(result.initial_metadata.count("old"), 0u);
  EXPECT_EQ(ValueOf(result.trailing_metadata, "from"), "second");
  EXPECT_EQ(result.trailing_metadata.count("from"), 1u);
  EXPECT_EQ(result.trailing_metadata.count("old"), 0u);
}

ATTEMPTS_TEST_P(UnaryTest, ExhaustionEndsWithTheLastStatusAsItCame) {
  server_.Push(3, Answer::Error(StatusCode::UNAVAILABLE, "early"));
  Answer last;
  last.status = grpc::Status(StatusCode::UNAVAILABLE, "late", "details");
  last.trailing_metadata = {{"from", "last"}};
  server_.Push(last);
  auto call = StartIt("hello");

  EXPECT_EQ(FinishBackoff(), absl::Seconds(10));
  EXPECT_EQ(FinishBackoff(), absl::Seconds(20));
  EXPECT_EQ(FinishBackoff(), absl::Seconds(40));
  const CallResult result = call->Wait();

  EXPECT_EQ(result.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(result.status.error_message(), "late");
  EXPECT_EQ(result.status.error_details(), "details");
  EXPECT_EQ(ValueOf(result.trailing_metadata, "from"), "last");
  EXPECT_EQ(ValueOf(result.trailing_metadata, kAttemptsKey), "4");
  EXPECT_FALSE(result.has_reply);
  EXPECT_TRUE(result.finished_ok);
  EXPECT_EQ(server_.calls(), 4);
  EXPECT_EQ(Breaker(kUnary).counts.failures, 4);
}

TEST_P(UnaryTest, NonRetryableFailureEndsAtOnce) {
  server_.Push(Answer::Error(StatusCode::INVALID_ARGUMENT, "bad"));

  const CallResult result = CallIt("hello");

  EXPECT_EQ(result.status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(result.status.error_message(), "bad");
  EXPECT_EQ(server_.calls(), 1);
  EXPECT_EQ(env_.pending_timers(), 0u);
}

TEST_P(UnaryTest, OpenBreakerRejectsWithoutTouchingTheNetwork) {
  OpenBreaker();
  env_.Advance(absl::Seconds(15));

  const CallResult result = CallIt("rejected");

  EXPECT_EQ(result.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_TRUE(IsBreakerRejection(result.status));
  EXPECT_EQ(ValueOf(result.trailing_metadata, kRejectedKey), "OPEN");
  EXPECT_EQ(ValueOf(result.trailing_metadata, kRetryAfterKey), "45000");
  EXPECT_TRUE(result.initial_metadata.empty());
  EXPECT_FALSE(result.has_reply);
  EXPECT_TRUE(result.finished_ok);
  EXPECT_EQ(server_.calls(), 1);
  EXPECT_EQ(Breaker(kUnary).rejections, 1u);
}

TEST_P(UnaryTest, BreakerClosesAgainAfterSuccessfulProbes) {
  policy().breaker.half_open_successes = 2;
  OpenBreaker();
  env_.Advance(absl::Seconds(60));

  EXPECT_TRUE(CallIt("probe").status.ok());
  EXPECT_EQ(Breaker(kUnary).state, BreakerState::kHalfOpen);
  EXPECT_TRUE(CallIt("probe").status.ok());
  EXPECT_EQ(Breaker(kUnary).state, BreakerState::kClosed);
}

ATTEMPTS_TEST_P(UnaryTest, BreakerThatOpensDuringTheRetriesEndsTheCall) {
  policy().breaker.consecutive_failures = 2;
  server_.SetDefault(Answer::Error(StatusCode::UNAVAILABLE));
  auto call = StartIt("hello");

  FinishBackoff();
  FinishBackoff();
  const CallResult result = call->Wait();

  EXPECT_EQ(result.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(server_.calls(), 2);
  EXPECT_TRUE(IsBreakerRejection(result.status));
}

ATTEMPTS_TEST_P(UnaryTest, WaitingForABreakerTakesItsRetryAfterAndThenCalls) {
  policy().breaker.consecutive_failures = 1;
  policy().wait_when_rejected = true;
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  auto call = StartIt("hello");

  EXPECT_EQ(FinishBackoff(), absl::Seconds(10));  // Then it is refused.
  EXPECT_EQ(FinishBackoff(), absl::Seconds(50));
  const CallResult result = call->Wait();

  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(server_.calls(), 2);
}

TEST_P(UnaryTest, CancelDuringAnAttemptReachesTheServer) {
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  auto call = StartIt("hello");
  gate->WaitForArrivals(1);

  call->Cancel();
  const CallResult result = call->Wait();

  EXPECT_EQ(result.status.error_code(), StatusCode::CANCELLED);
  gate->WaitForCancellations(1);
  EXPECT_EQ(env_.pending_timers(), 0u);
  EXPECT_EQ(server_.calls(), 1);
  // Says nothing about the server.
  EXPECT_EQ(Breaker(kUnary).counts.calls(), 0);
}

ATTEMPTS_TEST_P(UnaryTest, CancelDuringABackoffEndsTheCallAtOnce) {
  server_.SetDefault(Answer::Error(StatusCode::UNAVAILABLE));
  auto call = StartIt("hello");
  WaitUntil([&] { return env_.pending_timers() == 1; }, "a backoff");

  call->Cancel();
  const CallResult result = call->Wait();

  EXPECT_EQ(result.status.error_code(), StatusCode::CANCELLED);
  EXPECT_EQ(env_.pending_timers(), 0u);
  EXPECT_EQ(server_.calls(), 1);
}

TEST_P(UnaryTest, CancelBeforeTheStartNeverReachesTheServer) {
  const CallResult result = CallIt(
      "hello", [](grpc::ClientContext* context) { context->TryCancel(); });

  EXPECT_EQ(result.status.error_code(), StatusCode::CANCELLED);
  EXPECT_EQ(server_.calls(), 0);
  EXPECT_EQ(Breaker(kUnary).counts.calls(), 0);
}

TEST_P(UnaryTest, CancelAfterTheEndChangesNothing) {
  auto call = StartIt("hello");
  const CallResult result = call->Wait();

  call->Cancel();

  EXPECT_TRUE(result.status.ok());
  EXPECT_EQ(Breaker(kUnary).counts.successes, 1);
}

TEST_P(UnaryTest, BackoffThatDoesNotFitBeforeTheDeadlineIsNotTaken) {
  policy().retry.base_delay = absl::Hours(2);
  policy().retry.max_delay = absl::Hours(2);
  server_.SetDefault(Answer::Error(StatusCode::UNAVAILABLE, "down"));

  const CallResult result = CallIt("hello", [](grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() +
                          std::chrono::hours(1));
  });

  EXPECT_EQ(result.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(result.status.error_message(), "down");
  EXPECT_EQ(server_.calls(), 1);
  EXPECT_EQ(env_.pending_timers(), 0u);
}

TEST_P(UnaryTest, DeadlineDuringAnAttemptIsNotRetried) {
  auto gate = std::make_shared<Gate>();
  server_.SetDefault(Answer::Blocked(gate));

  const CallResult result = CallIt("hello", [](grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() +
                          std::chrono::milliseconds(100));
  });

  EXPECT_EQ(result.status.error_code(), StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(env_.pending_timers(), 0u);
  EXPECT_LE(server_.calls(), 1);
}

TEST_P(UnaryTest, DeadlineInThePastFailsWithoutAnAttempt) {
  const CallResult result = CallIt("hello", [](grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() -
                          std::chrono::seconds(1));
  });

  EXPECT_EQ(result.status.error_code(), StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(server_.calls(), 0);
  EXPECT_EQ(env_.pending_timers(), 0u);
}

// Whether it is the client or the server that acts on it first.
ATTEMPTS_TEST_P(UnaryTest, AttemptTimeoutIsRetriedWhileTheDeadlineLasts) {
  options_.environment = &Environment::Default();
  policy().retry.base_delay = absl::Milliseconds(1);
  policy().retry.max_retries = 100;
  policy().breaker.enabled = false;
  policy().attempt_timeout = absl::Milliseconds(300);
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  auto call = StartIt("hello", [](grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() +
                          std::chrono::hours(10));
  });

  const CallResult result = call->Wait();

  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.text, "hello");
  EXPECT_GE(server_.calls(), 2);
  gate->WaitForCancellations(1);
}

ATTEMPTS_TEST_P(UnaryTest, PolicyTimeoutAppliesWhereTheCallerSetNone) {
  policy().timeout = absl::Milliseconds(100);
  auto gate = std::make_shared<Gate>();
  server_.SetDefault(Answer::Blocked(gate));

  const CallResult result = CallIt("hello");

  EXPECT_EQ(result.status.error_code(), StatusCode::DEADLINE_EXCEEDED);
}

TEST_P(UnaryTest, PolicyTimeoutAppliesToCallsThatRunNatively) {
  policy().attempt_timeout.reset();
  policy().retry.max_retries = 0;
  policy().timeout = absl::Hours(1);
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  auto call = StartIt("hello");
  gate->WaitForArrivals(1);

  env_.Advance(absl::Hours(1));

  EXPECT_EQ(call->Wait().status.error_code(), StatusCode::DEADLINE_EXCEEDED);
  gate->WaitForCancellations(1);
  EXPECT_EQ(env_.pending_timers(), 0u);
}

TEST_P(UnaryTest, PolicyTimeoutDoesNotShortenTheCallersDeadline) {
  policy().timeout = absl::Milliseconds(1);
  const auto deadline =
      std::chrono::system_clock::now() + std::chrono::hours(1);

  const CallResult result = CallIt("hello", [&](grpc::ClientContext* context) {
    context->set_deadline(deadline);
  });

  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_GT(server_.received().at(0).deadline,
            deadline - std::chrono::minutes(10));
}

std::string SerializedReply(const std::string& text) {
  Reply reply;
  reply.set_text(text);
  return reply.SerializeAsString();
}

ATTEMPTS_TEST_P(UnaryTest, FallbackAnswersAfterExhaustion) {
  policy().retry.max_retries = 1;
  policy().fallback =
      Fallback::Fixed(grpc::Status::OK, SerializedReply("spare"));
  server_.SetDefault(Answer::Error(StatusCode::UNAVAILABLE));
  auto call = StartIt("hello");

  FinishBackoff();
  const CallResult result = call->Wait();

  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.text, "spare");
  EXPECT_TRUE(result.finished_ok);
  EXPECT_EQ(server_.calls(), 2);
}

ATTEMPTS_TEST_P(UnaryTest, FallbackAnswersAfterANonRetryableFailure) {
  policy().fallback =
      Fallback::Fixed(grpc::Status::OK, SerializedReply("spare"));
  server_.Push(Answer::Error(StatusCode::INTERNAL));

  const CallResult result = CallIt("hello");

  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.text, "spare");
}

ATTEMPTS_TEST_P(UnaryTest, FallbackAnswersARejectedCall) {
  policy().fallback.function = [](const FailedCall& call) {
    EXPECT_TRUE(call.rejected);
    EXPECT_EQ(call.attempts, 0);
    return FallbackResult{grpc::Status::OK, SerializedReply("spare")};
  };
  policy().fallback.on_not_retryable = false;
  policy().fallback.on_exhaustion = false;
  OpenBreaker();

  const CallResult result = CallIt("hello");

  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.text, "spare");
  EXPECT_EQ(server_.calls(), 1);
}

ATTEMPTS_TEST_P(UnaryTest, FallbackCanReplaceTheStatus) {
  policy().fallback =
      Fallback::Fixed(grpc::Status(StatusCode::NOT_FOUND, "replaced"));
  server_.Push(Answer::Error(StatusCode::INTERNAL));

  const CallResult result = CallIt("hello");

  EXPECT_EQ(result.status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(result.status.error_message(), "replaced");
  EXPECT_FALSE(result.has_reply);
  EXPECT_TRUE(result.finished_ok);
}

TEST_P(UnaryTest, FallbackDoesNotRunOnSuccessOrCancellation) {
  policy().fallback.function = [](const FailedCall& call) {
    ADD_FAILURE() << call.status.error_message();
    return FallbackResult{grpc::Status::OK, SerializedReply("spare")};
  };
  auto gate = std::make_shared<Gate>();

  EXPECT_EQ(CallIt("hello").text, "hello");
  server_.Push(Answer::Blocked(gate));
  auto call = StartIt("hello");
  gate->WaitForArrivals(1);
  call->Cancel();

  EXPECT_EQ(call->Wait().status.error_code(), StatusCode::CANCELLED);
}

ATTEMPTS_TEST_P(UnaryTest, FallbackReplyThatIsNoMessageFailsTheCall) {
  policy().fallback = Fallback::Fixed(grpc::Status::OK, "\xff\xff no message");
  server_.Push(Answer::Error(StatusCode::INTERNAL, "of the server"));

  const CallResult result = CallIt("hello");

  EXPECT_EQ(result.status.error_code(), StatusCode::INTERNAL);
  EXPECT_NE(result.status.error_message(), "of the server");
}

ATTEMPTS_TEST_P(UnaryTest, FinalFailureHookSeesTheCallOnce) {
  policy().retry.max_retries = 1;
  std::atomic<int> runs{0};
  Slot<FailedCall> seen;
  Slot<std::string> request;
  policy().on_final_failure = [&](const FailedCall& call) {
    ++runs;
    grpc::ByteBuffer copy(*call.request);
    Request message;
    EXPECT_TRUE(
        grpc::SerializationTraits<Request>::Deserialize(&copy, &message).ok());
    request.Put(message.text());
    seen.Put(call);
  };
  server_.Push(2, Answer::Error(StatusCode::UNAVAILABLE, "down"));
  auto call = StartIt("hello");

  FinishBackoff();
  EXPECT_EQ(call->Wait().status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_TRUE(CallIt("success").status.ok());

  const FailedCall failed = seen.Take("the hook");
  EXPECT_EQ(failed.method, kUnary);
  EXPECT_EQ(request.Take("the hook's request"), "hello");
  EXPECT_EQ(failed.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(failed.status.error_message(), "down");
  EXPECT_EQ(failed.attempts, 2);
  EXPECT_FALSE(failed.rejected);
  EXPECT_EQ(runs, 1);
}

TEST_P(UnaryTest, UnaryWithoutRetriesIsObservedNatively) {
  policy().attempt_timeout.reset();
  policy().retry.max_retries = 0;
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE, "down"));

  const CallResult failure = CallIt("hello");
  const CallResult success = CallIt("again");

  EXPECT_EQ(failure.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(failure.status.error_message(), "down");
  EXPECT_EQ(success.text, "again");
  EXPECT_EQ(server_.calls(), 2);
  EXPECT_EQ(Breaker(kUnary).counts.failures, 1);
  EXPECT_EQ(Breaker(kUnary).counts.successes, 1);
}

}  // namespace
}  // namespace grpc_breaker::e2e
