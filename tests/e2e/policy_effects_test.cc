// What a policy promises, on each of the ways that a call can go: hijacked, so
// that the library makes the attempts, or observed, as a unary call or as a
// stream that runs natively, or as a stream that may be retried.

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/trailing_metadata.h"
#include "grpc_breaker/v1/rpc_details.pb.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/raw_server.h"
#include "tests/e2e/reserved_port.h"
#include "tests/e2e/stream_flavours.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

enum class Way { kHijacked, kNativeFirst, kNative, kStream, kRetriedStream };

std::string ToString(Way way) {
  switch (way) {
    case Way::kHijacked:
      return "Hijacked";
    case Way::kNativeFirst:
      return "NativeFirst";
    case Way::kNative:
      return "Native";
    case Way::kStream:
      return "Stream";
    case Way::kRetriedStream:
      return "RetriedStream";
  }
  return "?";
}

bool IsStream(Way way) {
  return way == Way::kStream || way == Way::kRetriedStream;
}

Configure DeadlineIn(absl::Duration duration) {
  const auto deadline =
      std::chrono::system_clock::now() + absl::ToChronoNanoseconds(duration);
  return [deadline](grpc::ClientContext* context) {
    context->set_deadline(deadline);
  };
}

Answer PushBack(const std::string& milliseconds) {
  Answer answer = Answer::Error(StatusCode::UNAVAILABLE);
  answer.trailing_metadata = {{"grpc-retry-pushback-ms", milliseconds}};
  return answer;
}

Answer WithRetryInfo(Answer answer, absl::Duration delay) {
  v1::RetryInfo info;
  info.mutable_retry_delay()->set_seconds(absl::ToInt64Seconds(delay));
  v1::RpcStatus details;
  google::protobuf::Any* any = details.add_details();
  any->set_type_url("type.googleapis.com/google.rpc.RetryInfo");
  any->set_value(info.SerializeAsString());
  answer.status =
      grpc::Status(answer.status.error_code(), answer.status.error_message(),
                   details.SerializeAsString());
  return answer;
}

// One call, whichever way it goes.
class PolicyEffectsTest : public E2eTest {
 protected:
  // Without retries unless a test asks for them.
  void Go(Way way) {
    way_ = way;
    policy().retry.max_retries = 0;
    // By far too long to matter, but the library has to make the attempts.
    if (way == Way::kHijacked) policy().attempt_timeout = absl::Hours(24);
    if (way == Way::kNativeFirst) {
      // One that never runs, but might.
      policy().fallback.function = [](const FailedCall& call) {
        return FallbackResult{call.status, ""};
      };
      policy().fallback.on_exhaustion = false;
      policy().fallback.on_not_retryable = false;
      policy().fallback.on_rejection = false;
    }
    if (way == Way::kRetriedStream) {
      // What a server may have seen is not repeated, but might be.
      policy().stream_retry.enabled = true;
      policy().retry.max_retries = 1;
      policy().idempotency = Idempotency::kAsDeclared;
    }
  }

  std::string method() const {
    return IsStream(way_) ? MethodOf(StreamKind::kBidi) : kUnary;
  }
  BreakerSnapshot breaker() { return Breaker(method()); }

  std::optional<LastError> last_error() {
    for (const std::shared_ptr<Registry>& registry : directory_.Registries()) {
      if (const Method* entry = registry->Find(method())) {
        return entry->last_error();
      }
    }
    return std::nullopt;
  }

  // Made when it is first needed, so that a test can set options before.
  const std::shared_ptr<grpc::Channel>& channel() {
    if (channel_ == nullptr) channel_ = MakeChannel();
    return channel_;
  }

  class Running {
   public:
    Running(Way way, const std::shared_ptr<grpc::Channel>& channel,
            const Configure& configure) {
      if (IsStream(way)) {
        stream_ = StartStream({StreamKind::kBidi, StreamApi::kSync}, channel,
                              configure);
        stream_->Write("hello", /*last=*/true);
      } else {
        unary_ = StartCall(Flavour::kCallback, channel, "hello", configure);
      }
    }

    void Cancel() { unary_ != nullptr ? unary_->Cancel() : stream_->Cancel(); }

    CallResult Wait() {
      if (unary_ != nullptr) return unary_->Wait();
      while (stream_->Read().has_value()) {
      }
      return stream_->Finish();
    }

   private:
    std::unique_ptr<UnderWay> unary_;
    std::unique_ptr<Stream> stream_;
  };

