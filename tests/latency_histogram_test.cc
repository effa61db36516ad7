#include "grpc_breaker/stats/latency_histogram.h"

#include <atomic>
#include <cmath>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "grpc_breaker/call_stats.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

constexpr absl::Duration kSlot = absl::Nanoseconds(LatencyHistogram::kSlotNs);

MonotonicTime At(absl::Duration time) {
  return MonotonicTime(absl::ToChronoNanoseconds(time));
}

LatencyDistribution Total(const LatencyHistogram& histogram) {
  LatencyDistribution distribution;
  histogram.AddTotalTo(&distribution);
  return distribution;
}

LatencyDistribution Recent(const LatencyHistogram& histogram,
                           absl::Duration now) {
  LatencyDistribution distribution;
  histogram.AddRecentTo(At(now), &distribution);
  return distribution;
}

// Within the error that the header states.
void ExpectNear(std::optional<absl::Duration> got, absl::Duration expected) {
  ASSERT_TRUE(got.has_value());
  EXPECT_LE(std::abs(absl::FDivDuration(*got, expected) - 1), 0.0625 + 1e-9)
      << *got << " instead of " << expected;
}

TEST(LatencyBucketsTest, CoverTheRangeWithoutGapsAndNoneIsTooWide) {
  int64_t end = 10'000;
  size_t first = 0;
  for (const LatencySegment& segment : kSegmentTable) {
    EXPECT_EQ(segment.begin_ns, end);
    EXPECT_EQ(segment.first, first);
    EXPECT_LE(8 * segment.width_ns, segment.begin_ns);
    end = segment.EndOf(segment.buckets - 1);
    first += segment.buckets;
  }
  EXPECT_EQ(end, 1'000'000'000'000);
  EXPECT_EQ(first, LatencyDistribution::kBuckets);
}

TEST(LatencyBucketsTest, EachDurationIsInTheBucketOfItsBounds) {
  for (size_t s = 0; s < kLatencySegments; ++s) {
    for (size_t i = 0; i < kSegmentTable[s].buckets; ++i) {
      const int64_t end = kSegmentTable[s].EndOf(i);
      for (const int64_t ns : {end, end - kSegmentTable[s].width_ns + 1}) {
        const LatencyBucket bucket = LatencyBucketOf(ns);
        EXPECT_EQ(bucket.segment, s) << ns;
        EXPECT_EQ(bucket.index, i) << ns;
      }
    }
  }
}

