// What a breaker takes of the heap, as the header states it.

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"

namespace {

// Bytes on the heap, by what was asked for.
std::atomic<ptrdiff_t> in_use{0};
std::atomic<int> allocations{0};

// In front of each block: its size, in as much room as keeps it aligned.
void* Allocate(size_t size, size_t alignment) {
  alignment = alignment < sizeof(size_t) ? sizeof(size_t) : alignment;
  const size_t rounded = (size + 2 * alignment - 1) / alignment * alignment;
  char* block = static_cast<char*>(std::aligned_alloc(alignment, rounded));
  if (block == nullptr) std::abort();
  in_use += static_cast<ptrdiff_t>(size);
  ++allocations;
  void* user = block + alignment;
  *reinterpret_cast<size_t*>(block) = size;
  return user;
}

void Free(void* user, size_t alignment) {
  if (user == nullptr) return;
  alignment = alignment < sizeof(size_t) ? sizeof(size_t) : alignment;
  char* block = static_cast<char*>(user) - alignment;
  in_use -= static_cast<ptrdiff_t>(*reinterpret_cast<size_t*>(block));
  std::free(block);
}

}  // namespace

void* operator new(size_t size) {
  return Allocate(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void* operator new(size_t size, std::align_val_t alignment) {
  return Allocate(size, static_cast<size_t>(alignment));
}
void operator delete(void* p) noexcept {
  Free(p, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void operator delete(void* p, size_t) noexcept {
  Free(p, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void operator delete(void* p, std::align_val_t alignment) noexcept {
  Free(p, static_cast<size_t>(alignment));
}
void operator delete(void* p, size_t, std::align_val_t alignment) noexcept {
  Free(p, static_cast<size_t>(alignment));
}

namespace grpc_breaker {
namespace {

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
