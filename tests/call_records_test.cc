#include "grpc_breaker/stats/call_records.h"

#include <map>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/call_stats.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr absl::Duration kMs = absl::Milliseconds(1);

MonotonicTime At(absl::Duration time) {
  return MonotonicTime(absl::ToChronoNanoseconds(time));
}

// "UNAVAILABLE TRANSIENT rejected": 3
std::map<std::string, uint64_t> CountsOf(
    const std::vector<CallTotals::Series>& all) {
  std::map<std::string, uint64_t> counts;
  for (const CallTotals::Series& series : all) {
    counts[absl::StrCat(
        absl::StatusCodeToString(series.code), " ", ToString(series.category),
        series.rejected ? " rejected" : "")] += series.latency.count();
  }
  return counts;
}

template <size_t n>
uint64_t Sum(const std::array<uint64_t, n>& counts) {
  return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
}

uint64_t At(const std::array<uint64_t, kStopReasons>& counts,
            StopReason reason) {
  return counts[static_cast<size_t>(reason)];
}

class CallRecordsTest : public ::testing::Test {
 protected:
  void Fail(absl::StatusCode code, ErrorCategory category, StopReason stopped,
            size_t attempts = 1) {
    records_.AddCall({code, category, stopped, attempts, kMs}, now_);
  }
  void Reject() {
    Fail(absl::StatusCode::kUnavailable, ErrorCategory::kTransient,
         StopReason::kBreakerOpen, 0);
  }

  MonotonicTime now_ = At(absl::Hours(1));
  CallRecords records_{now_};
};

TEST_F(CallRecordsTest, KnowNothingOfAMethodThatWasNotCalled) {
  const CallTotals totals = records_.Totals();
  EXPECT_THAT(totals.calls, IsEmpty());
  EXPECT_THAT(totals.attempts, IsEmpty());
  EXPECT_EQ(Sum(totals.stopped_at_once), 0u);
  const RecentCalls recent = records_.Recent(now_);
  EXPECT_EQ(recent.window, absl::ZeroDuration());
  EXPECT_EQ(recent.calls, 0u);
  EXPECT_EQ(recent.p50, std::nullopt);
  EXPECT_EQ(recent.calls_per_second(), 0);
}

TEST_F(CallRecordsTest, SuccessAtOnceIsACallAndAnAttempt) {
  records_.AddSuccessAtOnce(kMs, now_);
  records_.AddSuccessAtOnce(kMs, now_);

  const CallTotals totals = records_.Totals();

  EXPECT_THAT(CountsOf(totals.calls), ElementsAre(Pair("OK NONE", 2)));
  EXPECT_THAT(CountsOf(totals.attempts), ElementsAre(Pair("OK NONE", 2)));
  EXPECT_EQ(At(totals.stopped_at_once, StopReason::kSucceeded), 2u);
  EXPECT_EQ(records_.Counts().calls, 2u);
  EXPECT_EQ(records_.Counts().failures, 0u);
}

TEST_F(CallRecordsTest, OtherSuccessesAreOfTheSameKind) {
  records_.AddSuccessAtOnce(kMs, now_);
  records_.AddAttempt(absl::StatusCode::kUnavailable, ErrorCategory::kNetwork,
                      kMs, now_);
  records_.AddAttempt(absl::StatusCode::kOk, ErrorCategory::kNone, kMs, now_);
  records_.AddRetry();
  records_.AddCall({absl::StatusCode::kOk, ErrorCategory::kNone,
                    StopReason::kSucceeded, 2, 2 * kMs},
                   now_);

  const CallTotals totals = records_.Totals();

  EXPECT_THAT(CountsOf(totals.calls), ElementsAre(Pair("OK NONE", 2)));
  EXPECT_THAT(CountsOf(totals.attempts),
              ElementsAre(Pair("OK NONE", 2), Pair("UNAVAILABLE NETWORK", 1)));
  EXPECT_EQ(totals.calls.front().latency.sum(), 3 * kMs);
  EXPECT_EQ(At(totals.stopped_at_once, StopReason::kSucceeded), 1u);
  EXPECT_EQ(At(totals.stopped_after_retries, StopReason::kSucceeded), 1u);
  EXPECT_EQ(totals.retries, 1u);
}

