// What a method counts of its calls, of every kind and flavour.

#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpc_breaker/call_stats.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/raw_server.h"
#include "tests/e2e/stream_flavours.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;

// "2 OK, 1 UNAVAILABLE TRANSIENT, 1 UNAVAILABLE TRANSIENT rejected".
std::string TextOf(const std::vector<CallTotals::Series>& all) {
  std::map<std::string, uint64_t> counts;
  for (const CallTotals::Series& series : all) {
    std::string name = absl::StatusCodeToString(series.code);
    if (series.category != ErrorCategory::kNone) {
      absl::StrAppend(&name, " ", ToString(series.category));
    }
    if (series.rejected) absl::StrAppend(&name, " rejected");
    counts[name] += series.latency.count();
  }
  return absl::StrJoin(counts, ", ", [](std::string* out, const auto& count) {
    absl::StrAppend(out, count.second, " ", count.first);
  });
}

void AddStops(const std::array<uint64_t, kStopReasons>& counts,
              absl::string_view suffix, std::vector<std::string>* parts) {
  for (size_t i = 0; i < kStopReasons; ++i) {
    if (counts[i] == 0) continue;
    parts->push_back(absl::StrCat(
        counts[i], " ", ToString(static_cast<StopReason>(i)), suffix));
  }
}

absl::Duration SumOf(const std::vector<CallTotals::Series>& all) {
  absl::Duration sum;
  for (const CallTotals::Series& series : all) sum += series.latency.sum();
  return sum;
}

class CallStatsFixture : public E2eTest {
 protected:
  const std::shared_ptr<grpc::Channel>& channel() {
    if (channel_ == nullptr) channel_ = MakeChannel();
    return channel_;
  }

  const Method& MethodNamed(const std::string& name) {
    return *directory_.Registries().at(0)->Find(name);
  }
  CallTotals Totals(const std::string& method) {
    return MethodNamed(method).call_totals();
  }

  // "1 SUCCEEDED, 1 EXHAUSTED after retries".
  std::string Stops(const std::string& method) {
    std::vector<std::string> parts;
    AddStops(Totals(method).stopped_at_once, "", &parts);
    AddStops(Totals(method).stopped_after_retries, " after retries", &parts);
    return absl::StrJoin(parts, ", ");
  }

  // What is counted otherwise: "2 retries, 1 OPEN".
  std::string Others(const std::string& method) {
    const CallTotals totals = Totals(method);
    std::vector<std::string> parts;
    const auto add = [&](uint64_t count, absl::string_view name) {
      if (count > 0) parts.push_back(absl::StrCat(count, " ", name));
    };
    add(totals.retries, "retries");
    add(totals.hedges, "hedges");
    add(totals.hedges_won, "won");
    add(totals.hedges_lost, "lost");
    add(totals.fallbacks, "fallbacks");
    for (size_t i = 0; i < kRejectionReasons; ++i) {
      add(totals.rejections[i], ToString(static_cast<RejectionReason>(i)));
    }
    return absl::StrJoin(parts, ", ");
  }

