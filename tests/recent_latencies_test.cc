#include "grpc_breaker/retry/recent_latencies.h"

#include <chrono>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

MonotonicTime At(absl::Duration time) {
  return MonotonicTime(absl::ToChronoNanoseconds(time));
}

// Within a bucket's half width.
void ExpectNear(std::optional<absl::Duration> got, absl::Duration expected) {
  ASSERT_TRUE(got.has_value());
  EXPECT_NEAR(absl::FDivDuration(*got, expected), 1, 0.065)
      << *got << " instead of " << expected;
}

TEST(RecentLatenciesTest, AreUnknownBeforeThereAreEnough) {
  RecentLatencies latencies;
  EXPECT_EQ(latencies.Quantile(0.5, At(absl::Seconds(1))), std::nullopt);
  for (uint64_t i = 1; i < RecentLatencies::kLeastCount; ++i) {
    latencies.Record(absl::Milliseconds(5), At(absl::Seconds(1)));
  }
  EXPECT_EQ(latencies.Quantile(0.5, At(absl::Seconds(1))), std::nullopt);

  latencies.Record(absl::Milliseconds(5), At(absl::Seconds(1)));

  ExpectNear(latencies.Quantile(0.5, At(absl::Seconds(1))),
             absl::Milliseconds(5));
}

TEST(RecentLatenciesTest, QuantileIsWhatThatPartTookAtMost) {
  RecentLatencies latencies;
  for (int ms = 1; ms <= 1000; ++ms) {
    latencies.Record(absl::Milliseconds(ms), At(absl::Seconds(1)));
  }
  for (const double quantile : {0.1, 0.5, 0.9, 0.95, 0.99, 1.0}) {
    ExpectNear(latencies.Quantile(quantile, At(absl::Seconds(1))),
               absl::Milliseconds(1000 * quantile));
  }
  ExpectNear(latencies.Quantile(0, At(absl::Seconds(1))),
             absl::Milliseconds(1));
}

TEST(RecentLatenciesTest, AllRangesAreCountedSomewhere) {
  for (const absl::Duration took :
       {absl::Microseconds(3), absl::Milliseconds(70), absl::Minutes(10)}) {
    RecentLatencies latencies;
    for (int i = 0; i < 20; ++i) latencies.Record(took, At(absl::Seconds(1)));
    ExpectNear(latencies.Quantile(0.5, At(absl::Seconds(1))), took);
  }
  for (const absl::Duration took :
       {-absl::Seconds(1), absl::ZeroDuration(), absl::Hours(100),
        absl::InfiniteDuration(), -absl::InfiniteDuration()}) {
    RecentLatencies latencies;
    for (int i = 0; i < 20; ++i) latencies.Record(took, At(absl::Seconds(1)));
    EXPECT_TRUE(latencies.Quantile(0.5, At(absl::Seconds(1))).has_value());
  }
}

TEST(RecentLatenciesTest, OldOnesAreForgotten) {
  RecentLatencies latencies;
  const absl::Duration half = RecentLatencies::kHalfWindow;
  for (int i = 0; i < 20; ++i) {
    latencies.Record(absl::Seconds(1), At(10 * half));
  }

  ExpectNear(latencies.Quantile(0.5, At(11 * half)), absl::Seconds(1));
  EXPECT_EQ(latencies.Quantile(0.5, At(12 * half)), std::nullopt);

  // Takes the place of the old ones.
  for (int i = 0; i < 20; ++i) {
    latencies.Record(absl::Milliseconds(1), At(12 * half));
  }
  ExpectNear(latencies.Quantile(1, At(12 * half)), absl::Milliseconds(1));
}

TEST(RecentLatenciesTest, AttemptFromBeforeTheWindowIsNotCounted) {
  RecentLatencies latencies;
  const absl::Duration half = RecentLatencies::kHalfWindow;
  for (int i = 0; i < 20; ++i) {
    latencies.Record(absl::Milliseconds(1), At(12 * half));
    latencies.Record(absl::Seconds(1), At(10 * half));
  }
  ExpectNear(latencies.Quantile(1, At(12 * half)), absl::Milliseconds(1));
}

TEST(RecentLatenciesTest, ThreadsCountTogether) {
  RecentLatencies latencies;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&latencies, t] {
      for (int i = 0; i < 1000; ++i) {
        latencies.Record(absl::Milliseconds(1 + t), At(absl::Seconds(1)));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ExpectNear(latencies.Quantile(1, At(absl::Seconds(1))),
             absl::Milliseconds(4));
  ExpectNear(latencies.Quantile(0.1, At(absl::Seconds(1))),
             absl::Milliseconds(1));
}

}  // namespace
}  // namespace grpc_breaker::internal
