#include "grpc_breaker/internal/window.h"

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
    ASSERT_EQ(shape.Epoch(now, 0), static_cast<uint32_t>(now / bucket))
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
  for (uint32_t epoch = 100; epoch < 110; ++epoch) {
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
  for (uint32_t epoch = 100; epoch < 200; ++epoch) {
    window.AddSuccess(kExclusive, epoch);
    window.AddSuccess(kShared, epoch);
  }
  EXPECT_EQ(window.total_successes(), 200u);
}

TEST(TaggedCounterTest, AnEpochAgesAwayIsNotTakenForANewerOne) {
  TaggedCounter counter;
  EXPECT_TRUE(counter.Add(5, 1).counted);
  EXPECT_TRUE(counter.Add(5 + (1u << 31) + 7, 1).counted);
  EXPECT_EQ(counter.Load().count, 1u);
}

}  // namespace
}  // namespace grpc_breaker::internal