  void Expect(const std::string& method, const std::string& calls,
              const std::string& attempts, const std::string& stops,
              const std::string& others = "") {
    const CallTotals totals = Totals(method);
    EXPECT_EQ(TextOf(totals.calls), calls);
    EXPECT_EQ(TextOf(totals.attempts), attempts);
    EXPECT_EQ(Stops(method), stops);
    EXPECT_EQ(Others(method), others);
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

class UnaryStatsTest : public CallStatsFixture,
                       public ::testing::WithParamInterface<UnaryWay> {
 protected:
  UnaryStatsTest() { GoBy(GetParam(), policy()); }

  std::unique_ptr<UnderWay> Start(const Configure& configure = nullptr) {
    return StartCall(GetParam().flavour, channel(), "hello", configure);
  }
  CallResult CallIt() {
    return ThroughBackoffs(
        [&] { return Call(GetParam().flavour, channel(), "hello"); });
  }
  void Fail(int times, StatusCode code = StatusCode::UNAVAILABLE) {
    server_.Push(times, Answer::Error(code));
  }
  // One whose attempt takes that long by the clock of the test.
  Answer Takes(absl::Duration time, grpc::Status status = grpc::Status()) {
    Answer answer;
    answer.handler = [this, time, status](grpc::ServerContext&) {
      env_.Advance(time);
      return status;
    };
    return answer;
  }
  Fallback AnswersAfter(absl::Duration time) {
    Fallback fallback = Fallback::Reply(Reply());
    fallback.function = [this, time, answer = std::move(fallback.function)](
                            const FailedCall& call) {
      env_.Advance(time);
      return answer(call);
    };
    return fallback;
  }
};

INSTANTIATE_TEST_SUITE_P(Flavours, UnaryStatsTest,
                         ::testing::ValuesIn(AllUnaryWays()),
                         [](const auto& info) { return ToString(info.param); });

TEST_P(UnaryStatsTest, SuccessCounts) {
  CallIt();
  CallIt();
  Expect(kUnary, "2 OK", "2 OK", "2 SUCCEEDED");
}

TEST_P(UnaryStatsTest, FailureThatNoRetryMendsCounts) {
  Fail(1, StatusCode::NOT_FOUND);
  CallIt();
  Expect(kUnary, "1 NOT_FOUND PERMANENT", "1 NOT_FOUND PERMANENT",
         "1 NOT_RETRYABLE");
}

ATTEMPTS_TEST_P(UnaryStatsTest, RetriesCountAndSoDoesWhatTheyCameTo) {
  Fail(2);
  EXPECT_TRUE(CallIt().status.ok());
  Expect(kUnary, "1 OK", "1 OK, 2 UNAVAILABLE TRANSIENT",
         "1 SUCCEEDED after retries", "2 retries");

  Fail(3);
  Fail(1, StatusCode::RESOURCE_EXHAUSTED);
  CallIt();
  Expect(kUnary, "1 OK, 1 RESOURCE_EXHAUSTED RATE_LIMIT",
         "1 OK, 1 RESOURCE_EXHAUSTED RATE_LIMIT, 5 UNAVAILABLE TRANSIENT",
         "1 SUCCEEDED after retries, 1 EXHAUSTED after retries", "5 retries");
}

TEST_P(UnaryStatsTest, RejectedCallCountsAndIsNoAttempt) {
  policy().breaker.consecutive_failures = 1;
  policy().retry.max_retries = 0;
  Fail(1);
  CallIt();
  CallIt();
  CallIt();
  Expect(kUnary, "1 UNAVAILABLE TRANSIENT, 2 UNAVAILABLE TRANSIENT rejected",
         "1 UNAVAILABLE TRANSIENT", "1 EXHAUSTED, 2 BREAKER_OPEN", "2 OPEN");
}

ATTEMPTS_TEST_P(UnaryStatsTest, BreakerThatOpensBetweenAttemptsEndsTheCall) {
  policy().breaker.consecutive_failures = 2;
  Fail(2);
  CallIt();
  Expect(kUnary, "1 UNAVAILABLE TRANSIENT", "2 UNAVAILABLE TRANSIENT",
         "1 BREAKER_OPEN after retries", "1 retries, 1 OPEN");
}

TEST_P(UnaryStatsTest, CancelledCallCountsAsThat) {
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  auto call = Start();
  gate->WaitForArrivals(1);
  call->Cancel();
  call->Wait();
  Expect(kUnary, "1 CANCELLED PERMANENT", "1 CANCELLED PERMANENT",
         "1 CANCELLED");
}

TEST_P(UnaryStatsTest, CallThatComesTooLateIsNoAttempt) {
  Start([](grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() -
                          std::chrono::seconds(1));
  })->Wait();
  Expect(kUnary, "1 DEADLINE_EXCEEDED NETWORK", "", "1 DEADLINE");
}

ATTEMPTS_TEST_P(UnaryStatsTest, FallbackThatAnswersMakesTheCallASuccess) {
  policy().retry.max_retries = 0;
  policy().breaker.consecutive_failures = 1;
  policy().fallback = Fallback::Reply(Reply());
  Fail(1);
  EXPECT_TRUE(CallIt().status.ok());
  EXPECT_TRUE(CallIt().status.ok());
  Expect(kUnary, "1 OK, 1 OK rejected", "1 UNAVAILABLE TRANSIENT",
         "1 EXHAUSTED, 1 BREAKER_OPEN", "2 fallbacks, 1 OPEN");
}

ATTEMPTS_TEST_P(UnaryStatsTest, FallbackThatFailsGivesTheCallItsCode) {
  policy().retry.max_retries = 0;
  policy().fallback =
      Fallback::Fixed(grpc::Status(StatusCode::DATA_LOSS, "of the fallback"));
  Fail(1);
  CallIt();
  Expect(kUnary, "1 DATA_LOSS PERMANENT", "1 UNAVAILABLE TRANSIENT",
         "1 EXHAUSTED");
}

// Whatever the application is told; not every flavour tells it.
TEST_P(UnaryStatsTest, OkWithoutAReplyCountsAsUnimplemented) {
  RawServer server([](RawCall call) { call.SendTrailersOnly(StatusCode::OK); });
  const auto channel = MakeChannelTo(server.target());
  Call(GetParam().flavour, channel, "hello");
  Expect(kUnary, "1 UNIMPLEMENTED PERMANENT", "1 UNIMPLEMENTED PERMANENT",
         "1 NOT_RETRYABLE");
}

ATTEMPTS_TEST_P(UnaryStatsTest, FallbackWhoseReplyDoesNotParseFails) {
  policy().retry.max_retries = 0;
  policy().fallback = Fallback::Fixed(grpc::Status(), "\xff\xff");
  if (IsGeneric(GetParam().flavour)) GTEST_SKIP() << "parses nothing";
  Fail(1);
  EXPECT_EQ(CallIt().status.error_code(), StatusCode::INTERNAL);
  EXPECT_EQ(TextOf(Totals(kUnary).calls), "1 INTERNAL PERMANENT");
}

TEST_P(UnaryStatsTest, PolicysCategoryCounts) {
  policy().retry.max_retries = 0;
  policy().classification[StatusCode::ABORTED].category =
      ErrorCategory::kResource;
  Fail(1, StatusCode::ABORTED);
  CallIt();
  EXPECT_EQ(TextOf(Totals(kUnary).calls), "1 ABORTED RESOURCE");
  EXPECT_EQ(TextOf(Totals(kUnary).attempts), "1 ABORTED RESOURCE");
}

ATTEMPTS_TEST_P(UnaryStatsTest, PolicysCategoryOfAReplyThatDoesNotParseCounts) {
  if (IsGeneric(GetParam().flavour)) GTEST_SKIP() << "parses nothing";
  policy().classification[StatusCode::UNIMPLEMENTED].category =
      ErrorCategory::kResource;
  RawServer server([](RawCall call) { call.SendReply("\xff\xff\xff"); });
  const auto channel = MakeChannelTo(server.target());
  Call(GetParam().flavour, channel, "hello");
  EXPECT_EQ(TextOf(Totals(kUnary).calls), "1 UNIMPLEMENTED RESOURCE");
  EXPECT_EQ(TextOf(Totals(kUnary).attempts), "1 UNIMPLEMENTED RESOURCE");
}

ATTEMPTS_TEST_P(UnaryStatsTest, CallTakesItsAttemptsAndBackoffs) {
  server_.Push(
      Takes(absl::Seconds(3), grpc::Status(StatusCode::UNAVAILABLE, "slow")));
  server_.Push(Takes(absl::Seconds(4)));
  CallIt();
  EXPECT_EQ(SumOf(Totals(kUnary).attempts), absl::Seconds(7));
  EXPECT_EQ(SumOf(Totals(kUnary).calls), absl::Seconds(3 + 10 + 4));
}

ATTEMPTS_TEST_P(UnaryStatsTest, CallTakesItsFallbackAsWell) {
  policy().retry.max_retries = 0;
  policy().fallback = AnswersAfter(absl::Seconds(5));
  server_.Push(
      Takes(absl::Seconds(3), grpc::Status(StatusCode::UNAVAILABLE, "slow")));
  EXPECT_TRUE(CallIt().status.ok());
  EXPECT_EQ(SumOf(Totals(kUnary).attempts), absl::Seconds(3));
  EXPECT_EQ(SumOf(Totals(kUnary).calls), absl::Seconds(3 + 5));
}

ATTEMPTS_TEST_P(UnaryStatsTest, CallTakesTheFallbackForAReplyThatDoesNotParse) {
  if (IsGeneric(GetParam().flavour)) GTEST_SKIP() << "parses nothing";
  policy().fallback = AnswersAfter(absl::Seconds(5));
  RawServer server([](RawCall call) { call.SendReply("\xff\xff\xff"); });
  const auto channel = MakeChannelTo(server.target());
  EXPECT_TRUE(Call(GetParam().flavour, channel, "hello").status.ok());
  EXPECT_EQ(SumOf(Totals(kUnary).calls), absl::Seconds(5));
}

TEST_P(UnaryStatsTest, LastMinuteIsThatOfTheCalls) {
  server_.Push(9, Takes(absl::Seconds(1)));
  server_.Push(
      Takes(absl::Seconds(1), grpc::Status(StatusCode::NOT_FOUND, "")));
  for (int i = 0; i < 10; ++i) CallIt();

  const RecentCalls recent = MethodNamed(kUnary).recent_calls(env_.Now());

  EXPECT_EQ(recent.calls, 10u);
  EXPECT_EQ(recent.failures, 1u);
  EXPECT_EQ(recent.window, absl::Seconds(10));
  EXPECT_NEAR(absl::ToDoubleSeconds(*recent.p99), 1, 0.0625);
  env_.Advance(absl::Minutes(1));
  EXPECT_EQ(MethodNamed(kUnary).recent_calls(env_.Now()).calls, 0u);
}

// ---- Hedging

class HedgeStatsTest : public CallStatsFixture,
                       public ::testing::WithParamInterface<Flavour> {
 protected:
  HedgeStatsTest() {
    policy().hedging.max_hedges = 1;
    policy().hedging.delay = absl::Seconds(10);
  }

  // A call, whose second attempt is made while the first is at a gate.
  void CallTwice(const Answer& second, const Answer& first) {
    server_.Push(first);
    server_.Push(second);
    auto call = StartCall(GetParam(), channel(), "hello");
    server_.WaitForCalls(1);
    FinishBackoff();
    server_.WaitForCalls(2);
    if (second.gate != nullptr) {
      second.gate->WaitForArrivals(1);
      first.gate->Open();
    }
    call->Wait();
  }
  static Answer Blocked() { return Answer::Blocked(std::make_shared<Gate>()); }
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(HedgeStatsTest);
INSTANTIATE_TEST_SUITE_P(Flavours, HedgeStatsTest,
                         ::testing::ValuesIn(AllFlavours()),
                         [](const auto& info) { return ToString(info.param); });

ATTEMPTS_TEST_P(HedgeStatsTest, HedgeThatIsAnsweredFirstHasWon) {
  CallTwice(Answer(), Blocked());
  Expect(kUnary, "1 OK", "1 CANCELLED, 1 OK", "1 SUCCEEDED after retries",
         "1 hedges, 1 won");
}

ATTEMPTS_TEST_P(HedgeStatsTest, HedgeThatIsNotHasLost) {
  CallTwice(Blocked(), Blocked());
  Expect(kUnary, "1 OK", "1 CANCELLED, 1 OK", "1 SUCCEEDED after retries",
         "1 hedges, 1 lost");
}

ATTEMPTS_TEST_P(HedgeStatsTest, HedgeThatFailsHasNeitherWonNorLost) {
  CallTwice(Answer::Error(StatusCode::NOT_FOUND), Blocked());
  Expect(kUnary, "1 NOT_FOUND PERMANENT", "1 CANCELLED, 1 NOT_FOUND PERMANENT",
         "1 NOT_RETRYABLE after retries", "1 hedges");
}

// ---- Streams

class StreamStatsTest
    : public CallStatsFixture,
      public ::testing::WithParamInterface<std::tuple<StreamFlavour, bool>> {
 protected:
  // Retried or not, which is told apart by nothing below.
  StreamStatsTest() { policy().stream_retry.enabled = std::get<1>(GetParam()); }

  StreamFlavour flavour() const { return std::get<0>(GetParam()); }
  std::string method() const { return MethodOf(flavour().kind); }
  CallResult RunIt() {
    return ThroughBackoffs([&] {
      const auto stream = StartStream(flavour(), channel());
      return RunStream(*stream, flavour().kind, {"a"}).call;
    });
  }
};

INSTANTIATE_TEST_SUITE_P(
    Flavours, StreamStatsTest,
    ::testing::Combine(::testing::ValuesIn(AllStreamFlavours()),
                       ::testing::Bool()),
    [](const auto& info) {
      return ToString(std::get<0>(info.param)) +
             (std::get<1>(info.param) ? "Retried" : "");
    });

TEST_P(StreamStatsTest, SuccessCounts) {
  RunIt();
  RunIt();
  Expect(method(), "2 OK", "2 OK", "2 SUCCEEDED");
}

TEST_P(StreamStatsTest, FailureThatNoRetryMendsCounts) {
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::NOT_FOUND));
  RunIt();
  Expect(method(), "1 NOT_FOUND PERMANENT", "1 NOT_FOUND PERMANENT",
         "1 NOT_RETRYABLE");
}