TEST_F(CallRecordsTest, FailuresAreToldApartByCodeCategoryAndRejection) {
  Fail(absl::StatusCode::kUnavailable, ErrorCategory::kNetwork,
       StopReason::kExhausted, 4);
  Fail(absl::StatusCode::kUnavailable, ErrorCategory::kTransient,
       StopReason::kBudget);
  Fail(absl::StatusCode::kUnavailable, ErrorCategory::kTransient,
       StopReason::kBreakerOpen, 2);
  Fail(absl::StatusCode::kNotFound, ErrorCategory::kPermanent,
       StopReason::kNotRetryable);
  Reject();

  const CallTotals totals = records_.Totals();

  EXPECT_THAT(CountsOf(totals.calls),
              ElementsAre(Pair("NOT_FOUND PERMANENT", 1),
                          Pair("UNAVAILABLE NETWORK", 1),
                          Pair("UNAVAILABLE TRANSIENT", 2),
                          Pair("UNAVAILABLE TRANSIENT rejected", 1)));
  EXPECT_EQ(At(totals.stopped_at_once, StopReason::kBreakerOpen), 1u);
  EXPECT_EQ(At(totals.stopped_after_retries, StopReason::kBreakerOpen), 1u);
  EXPECT_EQ(Sum(totals.stopped_at_once), 3u);
  EXPECT_EQ(Sum(totals.stopped_after_retries), 2u);
  EXPECT_EQ(records_.Counts().calls, 5u);
  EXPECT_EQ(records_.Counts().failures, 5u);
}

TEST_F(CallRecordsTest, CodesThatAreNoneCountAsUnknown) {
  for (const int code : {-1, 17, 1'000'000}) {
    Fail(static_cast<absl::StatusCode>(code), ErrorCategory::kPermanent,
         StopReason::kNotRetryable);
  }
  EXPECT_THAT(CountsOf(records_.Totals().calls),
              ElementsAre(Pair("UNKNOWN PERMANENT", 3)));
}

TEST_F(CallRecordsTest, LostAttemptsAreCancelledWhateverTheyWere) {
  records_.AddLostAttempt(/*overtaken=*/true, kMs, now_);
  records_.AddLostAttempt(/*overtaken=*/false, kMs, now_);
  EXPECT_THAT(CountsOf(records_.Totals().attempts),
              ElementsAre(Pair("CANCELLED NONE", 2)));
}

TEST_F(CallRecordsTest, CountersCountWhatTheySay) {
  for (int i = 0; i < 1; ++i) records_.AddRetry();
  for (int i = 0; i < 2; ++i) records_.AddHedge();
  for (int i = 0; i < 3; ++i) records_.AddWonHedge();
  for (int i = 0; i < 4; ++i) records_.AddLostHedge();
  for (int i = 0; i < 5; ++i) records_.AddFallback();
  for (int i = 0; i < 6; ++i) records_.AddRejection(RejectionReason::kBulkhead);
  records_.AddRejection(RejectionReason::kOpen);
  const CallTotals totals = records_.Totals();
  EXPECT_EQ(totals.retries, 1u);
  EXPECT_EQ(totals.hedges, 2u);
  EXPECT_EQ(totals.hedges_won, 3u);
  EXPECT_EQ(totals.hedges_lost, 4u);
  EXPECT_EQ(totals.fallbacks, 5u);
  EXPECT_THAT(totals.rejections, ElementsAre(1, 0, 0, 0, 0, 6));
}

TEST_F(CallRecordsTest, RecentCallsAreThoseOfTheLastMinute) {
  for (int i = 0; i < 80; ++i) records_.AddSuccessAtOnce(kMs, now_);
  for (int i = 0; i < 15; ++i) {
    records_.AddCall({absl::StatusCode::kInternal, ErrorCategory::kPermanent,
                      StopReason::kNotRetryable, 1, 100 * kMs},
                     now_);
  }
  for (int i = 0; i < 5; ++i) Reject();
  now_ += std::chrono::seconds(20);

  const RecentCalls recent = records_.Recent(now_);

  EXPECT_EQ(recent.window, absl::Seconds(20));
  EXPECT_EQ(recent.calls, 100u);
  EXPECT_EQ(recent.failures, 20u);
  EXPECT_EQ(recent.rejected, 5u);
  EXPECT_EQ(recent.calls_per_second(), 5);
  EXPECT_NEAR(absl::ToDoubleMilliseconds(*recent.p50), 1, 0.0625);
  EXPECT_NEAR(absl::ToDoubleMilliseconds(*recent.p95), 100, 6.25);
  EXPECT_NEAR(absl::ToDoubleMilliseconds(*recent.p99), 100, 6.25);

  now_ += std::chrono::seconds(60);
  const RecentCalls later = records_.Recent(now_);
  EXPECT_GE(later.window, absl::Seconds(50));
  EXPECT_LE(later.window, absl::Seconds(60));
  EXPECT_EQ(later.calls, 0u);
  EXPECT_EQ(later.failures, 0u);
  EXPECT_EQ(later.rejected, 0u);
  EXPECT_EQ(later.p50, std::nullopt);
  EXPECT_EQ(records_.Counts().calls, 100u);
}

