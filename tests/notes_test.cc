#include "grpc_breaker/internal/notes.h"

#include <string>
#include <utility>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/trailing_metadata.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace internal {
namespace {

using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

ReceivedMetadata Shown(const Notes& notes) {
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

TEST(NotesTest, SaysNothingOfACallLikeAnyOther) {
  EXPECT_THAT(Shown(Notes()), IsEmpty());
}

TEST(NotesTest, SaysWhyACallWasRefusedAndForHowLong) {
  Notes notes;
  notes.AddRejection(RefusedFor(absl::Seconds(7)));

  EXPECT_THAT(Shown(notes), UnorderedElementsAre(Pair(kRejectedKey, "BULKHEAD"),
                                                 Pair(kRetryAfterKey, "7000")));
}

TEST(NotesTest, RoundsTheRetryAfterUpSoThatNobodyComesTooEarly) {
  const std::pair<absl::Duration, std::string> times[] = {
      {absl::ZeroDuration(), "0"},
      {absl::Nanoseconds(1), "1"},
      {absl::Milliseconds(1), "1"},
      {absl::Milliseconds(1) + absl::Nanoseconds(1), "2"},
  };
  for (const auto& [time, text] : times) {
    Notes notes;
    notes.AddRejection(RefusedFor(time));
    const ReceivedMetadata shown = Shown(notes);
    EXPECT_EQ(shown.find(kRetryAfterKey)->second, text) << time;
  }
}

TEST(NotesTest, SaysBothAttemptsAndRejection) {
  Notes notes;
  notes.AddAttempts(3);
  notes.AddRejection(RefusedFor(absl::Seconds(1)));

  EXPECT_THAT(Shown(notes), UnorderedElementsAre(Pair(kAttemptsKey, "3"),
                                                 Pair(kRejectedKey, "BULKHEAD"),
                                                 Pair(kRetryAfterKey, "1000")));
}

TEST(NotesTest, StandBesideWhatTheServerSent) {
  ReceivedMetadata metadata = {{"key", "1"}, {"key", "2"}};
  Notes notes;
  notes.AddAttempts(2);

  notes.AppendTo(&metadata);

  EXPECT_THAT(metadata, UnorderedElementsAre(Pair("key", "1"), Pair("key", "2"),
                                             Pair(kAttemptsKey, "2")));
}

TEST(NotesTest, ThoseOfABreakerFurtherDownAreErasedHoweverManyThereAre) {
  ReceivedMetadata metadata = {{kRejectedKey, "OPEN"}, {kRejectedKey, "RAMP"},
                               {kRetryAfterKey, "1"},  {kAttemptsKey, "9"},
                               {"breaker", "kept"},    {"key", "kept"}};

  Notes::EraseFrom(&metadata);

  EXPECT_THAT(metadata, UnorderedElementsAre(Pair("breaker", "kept"),
                                             Pair("key", "kept")));
}

}  // namespace
}  // namespace internal
}  // namespace grpc_breaker
