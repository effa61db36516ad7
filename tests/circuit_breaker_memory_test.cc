// What a breaker takes of the heap, as the header states it.

#include <cstddef>
#include <memory>
#include <utility>

#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"
#include "tests/counted_heap.h"

namespace grpc_breaker {
namespace {

using counted_heap::allocations;
using counted_heap::in_use;

TEST(CircuitBreakerMemoryTest, ABreakerWithAFullHistoryTakesAtMost4KiB) {
  ManualEnvironment environment;
  const ptrdiff_t before = in_use;
  auto breaker = CircuitBreaker::Create("short", {}, environment);
  ASSERT_TRUE(breaker.ok());
  const ptrdiff_t fresh = in_use - before;
  for (int i = 0; i < 40; ++i) {
    for (int failure = 0; failure < 5; ++failure) {
      (*breaker)
          ->TryAcquire(environment.Now())
          .Record(Outcome::kFailure, environment.Now());
    }
    environment.Advance(absl::Seconds(60));
  }
  ASSERT_GT((*breaker)->Snapshot(environment.Now()).transitions, 32u);
  const ptrdiff_t full = in_use - before;
  RecordProperty("fresh_bytes", static_cast<int>(fresh));
  RecordProperty("full_bytes", static_cast<int>(full));
  EXPECT_GT(fresh, 1000);  // The count works.
  EXPECT_LE(full, 4096) << "fresh: " << fresh;
}

TEST(CircuitBreakerMemoryTest, AListenerTakesAtMost200BytesMore) {
  ManualEnvironment environment;
  BreakerListener listener;
  const auto size_with = [&](BreakerListener* with) {
    const ptrdiff_t before = in_use;
    auto breaker = CircuitBreaker::Create("short", {}, environment, with);
    EXPECT_TRUE(breaker.ok());
    for (int failure = 0; failure < 5; ++failure) {
      (*breaker)
          ->TryAcquire(environment.Now())
          .Record(Outcome::kFailure, environment.Now());
    }
    return in_use - before;
  };
  const ptrdiff_t without = size_with(nullptr);
  EXPECT_LE(size_with(&listener), without + 200);
}

TEST(CircuitBreakerMemoryTest, CallsAllocateNothing) {
  ManualEnvironment environment;
  auto breaker = CircuitBreaker::Create("short", {}, environment);
  ASSERT_TRUE(breaker.ok());
  const MonotonicTime now = environment.Now();
  (*breaker)->TryAcquire(now).Record(Outcome::kSuccess, now);
  const int before = allocations;
  CircuitBreaker::Permit held = (*breaker)->TryAcquire(now);
  (*breaker)->TryAcquire(now).Record(Outcome::kSuccess, now);
  (*breaker)->TryAcquire(now).Record(Outcome::kFailure, now);
  EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace grpc_breaker
