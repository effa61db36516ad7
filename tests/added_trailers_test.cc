#include "grpc_breaker/rpc/added_trailers.h"

#include <string>
#include <utility>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/trailing_metadata.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

ReceivedMetadata Shown(const AddedTrailers& notes) {
  ReceivedMetadata metadata;
  notes.AppendTo(&metadata);
  return metadata;
}

Rejection RefusedFor(absl::Duration retry_after) {
  Rejection rejection;
  rejection.reason = RejectionReason::kBulkhead;
  rejection.retry_after = retry_after;
  return rejection;
}

CallHistory Exhausted() {
  CallHistory history;
  history.attempts = {
      {grpc::StatusCode::UNAVAILABLE, absl::ZeroDuration()},
      {grpc::StatusCode::RESOURCE_EXHAUSTED, absl::Milliseconds(1500)}};
  history.stopped = StopReason::kExhausted;
  return history;
}

TEST(AddedTrailersTest, SaysNothingOfACallLikeAnyOther) {
  EXPECT_THAT(Shown(AddedTrailers()), IsEmpty());
}

TEST(AddedTrailersTest, SaysWhyACallWasRefusedAndForHowLong) {
  AddedTrailers notes;
  notes.AddRejection(RefusedFor(absl::Seconds(7)));

  EXPECT_THAT(Shown(notes), UnorderedElementsAre(Pair(kRejectedKey, "BULKHEAD"),
                                                 Pair(kRetryAfterKey, "7000")));
}

TEST(AddedTrailersTest, RoundsTheRetryAfterUpSoThatNobodyComesTooEarly) {
  const std::pair<absl::Duration, std::string> times[] = {
      {absl::ZeroDuration(), "0"},
      {absl::Nanoseconds(1), "1"},
      {absl::Milliseconds(1), "1"},
      {absl::Milliseconds(1) + absl::Nanoseconds(1), "2"},
  };
  for (const auto& [time, text] : times) {
    AddedTrailers notes;
    notes.AddRejection(RefusedFor(time));
    const ReceivedMetadata shown = Shown(notes);
    EXPECT_EQ(shown.find(kRetryAfterKey)->second, text) << time;
  }
}

TEST(AddedTrailersTest, SaysBothAttemptsAndRejection) {
  AddedTrailers notes;
  CallHistory history = Exhausted();
  history.stopped = StopReason::kBreakerOpen;
  notes.AddHistory(history);
  notes.AddRejection(RefusedFor(absl::Seconds(1)));

  EXPECT_THAT(
      Shown(notes),
      UnorderedElementsAre(
          Pair(kAttemptsKey, "2"),
          Pair(kAttemptHistoryKey, "UNAVAILABLE;0,RESOURCE_EXHAUSTED;1500"),
          Pair(kStoppedKey, "BREAKER_OPEN"), Pair(kRejectedKey, "BULKHEAD"),
          Pair(kRetryAfterKey, "1000")));
}

TEST(AddedTrailersTest, StandBesideWhatTheServerSent) {
  ReceivedMetadata metadata = {{"key", "1"}, {"key", "2"}};
  AddedTrailers notes;
  notes.AddHistory(CallHistory());

  notes.AppendTo(&metadata);

  EXPECT_THAT(metadata, UnorderedElementsAre(Pair("key", "1"), Pair("key", "2"),
                                             Pair(kAttemptsKey, "0"),
                                             Pair(kAttemptHistoryKey, ""),
                                             Pair(kStoppedKey, "SUCCEEDED")));
}

TEST(AddedTrailersTest,
     ThoseOfABreakerFurtherDownAreErasedHoweverManyThereAre) {
  ReceivedMetadata metadata = {
      {kRejectedKey, "OPEN"},       {kRejectedKey, "RAMP"},
      {kRetryAfterKey, "1"},        {kAttemptsKey, "9"},
      {kAttemptHistoryKey, "OK;0"}, {kStoppedKey, "BUDGET"},
      {"breaker", "kept"},          {"key", "kept"}};

  AddedTrailers::EraseFrom(&metadata);

  EXPECT_THAT(metadata, UnorderedElementsAre(Pair("breaker", "kept"),
                                             Pair("key", "kept")));
}

}  // namespace
}  // namespace grpc_breaker::internal
