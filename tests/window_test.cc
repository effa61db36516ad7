#include "grpc_breaker/breaker/window.h"

#include <cstdint>
#include <random>

#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

constexpr ThreadSlot kExclusive = {0};
constexpr ThreadSlot kShared = {kShards - 1};

TEST(WindowShapeTest, DividesExactlyWithoutDividing) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 200000; ++i) {
    // From 100 ms to 1 h, and any time in 290 years.
    const auto window =
        static_cast<int64_t>(100000000 + random() % 3600000000000);
    const WindowShape shape(window);
    const int64_t bucket = window / kBuckets;
    int64_t now = static_cast<int64_t>(random() >> 1);
    // On the edges of a bucket half of the time.
    if (i % 2 == 0) now = now / bucket * bucket - (i % 4 == 0 ? 1 : 0);
    if (now < 0) continue;
    ASSERT_EQ(shape.Epoch(now, 0), static_cast<uint64_t>(now / bucket))
        << now << " / " << bucket;
  }
}

TEST(WindowShapeTest, ANewShapeGoesOnAfterTheOldOne) {
  const WindowShape second(1000000000);
  const WindowShape hour = second.After(3600000000000, 5000000000, 7);
  EXPECT_EQ(hour.Epoch(5000000000, 8) - second.Epoch(5000000000, 7), kBuckets);
  const WindowShape back = hour.After(1000000000, 6000000000, 8);
  EXPECT_EQ(back.Epoch(6000000000, 9) - hour.Epoch(6000000000, 8), kBuckets);
}

TEST(WindowTest, ForgetsBucketByBucket) {
  Window window;
  for (uint64_t epoch = 100; epoch < 110; ++epoch) {
    EXPECT_TRUE(window.AddSuccess(kExclusive, epoch));
    EXPECT_TRUE(window.AddSuccess(kShared, epoch));
    EXPECT_TRUE(window.AddFailures(epoch, 3));
  }
  EXPECT_EQ(window.Counts(109).successes, 20);
  EXPECT_EQ(window.Counts(109).failures, 30);
  EXPECT_EQ(window.Counts(114).successes, 10);
  EXPECT_EQ(window.Counts(118).successes, 2);
  EXPECT_EQ(window.Counts(119).calls(), 0);
}

TEST(WindowTest, RefusesWhatBelongsToAnEpochThatWasOverwritten) {
  Window window;
  EXPECT_TRUE(window.AddSuccess(kExclusive, 110));
  EXPECT_FALSE(window.AddSuccess(kExclusive, 100));
  EXPECT_EQ(window.Counts(110).successes, 1);
}

TEST(WindowTest, KeepsTheTotalOfWhatItForgets) {
  Window window;
  for (uint64_t epoch = 100; epoch < 200; ++epoch) {
    window.AddSuccess(kExclusive, epoch);
    window.AddSuccess(kShared, epoch);
  }
  EXPECT_EQ(window.total_successes(), 200u);
}

// With a window of 100 ms, where an epoch takes 10 ms: after 31 bits (248
// days), 32 bits (497 days), and a century.
TEST(WindowTest, CountsWithFreshAndWithOldCountersHoweverLongTheMachineIsUp) {
  constexpr uint64_t kDay = 24 * 3600 * 100;
  Window old;
  for (uint64_t epoch = 0; epoch < kBuckets; ++epoch) {
    old.AddSuccess(kExclusive, epoch);
    old.AddSuccess(kShared, epoch);
    old.AddFailures(epoch, 1);
    old.AddSlow(epoch);
    old.AddShed(epoch);
  }
  for (const uint64_t wrap : {uint64_t{1} << 31, uint64_t{1} << 32,
                              (uint64_t{1} << 32) * kBuckets, 36500 * kDay}) {
    // Around it by as much as a counter takes for late.
    for (uint64_t ahead = 30 * kDay; ahead > 0; ahead /= 3) {
      for (const uint64_t epoch : {wrap - ahead, wrap + ahead}) {
        Window fresh;
        ASSERT_TRUE(fresh.AddSuccess(kExclusive, epoch)) << epoch;
        ASSERT_TRUE(fresh.AddSuccess(kShared, epoch)) << epoch;
        ASSERT_TRUE(fresh.AddFailures(epoch, 7)) << epoch;
        ASSERT_EQ(fresh.Counts(epoch).successes, 2) << epoch;
        ASSERT_EQ(fresh.Counts(epoch).failures, 7) << epoch;
      }
    }
    const uint64_t now = wrap - 1;
    ASSERT_EQ(old.Counts(now).calls(), 0) << now;
    ASSERT_EQ(old.Slow(now) + old.Shed(now), 0) << now;
    for (uint64_t epoch = wrap - kBuckets; epoch < wrap; ++epoch) {
      ASSERT_TRUE(old.AddSuccess(kExclusive, epoch)) << epoch;
      ASSERT_TRUE(old.AddSuccess(kShared, epoch)) << epoch;
      ASSERT_TRUE(old.AddFailures(epoch, 3)) << epoch;
      old.AddSlow(epoch);
      old.AddShed(epoch);
    }
    EXPECT_EQ(old.Counts(now).successes, 20);
    EXPECT_EQ(old.Counts(now).failures, 30);
    EXPECT_EQ(old.Slow(now), 10);
    EXPECT_EQ(old.Shed(now), 10);
  }
  EXPECT_EQ(old.total_successes(), 20u * 5);
}

TEST(TaggedCounterTest, ALapThatAgesAwayIsNotTakenForANewerOne) {
  TaggedCounter counter;
  EXPECT_TRUE(counter.Add(5, 1).counted);
  EXPECT_TRUE(counter.Add(5 + (uint64_t{1} << 34) + 7, 1).counted);
  EXPECT_EQ(counter.count(), 1u);
}

TEST(TaggedCounterTest, StopsAtTheLargestCountAndHandsBackTheRest) {
  constexpr uint32_t kMax = TaggedCounter::kMaxCount;
  for (const uint64_t lap : {uint64_t{3}, uint64_t{1} << 34}) {
    TaggedCounter counter;
    EXPECT_TRUE(counter.Add(lap, kMax - 1).counted);
    EXPECT_EQ(counter.AddExclusive(lap, 1).evicted, 0u);
    EXPECT_EQ(counter.count_of(lap), kMax);
    EXPECT_EQ(counter.AddExclusive(lap, 1).evicted, 1u);
    EXPECT_EQ(counter.Add(lap, 1000).evicted, 1000u);
    EXPECT_EQ(counter.count_of(lap), kMax);
    EXPECT_EQ(counter.count_of(lap + 1), 0u);
    EXPECT_EQ(counter.Add(lap + 1, 2).evicted, kMax);
    EXPECT_EQ(counter.count_of(lap + 1), 2u);
  }
}

}  // namespace
}  // namespace grpc_breaker::internal
