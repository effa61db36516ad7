// What the records of a method take of the heap, as their header states it.

#include <chrono>
#include <cstddef>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpc_breaker/stats/call_records.h"
#include "gtest/gtest.h"
#include "tests/counted_heap.h"

namespace grpc_breaker::internal {
namespace {

using counted_heap::allocations;
using counted_heap::in_use;

constexpr MonotonicTime kNow{std::chrono::seconds(1)};

TEST(CallRecordsMemoryTest, MethodWhoseCallsSucceedTakesAtMost2KiB) {
  const ptrdiff_t before = in_use;
  const auto records = std::make_unique<CallRecords>(kNow);
  EXPECT_LE(in_use - before, 600);
  // From a fast one to one that takes five times as long.
  for (int us = 1000; us < 5000; us += 10) {
    records->AddSuccessAtOnce(absl::Microseconds(us), kNow);
  }
  EXPECT_LE(in_use - before, 2048);
}

TEST(CallRecordsMemoryTest, EveryKindOfFailureTakesAtMost1KiBMore) {
  const auto records = std::make_unique<CallRecords>(kNow);
  const ptrdiff_t before = in_use;
  for (int us = 1010; us < 2000; us += 10) {
    records->AddAttempt(absl::StatusCode::kUnavailable, ErrorCategory::kNetwork,
                        absl::Microseconds(us), kNow);
  }
  EXPECT_LE(in_use - before, 1024);
}

TEST(CallRecordsMemoryTest, NoDurationsTakeMoreThan10KiB) {
  const auto records = std::make_unique<CallRecords>(kNow);
  const ptrdiff_t before = in_use;
  for (double us = 1; us < 2e9; us *= 1.1) {
    records->AddSuccessAtOnce(absl::Microseconds(us), kNow);
  }
  EXPECT_LE(in_use - before, 10 * 1024);
}

TEST(CallRecordsMemoryTest, WhatWasSeenBeforeAllocatesNothing) {
  CallRecords records(kNow);
  const auto record = [&](absl::Duration later) {
    const MonotonicTime now = kNow + absl::ToChronoNanoseconds(later);
    const EndedCall call{absl::StatusCode::kInternal, ErrorCategory::kPermanent,
                         StopReason::kNotRetryable, 1, absl::Milliseconds(1)};
    records.AddSuccessAtOnce(absl::Milliseconds(1), now);
    records.AddAttempt(call.code, call.category, call.took, now);
    records.AddCall(call, now);
    records.AddLostAttempt(/*overtaken=*/true, call.took, now);
    records.AddRetry();
  };
  record(absl::ZeroDuration());
  const int before = allocations;
  for (int i = 0; i < 100; ++i) record(i * absl::Seconds(7));
  EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace grpc_breaker::internal