TEST_P(StreamStatsTest, RejectedStreamCountsAndIsNoAttempt) {
  policy().breaker.consecutive_failures = 1;
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::INTERNAL));
  RunIt();
  RunIt();
  Expect(method(), "1 INTERNAL PERMANENT, 1 UNAVAILABLE TRANSIENT rejected",
         "1 INTERNAL PERMANENT", "1 NOT_RETRYABLE, 1 BREAKER_OPEN", "1 OPEN");
}

ATTEMPTS_TEST_P(StreamStatsTest, RetriesCountWhereThereAreAny) {
  server_.Push(Answer::ErrorAtTheEnd(StatusCode::UNAVAILABLE));
  const CallResult result = RunIt();
  if (policy().stream_retry.enabled) {
    EXPECT_TRUE(result.status.ok());
    Expect(method(), "1 OK", "1 OK, 1 UNAVAILABLE TRANSIENT",
           "1 SUCCEEDED after retries", "1 retries");
  } else {
    Expect(method(), "1 UNAVAILABLE TRANSIENT", "1 UNAVAILABLE TRANSIENT",
           "1 EXHAUSTED");
  }
}

TEST_P(StreamStatsTest, StreamTakesFromItsBeginningToItsEnd) {
  Answer slow;
  auto gate = std::make_shared<Gate>();
  slow.last_gate = gate;
  server_.Push(slow);
  std::thread thread([&] { RunIt(); });
  gate->WaitForArrivals(1);
  env_.Advance(absl::Seconds(40));
  gate->Open();
  thread.join();
  EXPECT_EQ(SumOf(Totals(method()).calls), absl::Seconds(40));
  EXPECT_EQ(SumOf(Totals(method()).attempts), absl::Seconds(40));
}