TEST_F(CallRecordsTest, RejectedCallsTakeNoTime) {
  for (int i = 0; i < 100; ++i) Reject();
  EXPECT_EQ(records_.Recent(now_).p50, std::nullopt);
  records_.AddSuccessAtOnce(absl::Seconds(3), now_);
  EXPECT_NEAR(absl::ToDoubleSeconds(*records_.Recent(now_).p50), 3, 0.19);
}

TEST_F(CallRecordsTest, RejectedCallThatAFallbackAnsweredIsNoFailure) {
  records_.AddCall({absl::StatusCode::kOk, ErrorCategory::kNone,
                    StopReason::kBreakerOpen, 0, absl::ZeroDuration()},
                   now_);
  const RecentCalls recent = records_.Recent(now_);
  EXPECT_EQ(recent.calls, 1u);
  EXPECT_EQ(recent.rejected, 1u);
  EXPECT_EQ(recent.failures, 0u);
}

TEST_F(CallRecordsTest, FirstSecondOfAMethodIsNotTakenForARush) {
  records_.AddSuccessAtOnce(kMs, now_);
  EXPECT_EQ(records_.Recent(now_).calls_per_second(), 1);
}

TEST_F(CallRecordsTest, AttemptQuantilesNeedEnoughAttemptsThatSucceeded) {
  for (uint64_t i = 1; i < CallRecords::kLeastCount; ++i) {
    records_.AddSuccessAtOnce(5 * kMs, now_);
    records_.AddAttempt(absl::StatusCode::kUnavailable, ErrorCategory::kNetwork,
                        absl::Seconds(1), now_);
    records_.AddLostAttempt(/*overtaken=*/false, absl::Seconds(1), now_);
  }
  EXPECT_EQ(records_.AttemptQuantile(0.5, now_), std::nullopt);

  records_.AddAttempt(absl::StatusCode::kOk, ErrorCategory::kNone, 5 * kMs,
                      now_);

  EXPECT_NEAR(absl::ToDoubleMilliseconds(*records_.AttemptQuantile(0.99, now_)),
              5, 0.32);
  now_ += std::chrono::seconds(60);
  EXPECT_EQ(records_.AttemptQuantile(0.5, now_), std::nullopt);
}

TEST_F(CallRecordsTest, OvertakenAttemptsRaiseAttemptQuantiles) {
  for (int i = 0; i < 20; ++i) {
    records_.AddSuccessAtOnce(kMs, now_);
    records_.AddLostAttempt(/*overtaken=*/true, 50 * kMs, now_);
  }
  EXPECT_NEAR(absl::ToDoubleMilliseconds(*records_.AttemptQuantile(0.9, now_)),
              50, 3.2);
}

TEST_F(CallRecordsTest, ThreadsThatSeeAKindForTheFirstTimeShareOneEntry) {
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this] {
      for (int round = 0; round < 50; ++round) {
        for (int code = 0; code <= 16; ++code) {
          records_.AddAttempt(static_cast<absl::StatusCode>(code),
                              ErrorCategory::kTransient, kMs, now_);
          Fail(static_cast<absl::StatusCode>(code), ErrorCategory::kNetwork,
               StopReason::kExhausted);
        }
        records_.AddRetry();
        records_.AddSuccessAtOnce(kMs, now_);
      }
    });
  }
  threads.emplace_back([this] {
    for (int i = 0; i < 200; ++i) {
      EXPECT_LE(records_.Counts().failures, 16u * kThreads * 50);
      EXPECT_LE(records_.Recent(now_).calls, 18u * kThreads * 50);
    }
  });
  for (std::thread& thread : threads) thread.join();
  const CallTotals totals = records_.Totals();
  // One of each, and the successes at once.
  EXPECT_EQ(totals.attempts.size(), 18u);
  EXPECT_EQ(totals.calls.size(), 18u);
  for (const CallTotals::Series& series : totals.attempts) {
    EXPECT_EQ(series.latency.count(), kThreads * 50u);
  }
  EXPECT_EQ(records_.Counts().calls, 18u * kThreads * 50);
  EXPECT_EQ(totals.retries, kThreads * 50u);
  EXPECT_EQ(records_.Recent(now_).calls, 18u * kThreads * 50);
}

}  // namespace
}  // namespace grpc_breaker::internal