TEST(LatencyBucketsTest, WhatIsOutOfRangeIsInTheFirstOrTheLast) {
  for (const int64_t ns :
       {int64_t{-5}, int64_t{0}, int64_t{1}, int64_t{10'000}}) {
    EXPECT_EQ(LatencyBucketOf(ns).segment, 0u);
    EXPECT_EQ(LatencyBucketOf(ns).index, 0u);
  }
  for (const int64_t ns : {int64_t{1'000'000'000'001}, INT64_MAX}) {
    EXPECT_EQ(LatencyBucketOf(ns).segment, kLatencySegments - 1);
    EXPECT_EQ(LatencyBucketOf(ns).index, 9u);
  }
}

TEST(LatencyDistributionTest, IsEmptyAtFirst) {
  const LatencyDistribution distribution;
  EXPECT_EQ(distribution.count(), 0u);
  EXPECT_EQ(distribution.sum(), absl::ZeroDuration());
  EXPECT_EQ(distribution.Quantile(0.5), std::nullopt);
  EXPECT_EQ(distribution.CountUpTo(absl::InfiniteDuration()), 0u);
}

TEST(LatencyDistributionTest, QuantileIsWhatThatPartTookAtMost) {
  LatencyHistogram histogram;
  for (int ms = 1; ms <= 1000; ++ms) {
    histogram.Record(absl::Milliseconds(ms), At(absl::Seconds(1)));
  }
  const LatencyDistribution total = Total(histogram);
  for (const double quantile : {0.1, 0.5, 0.9, 0.95, 0.99, 1.0}) {
    ExpectNear(total.Quantile(quantile), absl::Milliseconds(1000 * quantile));
  }
  ExpectNear(total.Quantile(0), absl::Milliseconds(1));
}

TEST(LatencyDistributionTest,
     QuantileOfEqualDurationsIsNearThemWhereverTheyAre) {
  for (double us = 10; us < 1e9; us *= 1.007) {
    LatencyHistogram histogram;
    histogram.Record(absl::Microseconds(us), At(absl::Seconds(1)));
    ExpectNear(Total(histogram).Quantile(0.5), absl::Microseconds(us));
  }
}

TEST(LatencyDistributionTest, CountsUpToABoundAndItself) {
  LatencyHistogram histogram;
  for (const absl::Duration took :
       {absl::Milliseconds(1), absl::Milliseconds(1) + absl::Nanoseconds(1),
        absl::Milliseconds(2.5), absl::Seconds(5), absl::Hours(2)}) {
    histogram.Record(took, At(absl::Seconds(1)));
  }
  const LatencyDistribution total = Total(histogram);
  EXPECT_EQ(total.CountUpTo(absl::Microseconds(500)), 0u);
  EXPECT_EQ(total.CountUpTo(absl::Milliseconds(1)), 1u);
  EXPECT_EQ(total.CountUpTo(absl::Milliseconds(2.5)), 3u);
  EXPECT_EQ(total.CountUpTo(absl::Seconds(5)), 4u);
  EXPECT_EQ(total.CountUpTo(absl::Seconds(500)), 4u);
  EXPECT_EQ(total.count(), 5u);
  EXPECT_EQ(total.sum(), absl::Milliseconds(4.5) + absl::Nanoseconds(1) +
                             absl::Seconds(5) + absl::Hours(2));
}

TEST(LatencyDistributionTest, SumsAddUp) {
  LatencyHistogram a;
  LatencyHistogram b;
  a.Record(absl::Milliseconds(1), At(absl::Seconds(1)));
  b.Record(absl::Milliseconds(3), At(absl::Seconds(1)));
  LatencyDistribution both = Total(a);
  both += Total(b);
  EXPECT_EQ(both.count(), 2u);
  EXPECT_EQ(both.sum(), absl::Milliseconds(4));
  EXPECT_EQ(both.CountUpTo(absl::Milliseconds(2)), 1u);
}

TEST(LatencyDistributionTest, SumsOfManyLongStreamsDoNotOverflow) {
  LatencyHistogram histogram;
  constexpr int kStreams = 5000;
  constexpr absl::Duration kMonth = absl::Hours(24 * 30);
  for (int i = 0; i < kStreams; ++i) {
    histogram.Record(kMonth, At(absl::Seconds(1)));
  }
  LatencyDistribution total = Total(histogram);
  EXPECT_EQ(total.sum(), kStreams * kMonth);
  total += Total(histogram);
  EXPECT_EQ(total.sum(), 2 * kStreams * kMonth);
}

TEST(LatencyDistributionTest, SumsAreRightToAMicrosecondForEachLongDuration) {
  LatencyHistogram histogram;
  histogram.Record(absl::Milliseconds(10), At(absl::Seconds(1)));
  histogram.Record(absl::Nanoseconds(9'999'999), At(absl::Seconds(1)));
  EXPECT_EQ(Total(histogram).sum(), absl::Nanoseconds(19'999'999));
  histogram.Record(absl::Nanoseconds(10'000'999), At(absl::Seconds(1)));
  EXPECT_EQ(Total(histogram).sum(), absl::Nanoseconds(29'999'999));
}

TEST(LatencyHistogramTest, DurationsWithoutSenseAreCountedAllTheSame) {
  LatencyHistogram histogram;
  for (const absl::Duration took :
       {-absl::Seconds(1), absl::ZeroDuration(), absl::InfiniteDuration(),
        absl::InfiniteDuration(), -absl::InfiniteDuration()}) {
    histogram.Record(took, At(absl::Seconds(1)));
  }
  EXPECT_EQ(Total(histogram).count(), 5u);
  EXPECT_GT(Total(histogram).sum(), absl::ZeroDuration());
}

TEST(LatencyHistogramTest, TheLastMinuteIsTheSlotUnderWayAndTheFiveBefore) {
  LatencyHistogram histogram;
  for (int slot = 0; slot < 20; ++slot) {
    for (int i = 0; i <= slot; ++i) {
      histogram.Record(absl::Milliseconds(1), At(slot * kSlot));
    }
    uint64_t expected = 0;
    for (int i = std::max(0, slot - 5); i <= slot; ++i) expected += i + 1;
    EXPECT_EQ(Recent(histogram, slot * kSlot).count(), expected) << slot;
    EXPECT_EQ(
        Recent(histogram, (slot + 1) * kSlot - absl::Nanoseconds(1)).count(),
        expected);
  }
  EXPECT_EQ(Total(histogram).count(), 210u);
}

TEST(LatencyHistogramTest, SlotsWithoutDurationsCountForNothing) {
  LatencyHistogram histogram;
  const auto record = [&](int slot) {
    histogram.Record(absl::Milliseconds(1), At(slot * kSlot));
  };
  record(100);
  record(103);
  EXPECT_EQ(Recent(histogram, 103 * kSlot).count(), 2u);
  EXPECT_EQ(Recent(histogram, 105 * kSlot).count(), 2u);
  EXPECT_EQ(Recent(histogram, 106 * kSlot).count(), 1u);
  EXPECT_EQ(Recent(histogram, 108 * kSlot).count(), 1u);
  EXPECT_EQ(Recent(histogram, 109 * kSlot).count(), 0u);

  // In the place of a copy that is long out of date.
  record(1002);
  EXPECT_EQ(Recent(histogram, 1002 * kSlot).count(), 1u);
  EXPECT_EQ(Recent(histogram, 1007 * kSlot).count(), 1u);
  EXPECT_EQ(Recent(histogram, 1008 * kSlot).count(), 0u);
  EXPECT_EQ(Total(histogram).count(), 3u);
}

TEST(LatencyHistogramTest, TheLastMinuteHasItsOwnQuantiles) {
  LatencyHistogram histogram;
  histogram.Record(absl::Seconds(1), At(10 * kSlot));
  // In a segment that was empty when the minute began.
  histogram.Record(absl::Milliseconds(1), At(16 * kSlot));
  ExpectNear(Recent(histogram, 16 * kSlot).Quantile(1), absl::Milliseconds(1));
  ExpectNear(Total(histogram).Quantile(1), absl::Seconds(1));
}

TEST(LatencyHistogramTest, WhatComesLateCountsInTheSlotUnderWay) {
  LatencyHistogram histogram;
  histogram.Record(absl::Milliseconds(1), At(20 * kSlot));
  histogram.Record(absl::Milliseconds(1), At(3 * kSlot));
  EXPECT_EQ(Recent(histogram, 20 * kSlot).count(), 2u);
}

TEST(LatencyHistogramTest, ThreadsLoseNothingWhileSlotsGoBy) {
  LatencyHistogram histogram;
  constexpr int kThreads = 4;
  constexpr int kEach = 20'000;
  std::atomic<int> time{0};
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        histogram.Record(absl::Milliseconds(1 + t * 7),
                         At(kSlot * (time.fetch_add(1) / 1000)));
      }
    });
  }
  std::thread reader([&] {
    uint64_t before = 0;
    while (!done) {
      const uint64_t total = Total(histogram).count();
      EXPECT_GE(total, before);
      before = total;
      const absl::Duration now = kSlot * (time.load() / 1000);
      // Never what is not there, such as a count that went below zero.
      EXPECT_LE(Recent(histogram, now).count(), uint64_t{kThreads * kEach});
    }
  });
  for (std::thread& thread : threads) thread.join();
  done = true;
  reader.join();
  const LatencyDistribution total = Total(histogram);
  EXPECT_EQ(total.count(), uint64_t{kThreads * kEach});
  EXPECT_EQ(total.CountUpTo(absl::Milliseconds(1)), uint64_t{kEach});
  EXPECT_EQ(total.sum(), kEach * absl::Milliseconds(1 + 8 + 15 + 22));
}

}  // namespace
}  // namespace grpc_breaker::internal