  Running StartIt(const Configure& configure = nullptr) {
    return Running(way_, channel(), configure);
  }
  CallResult CallIt(const Configure& configure = nullptr) {
    return StartIt(configure).Wait();
  }
  CallResult Fail(StatusCode code) {
    server_.Push(Answer::Error(code));
    const CallResult result = CallIt();
    EXPECT_EQ(result.status.error_code(), code);
    return result;
  }

  // With a breaker that one failure opens.
  void OpenBreaker() {
    policy().breaker.consecutive_failures = 1;
    Fail(StatusCode::UNAVAILABLE);
    ASSERT_EQ(breaker().state, BreakerState::kOpen);
  }

 private:
  Way way_ = Way::kHijacked;
  std::shared_ptr<grpc::Channel> channel_;
};

class EveryWayTest : public PolicyEffectsTest,
                     public ::testing::WithParamInterface<Way> {
 protected:
  EveryWayTest() { Go(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Ways, EveryWayTest,
                         ::testing::Values(Way::kHijacked, Way::kNativeFirst,
                                           Way::kNative, Way::kStream,
                                           Way::kRetriedStream),
                         [](const auto& info) { return ToString(info.param); });

class RetriedTest : public PolicyEffectsTest {
 protected:
  RetriedTest() {
    Go(Way::kHijacked);
    policy().attempt_timeout.reset();
    policy().retry.max_retries = 1;
  }

  // Fails both attempts.
  CallResult Exhaust() {
    server_.Push(2, Answer::Error(StatusCode::UNAVAILABLE, "down"));
    auto call = StartIt();
    FinishBackoff();
    return call.Wait();
  }
};

// ---- Policy::classification

TEST_P(EveryWayTest, OverrideOfACategoryIsSeenInTheLastError) {
  policy().classification[StatusCode::UNAVAILABLE].category =
      ErrorCategory::kResource;

  Fail(StatusCode::UNAVAILABLE);

  ASSERT_TRUE(last_error().has_value());
  EXPECT_EQ(last_error()->error_class.category, ErrorCategory::kResource);
}

TEST_P(EveryWayTest, OverrideOfASeverityOpensTheBreaker) {
  policy().classification[StatusCode::UNAVAILABLE].severity =
      ErrorSeverity::kCritical;
  policy().breaker.open_on_critical = true;

  Fail(StatusCode::UNAVAILABLE);

  EXPECT_EQ(breaker().state, BreakerState::kOpen);
  EXPECT_EQ(last_error()->error_class.severity, ErrorSeverity::kCritical);
}

TEST_P(EveryWayTest, OverrideOfAnOutcomeIsWhatTheBreakerCounts) {
  policy().classification[StatusCode::INVALID_ARGUMENT].outcome =
      Outcome::kFailure;
  policy().classification[StatusCode::INTERNAL].outcome = Outcome::kSuccess;
  policy().classification[StatusCode::UNAVAILABLE].outcome = Outcome::kIgnored;

  Fail(StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(breaker().counts.failures, 1);
  Fail(StatusCode::INTERNAL);
  EXPECT_EQ(breaker().counts.successes, 1);
  Fail(StatusCode::UNAVAILABLE);
  EXPECT_EQ(breaker().counts.calls(), 2);
}

TEST_P(EveryWayTest, OverrideLeavesWhatItDoesNotSetAndOtherCodes) {
  Fail(StatusCode::UNAVAILABLE);
  const ErrorClass plain = last_error()->error_class;
  const ErrorClass other = ClassifyError(absl::InternalError("text"));

  for (int field = 0; field < 4; ++field) {
    // The channel keeps its policies; another one gets this.
    ClassOverride& override = policy().classification[StatusCode::UNAVAILABLE];
    override = ClassOverride();
    ErrorClass expected = plain;
    if (field == 0) {
      expected.category = ErrorCategory::kPermanent;
      override.category = expected.category;
    } else if (field == 1) {
      expected.severity = ErrorSeverity::kLow;
      override.severity = expected.severity;
    } else if (field == 2) {
      expected.outcome = Outcome::kIgnored;
      override.outcome = expected.outcome;
    } else {
      expected.retryable = !plain.retryable;
      override.retryable = expected.retryable;
    }
    Directory directory;
    options_.directory = &directory;
    const auto channel = MakeChannel();
    const auto last_error_class = [&](StatusCode code) {
      server_.Push(Answer::Error(code));
      Running(GetParam(), channel, nullptr).Wait();
      return directory.Registries()
          .at(0)
          ->Find(method())
          ->last_error()
          ->error_class;
    };

    EXPECT_EQ(last_error_class(StatusCode::UNAVAILABLE), expected) << field;
    EXPECT_EQ(last_error_class(StatusCode::INTERNAL).category, other.category);
  }
}

TEST_P(EveryWayTest, CancellationByTheCallerIsNoCodeToOverride) {
  policy().classification[StatusCode::CANCELLED].outcome = Outcome::kFailure;
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  auto call = StartIt();
  gate->WaitForArrivals(1);

  call.Cancel();

  EXPECT_EQ(call.Wait().status.error_code(), StatusCode::CANCELLED);
  EXPECT_EQ(breaker().counts.calls(), 0);
  Fail(StatusCode::CANCELLED);  // The server's own.
  EXPECT_EQ(breaker().counts.failures, 1);
}

ATTEMPTS_TEST_F(RetriedTest, OverrideCanMakeACodeWorthARetry) {
  policy().classification[StatusCode::INVALID_ARGUMENT].retryable = true;
  server_.Push(Answer::Error(StatusCode::INVALID_ARGUMENT));
  auto call = StartIt();

  FinishBackoff();

  EXPECT_TRUE(call.Wait().status.ok());
  EXPECT_EQ(server_.calls(), 2);
}

TEST_F(RetriedTest, OverrideCanForbidTheRetryOfACode) {
  policy().classification[StatusCode::UNAVAILABLE].retryable = false;

  Fail(StatusCode::UNAVAILABLE);

  EXPECT_EQ(server_.calls(), 1);
  EXPECT_EQ(env_.pending_timers(), 0u);
}

// ---- What a server asks of the breaker

TEST_P(EveryWayTest, PushbackSetsHowLongTheBreakerStaysOpen) {
  policy().breaker.consecutive_failures = 1;
  policy().breaker.use_server_delay = true;
  server_.Push(PushBack("7000"));

  CallIt();

  EXPECT_EQ(breaker().state, BreakerState::kOpen);
  EXPECT_EQ(breaker().next_probe_in, absl::Seconds(7));
}

TEST_P(EveryWayTest, RetryInfoSetsHowLongTheBreakerStaysOpen) {
  policy().breaker.consecutive_failures = 1;
  policy().breaker.use_server_delay = true;
  server_.Push(
      WithRetryInfo(Answer::Error(StatusCode::UNAVAILABLE), absl::Seconds(8)));

  CallIt();

  EXPECT_EQ(breaker().next_probe_in, absl::Seconds(8));
}

TEST_P(EveryWayTest, PushbackWinsOverRetryInfo) {
  policy().breaker.consecutive_failures = 1;
  policy().breaker.use_server_delay = true;
  server_.Push(WithRetryInfo(PushBack("7000"), absl::Seconds(8)));

  CallIt();

  EXPECT_EQ(breaker().next_probe_in, absl::Seconds(7));
}

TEST_P(EveryWayTest, PushbackThatForbidsRetriesSaysNoTime) {
  policy().breaker.consecutive_failures = 1;
  policy().breaker.use_server_delay = true;
  server_.Push(PushBack("-1"));

  CallIt();

  EXPECT_EQ(breaker().next_probe_in, policy().breaker.open_duration);
}

ATTEMPTS_TEST_F(RetriedTest, PushbackOfAnEarlierAttemptReachesTheBreakerToo) {
  policy().breaker.consecutive_failures = 1;
  policy().breaker.use_server_delay = true;
  server_.Push(PushBack("7000"));
  auto call = StartIt();
  WaitUntil([&] { return env_.pending_timers() == 1; }, "a backoff");

  EXPECT_EQ(breaker().next_probe_in, absl::Seconds(7));

  FinishBackoff();
  EXPECT_TRUE(call.Wait().status.ok());  // A probe.
}

// ---- Time-outs

TEST_P(EveryWayTest, CallersLongerDeadlineWinsOverThePolicysTimeout) {
  policy().timeout = absl::Hours(1);
  if (GetParam() == Way::kHijacked) policy().attempt_timeout = absl::Hours(30);
  const auto now = std::chrono::system_clock::now();
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  auto call = StartIt(DeadlineIn(absl::Hours(10)));
  gate->WaitForArrivals(1);

  EXPECT_EQ(env_.pending_timers(), 0u);
  env_.Advance(absl::Hours(2));
  gate->Open();

  EXPECT_TRUE(call.Wait().status.ok());
  EXPECT_GT(server_.received().at(0).deadline, now + std::chrono::hours(9));
}

TEST_P(EveryWayTest, CallersShorterDeadlineWinsOverThePolicysTimeout) {
  policy().timeout = absl::Hours(10);
  server_.Push(Answer::Blocked(std::make_shared<Gate>()));

  EXPECT_EQ(CallIt(DeadlineIn(absl::Milliseconds(100))).status.error_code(),
            StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(env_.pending_timers(), 0u);
}

ATTEMPTS_TEST_F(RetriedTest, AttemptsTimeoutIsTheDeadlineThatTheServerSees) {
  policy().attempt_timeout = absl::Hours(2);
  const auto now = std::chrono::system_clock::now();

  EXPECT_TRUE(CallIt(DeadlineIn(absl::Hours(10))).status.ok());
  EXPECT_TRUE(CallIt(DeadlineIn(absl::Hours(1))).status.ok());
  EXPECT_TRUE(CallIt().status.ok());

  const auto received = server_.received();
  ASSERT_EQ(received.size(), 3u);
  EXPECT_GT(received[0].deadline, now + std::chrono::minutes(110));
  EXPECT_LT(received[0].deadline, now + std::chrono::minutes(150));
  EXPECT_LT(received[1].deadline, now + std::chrono::minutes(90));
  EXPECT_GT(received[2].deadline, now + std::chrono::minutes(110));
  EXPECT_LT(received[2].deadline, now + std::chrono::minutes(150));
}

// ---- Fallbacks and hooks

// Counts how often it ran.
Fallback CountingFallback(std::atomic<int>* runs) {
  Fallback fallback;
  fallback.function = [runs](const FailedCall&) {
    ++*runs;
    return FallbackResult{grpc::Status::OK, ""};
  };
  return fallback;
}

ATTEMPTS_TEST_F(RetriedTest, FallbackCanBeKeptFromExhaustedCalls) {
  std::atomic<int> runs{0};
  policy().fallback = CountingFallback(&runs);
  policy().fallback.on_exhaustion = false;

  EXPECT_EQ(Exhaust().status.error_message(), "down");
  EXPECT_EQ(runs, 0);

  server_.Push(Answer::Error(StatusCode::INVALID_ARGUMENT));
  EXPECT_TRUE(CallIt().status.ok());
  EXPECT_EQ(runs, 1);
}

// A retry would have helped, but there is no time or budget for it.
TEST_F(RetriedTest, FallbackCanBeKeptFromCallsThatRanOutOfTimeOrBudget) {
  std::atomic<int> runs{0};
  policy().fallback = CountingFallback(&runs);
  policy().fallback.on_exhaustion = false;
  policy().retry.max_retries = 100;
  policy().retry.base_delay = absl::Hours(2);
  policy().retry.max_delay = absl::Hours(2);
  options_.retry_budget.max_tokens = 4;
  const auto fail = [&](const Configure& configure) {
    server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
    EXPECT_EQ(CallIt(configure).status.error_code(), StatusCode::UNAVAILABLE);
  };

  fail(DeadlineIn(absl::Hours(1)));  // Leaves three tokens.
  fail(nullptr);                     // Leaves two, which is too few.
  EXPECT_EQ(CallIt(DeadlineIn(-absl::Seconds(1))).status.error_code(),
            StatusCode::DEADLINE_EXCEEDED);

  EXPECT_EQ(runs, 0);
  EXPECT_EQ(server_.calls(), 2);
}

// A retry would have helped, but what the server has sent may be seen.
ATTEMPTS_TEST_F(RetriedTest, FallbackCanBeKeptFromCallsThatHaveCommitted) {
  std::atomic<int> runs{0};
  policy().fallback = CountingFallback(&runs);
  policy().commit_at_initial_metadata = true;
  RawServer server([](RawCall call) {
    call.SendHeaders(ResponseHeaders());
    call.SendTrailers(StatusTrailers(StatusCode::UNAVAILABLE));
  });
  for (const bool on_exhaustion : {false, true}) {
    policy().fallback.on_exhaustion = on_exhaustion;
    const auto channel = MakeChannelTo(server.target());

    EXPECT_EQ(Call(Flavour::kSync, channel, "hello").status.ok(),
              on_exhaustion);
    EXPECT_EQ(runs, on_exhaustion ? 1 : 0);
  }
}

ATTEMPTS_TEST_F(RetriedTest, FallbackCanBeKeptFromFailuresThatNoRetryHelps) {
  std::atomic<int> runs{0};
  policy().fallback = CountingFallback(&runs);
  policy().fallback.on_not_retryable = false;

  Fail(StatusCode::INVALID_ARGUMENT);
  server_.Push(PushBack("-1"));
  EXPECT_EQ(CallIt().status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(runs, 0);

  EXPECT_TRUE(Exhaust().status.ok());
  EXPECT_EQ(runs, 1);
}

TEST_F(RetriedTest, FallbackCanBeKeptFromMethodsThatMayNotBeRepeated) {
  std::atomic<int> runs{0};
  policy().idempotency = Idempotency::kAsDeclared;
  policy().fallback = CountingFallback(&runs);
  policy().fallback.on_not_retryable = false;

  Fail(StatusCode::UNAVAILABLE);

  EXPECT_EQ(runs, 0);
  EXPECT_EQ(server_.calls(), 1);
}

TEST_F(RetriedTest, FallbackCanBeKeptFromRejections) {
  std::atomic<int> runs{0};
  policy().retry.max_retries = 0;
  policy().fallback = CountingFallback(&runs);
  policy().fallback.on_rejection = false;
  policy().fallback.on_exhaustion = false;
  policy().fallback.on_not_retryable = true;
  OpenBreaker();

  EXPECT_TRUE(IsBreakerRejection(CallIt().status));
  EXPECT_EQ(runs, 0);
}

ATTEMPTS_TEST_F(RetriedTest, HookRunsBeforeTheFallbackAndSeesTheFailure) {
  std::string order;
  policy().on_final_failure = [&](const FailedCall& call) {
    order += "hook " + call.status.error_message() + ", ";
  };
  policy().fallback.function = [&](const FailedCall& call) {
    order += "fallback " + call.status.error_message();
    return FallbackResult{grpc::Status::OK, ""};
  };

  EXPECT_TRUE(Exhaust().status.ok());

  EXPECT_EQ(order, "hook down, fallback down");
}

TEST_P(EveryWayTest, HookDoesNotRunForACancelledCall) {
  std::atomic<int> runs{0};
  policy().on_final_failure = [&](const FailedCall&) { ++runs; };
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  auto call = StartIt();
  gate->WaitForArrivals(1);

  call.Cancel();

  EXPECT_EQ(call.Wait().status.error_code(), StatusCode::CANCELLED);
  EXPECT_EQ(runs, 0);
}

TEST_P(EveryWayTest, HookRunsForACancellationThatTheServerMade) {
  std::atomic<int> runs{0};
  policy().on_final_failure = [&](const FailedCall&) { ++runs; };

  Fail(StatusCode::CANCELLED);

  EXPECT_EQ(runs, 1);
}

TEST_P(EveryWayTest, HookRunsOnceForARejectedCall) {
  Slot<FailedCall> seen;
  std::atomic<int> runs{0};
  policy().on_final_failure = [&](const FailedCall& call) {
    ++runs;
    seen.Put(call);
  };
  OpenBreaker();
  EXPECT_FALSE(seen.Take("the hook of a failure").rejected);

  CallIt();

  const FailedCall rejected = seen.Take("the hook of a rejection");
  EXPECT_TRUE(rejected.rejected);
  EXPECT_EQ(rejected.attempts, 0);
  EXPECT_EQ(rejected.method, method());
  EXPECT_TRUE(IsBreakerRejection(rejected.status));
  EXPECT_EQ(runs, 2);
}

ATTEMPTS_TEST_F(RetriedTest, HookDoesNotRunForACallCancelledInItsBackoff) {
  std::atomic<int> runs{0};
  policy().on_final_failure = [&](const FailedCall&) { ++runs; };
  server_.SetDefault(Answer::Error(StatusCode::UNAVAILABLE));
  auto call = StartIt();
  WaitUntil([&] { return env_.pending_timers() == 1; }, "a backoff");

  call.Cancel();

  const CallResult result = call.Wait();
  EXPECT_EQ(result.status.error_code(), StatusCode::CANCELLED);
  // As gRPC says it, and not what the attempt before it ended with.
  EXPECT_EQ(result.status.error_message(), "CANCELLED");
  EXPECT_EQ(runs, 0);
}

// Refused after an attempt: the call has both a failure and a rejection.
class RejectedAfterAnAttemptTest : public RetriedTest {
 protected:
  RejectedAfterAnAttemptTest() {
    policy().breaker.consecutive_failures = 1;
    Answer answer = Answer::Error(StatusCode::UNAVAILABLE, "down");
    answer.initial_metadata = {{"first", "1"}};
    answer.trailing_metadata = {{"last", "2"}};
    server_.SetDefault(answer);
  }

  CallResult CallAndBeRejected() {
    auto call = StartIt();
    FinishBackoff();
    return call.Wait();
  }
};

ATTEMPTS_TEST_F(RejectedAfterAnAttemptTest, TellsTheLastErrorAsWell) {
  const CallResult result = CallAndBeRejected();

  EXPECT_TRUE(IsBreakerRejection(result.status));
  EXPECT_EQ(RejectionRetryAfter(ToAbslStatus(result.status)),
            absl::Seconds(50));
  EXPECT_THAT(result.status.error_message(),
              AllOf(HasSubstr(kUnary), EndsWith("; last error: down")));
  // A call that is refused at once has none.
  EXPECT_THAT(CallIt().status.error_message(), Not(HasSubstr("last error")));
}

ATTEMPTS_TEST_F(RejectedAfterAnAttemptTest, ShowsNoMetadataOfTheAttempt) {
  const CallResult result = CallAndBeRejected();

  EXPECT_TRUE(result.initial_metadata.empty());
  EXPECT_EQ(result.trailing_metadata.count("last"), 0u);
  EXPECT_EQ(ValueOf(result.trailing_metadata, kRejectedKey), "OPEN");
  EXPECT_EQ(ValueOf(result.trailing_metadata, kRetryAfterKey), "50000");
  EXPECT_EQ(ValueOf(result.trailing_metadata, kAttemptsKey), "1");
}

ATTEMPTS_TEST_F(RejectedAfterAnAttemptTest, ShowsHowManyAttemptsThereWere) {
  policy().breaker.consecutive_failures = 2;
  policy().retry.max_retries = 2;
  auto call = StartIt();
  FinishBackoff();
  FinishBackoff();
  const CallResult result = call.Wait();

  EXPECT_TRUE(IsBreakerRejection(result.status));
  EXPECT_EQ(ValueOf(result.trailing_metadata, kAttemptsKey), "2");
  EXPECT_EQ(ValueOf(result.trailing_metadata, kRejectedKey), "OPEN");
}

ATTEMPTS_TEST_F(RejectedAfterAnAttemptTest, TellsHookAndFallbackOfBoth) {
  Slot<FailedCall> hook, fallback;
  policy().on_final_failure = [&](const FailedCall& call) { hook.Put(call); };
  policy().fallback.function = [&](const FailedCall& call) {
    fallback.Put(call);
    return FallbackResult{call.status, ""};
  };
  policy().fallback.on_exhaustion = false;
  policy().fallback.on_not_retryable = false;

  CallAndBeRejected();

  for (Slot<FailedCall>* slot : {&hook, &fallback}) {
    const FailedCall call = slot->Take("a failed call");
    EXPECT_EQ(call.attempts, 1);
    EXPECT_TRUE(call.rejected);
    EXPECT_THAT(call.status.error_message(), HasSubstr("last error: down"));
  }
}

TEST_P(EveryWayTest, RejectionIsNotTheLastErrorOfItsMethod) {
  OpenBreaker();
  const absl::Time failed = last_error()->time;
  env_.Advance(absl::Seconds(1));

  ASSERT_TRUE(IsBreakerRejection(CallIt().status));

  EXPECT_EQ(last_error()->time, failed);
  EXPECT_EQ(last_error()->message, "scripted");
}

TEST_P(EveryWayTest, LastErrorIsThatOfTheLastFailure) {
  EXPECT_TRUE(CallIt().status.ok());
  EXPECT_FALSE(last_error().has_value());
  Fail(StatusCode::UNAVAILABLE);
  env_.Advance(absl::Seconds(3));
  server_.Push(Answer::Error(StatusCode::NOT_FOUND, "gone"));
  CallIt();
  EXPECT_TRUE(CallIt().status.ok());

  ASSERT_TRUE(last_error().has_value());
  EXPECT_EQ(last_error()->code, StatusCode::NOT_FOUND);
  EXPECT_EQ(last_error()->message, "gone");
  EXPECT_EQ(last_error()->time, env_.WallNow());
}

// ---- What the application is shown

TEST_P(EveryWayTest, RejectionIsTheSameWhicheverWayTheCallGoes) {
  OpenBreaker();
  env_.Advance(absl::Seconds(15));

  const CallResult result = CallIt();

  EXPECT_EQ(result.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_TRUE(IsBreakerRejection(result.status));
  EXPECT_THAT(result.status.error_message(), HasSubstr(method()));
  EXPECT_EQ(RejectionRetryAfter(ToAbslStatus(result.status)),
            absl::Seconds(45));
  EXPECT_EQ(WithoutHistory(result.trailing_metadata),
            (Metadata{{kRejectedKey, "OPEN"}, {kRetryAfterKey, "45000"}}));
  EXPECT_TRUE(result.initial_metadata.empty());
  EXPECT_EQ(server_.calls(), 1);
}

// A server may be the client of a breaker itself, and pass on what it got.
TEST_P(EveryWayTest, NotesThatCameFromTheServerAreNotShown) {
  Answer answer;
  answer.trailing_metadata = {{kRejectedKey, "OPEN"},
                              {kRetryAfterKey, "1"},
                              {kAttemptsKey, "9"},
                              {"other", "value"}};
  server_.Push(answer);
  answer.status = grpc::Status(StatusCode::INTERNAL, "down");
  server_.Push(answer);

  EXPECT_EQ(CallIt().trailing_metadata, (Metadata{{"other", "value"}}));
  const Metadata of_failure = CallIt().trailing_metadata;
  EXPECT_EQ(WithoutHistory(of_failure), (Metadata{{"other", "value"}}));
  EXPECT_EQ(of_failure.count(kAttemptsKey), 1u);
  EXPECT_EQ(ValueOf(of_failure, kAttemptsKey), "1");
}

ATTEMPTS_TEST_F(RetriedTest, DebugStringIsThatOfTheLastAttempt) {
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE, "early"));
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE, "late"));
  auto call = StartIt();
  FinishBackoff();

  EXPECT_THAT(call.Wait().debug_error_string,
              AllOf(HasSubstr("late"), Not(HasSubstr("early"))));
}

TEST_P(EveryWayTest, DebugStringIsThereForEveryFailure) {
  EXPECT_THAT(Fail(StatusCode::INTERNAL).debug_error_string,
              HasSubstr("scripted"));
  EXPECT_EQ(CallIt().debug_error_string, "");
}

// ---- What makes the library make the attempts itself, even without retries

TEST_F(PolicyEffectsTest, HookWithoutRetriesSeesTheRequest) {
  Go(Way::kNative);
  Slot<bool> has_request;
  policy().on_final_failure = [&](const FailedCall& call) {
    has_request.Put(call.request != nullptr);
  };

  Fail(StatusCode::UNAVAILABLE);

  EXPECT_TRUE(has_request.Take("the hook"));
}

ATTEMPTS_TEST_F(PolicyEffectsTest, AuthorityOfThePolicyHoldsWithoutRetriesToo) {
  Go(Way::kNative);
  policy().authority = "policy.test";

  EXPECT_TRUE(CallIt().status.ok());

  EXPECT_EQ(server_.received().at(0).authority, "policy.test");
}

ATTEMPTS_TEST_F(PolicyEffectsTest,
                WaitForReadyOfThePolicyHoldsWithoutRetriesToo) {
  Go(Way::kNative);
  const ReservedPort nobody;
  for (const bool wait : {false, true}) {
    policy().wait_for_ready = wait;
    const auto channel = CreateChannel(
        nobody.target(), grpc::InsecureChannelCredentials(), options_);
    ASSERT_TRUE(channel.ok());

    EXPECT_EQ(Call(Flavour::kSync, *channel, "hello",
                   DeadlineIn(wait ? absl::Milliseconds(100) : absl::Hours(1)))
                  .status.error_code(),
              wait ? StatusCode::DEADLINE_EXCEEDED : StatusCode::UNAVAILABLE);
  }
}

// ---- Waiting for the breaker, permits, budget

class WaitingTest : public RetriedTest {
 protected:
  WaitingTest() {
    policy().wait_when_rejected = true;
    policy().breaker.consecutive_failures = 1;
    policy().retry.max_retries = 1;
  }

  // By a call that does not wait.
  void OpenTheBreaker() {
    server_.Push(Answer::Error(StatusCode::INTERNAL));
    ASSERT_EQ(CallIt().status.error_code(), StatusCode::INTERNAL);
    ASSERT_EQ(breaker().state, BreakerState::kOpen);
  }
};

ATTEMPTS_TEST_F(WaitingTest, WaitsForTheBreakerAndThenCalls) {
  OpenTheBreaker();
  auto call = StartIt();

  EXPECT_EQ(FinishBackoff(), absl::Seconds(60));

  const CallResult result = call.Wait();
  EXPECT_TRUE(result.status.ok());
  EXPECT_EQ(result.trailing_metadata.size(), 0u);  // Not refused, one attempt.
}

TEST_F(WaitingTest, DoesNotWaitBeyondTheDeadline) {
  OpenTheBreaker();

  EXPECT_TRUE(IsBreakerRejection(CallIt(DeadlineIn(absl::Seconds(59))).status));

  EXPECT_EQ(env_.pending_timers(), 0u);
  EXPECT_EQ(server_.calls(), 1);
}

TEST_F(WaitingTest, DoesNotWaitBeyondThePolicysTimeout) {
  policy().timeout = absl::Seconds(59);
  OpenTheBreaker();

  EXPECT_TRUE(IsBreakerRejection(CallIt().status));

  EXPECT_EQ(env_.pending_timers(), 0u);
}

ATTEMPTS_TEST_F(WaitingTest, DoesNotWaitForWhatWouldEndAfterTheDeadline) {
  Answer slow;
  slow.handler = [this](grpc::ServerContext&) {
    env_.Advance(absl::Seconds(3));
    return grpc::Status();
  };
  server_.Push(20, slow);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(CallIt().status.ok());
  OpenTheBreaker();

  EXPECT_TRUE(IsBreakerRejection(CallIt(DeadlineIn(absl::Seconds(62))).status));

  EXPECT_EQ(env_.pending_timers(), 0u);
  EXPECT_EQ(server_.calls(), 21);
}

ATTEMPTS_TEST_F(WaitingTest, WaitsAsOftenAsItMayRetry) {
  // A breaker whose probes are all under way: asking again does not help.
  policy().breaker.half_open_permits = 1;
  OpenTheBreaker();
  env_.Advance(absl::Seconds(60));
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  auto probe = StartIt();
  gate->WaitForArrivals(1);

  auto waiting = StartIt();
  FinishBackoff();

  const CallResult result = waiting.Wait();
  EXPECT_TRUE(IsBreakerRejection(result.status));
  EXPECT_EQ(ValueOf(result.trailing_metadata, kRejectedKey), "HALF_OPEN_LIMIT");
  gate->Open();
  EXPECT_TRUE(probe.Wait().status.ok());
}

TEST_P(EveryWayTest, ProbeThatIsCancelledGivesItsPlaceBack) {
  policy().breaker.half_open_permits = 1;
  OpenBreaker();
  env_.Advance(absl::Seconds(60));
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  auto probe = StartIt();
  gate->WaitForArrivals(1);
  ASSERT_EQ(breaker().permits_in_use, 1);

  probe.Cancel();
  probe.Wait();

  EXPECT_EQ(breaker().permits_in_use, 0);
  EXPECT_EQ(breaker().state, BreakerState::kHalfOpen);
  EXPECT_TRUE(CallIt().status.ok());
}

TEST_P(EveryWayTest, ProbeThatIsCancelledBeforeItsStartGivesItsPlaceBack) {
  policy().breaker.half_open_permits = 1;
  OpenBreaker();
  env_.Advance(absl::Seconds(60));

  CallIt([](grpc::ClientContext* context) { context->TryCancel(); });

  EXPECT_EQ(breaker().permits_in_use, 0);
  EXPECT_TRUE(CallIt().status.ok());
}

ATTEMPTS_TEST_F(RetriedTest, SuccessesFillTheRetryBudgetAgain) {
  // A retry is allowed while more than half of the tokens are there.
  options_.retry_budget.max_tokens = 3;
  options_.retry_budget.token_ratio = 1;
  Exhaust();  // Takes two tokens.
  Fail(StatusCode::UNAVAILABLE);
  ASSERT_EQ(server_.calls(), 3);

  for (int i = 0; i < 3; ++i) EXPECT_TRUE(CallIt().status.ok());

  EXPECT_EQ(Exhaust().status.error_message(), "down");
  EXPECT_EQ(server_.calls(), 8);
}

}  // namespace
}  // namespace grpc_breaker::e2e