// That is no error, and no success either.
TEST_P(StreamStatsTest, ReaderThatHasSeenEnoughLeavesACategoryOut) {
  if (flavour().kind == StreamKind::kClient) GTEST_SKIP() << "reads nothing";
  Answer answer;
  answer.last_gate = std::make_shared<Gate>();
  server_.Push(answer);
  std::unique_ptr<Stream> stream = StartStream(flavour(), channel());
  if (flavour().kind != StreamKind::kServer) stream->Write("a");
  EXPECT_TRUE(stream->Read().has_value());
  stream->Cancel();
  while (stream->Read().has_value()) {
  }
  EXPECT_EQ(stream->Finish().status.error_code(), StatusCode::CANCELLED);
  Expect(method(), "1 CANCELLED", "1 CANCELLED", "1 CANCELLED");
}

TEST_P(StreamStatsTest, StreamThatIsLetGoOfIsCancelled) {
  if (flavour().api == StreamApi::kReactor) GTEST_SKIP() << "cannot be";
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  std::unique_ptr<Stream> stream = StartStream(flavour(), channel());
  if (flavour().kind != StreamKind::kServer) stream->Write("a");
  gate->WaitForArrivals(1);
  stream.reset();
  Expect(method(), "1 CANCELLED PERMANENT", "1 CANCELLED PERMANENT",
         "1 CANCELLED");
}

}  // namespace
}  // namespace grpc_breaker::e2e
