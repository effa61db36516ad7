#include "grpc_breaker/stats/latency_histogram.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "absl/base/optimization.h"

namespace grpc_breaker::internal {
namespace {

constexpr int64_t kSlotNs = LatencyHistogram::kSlotNs;

// So that sums do not overflow.
constexpr absl::Duration kLongest = absl::Hours(24 * 30);

// Sums of longer durations than 10 ms are in microseconds, others in
// nanoseconds: of those there would be too many within days, where thousands of
// streams are open at once.
constexpr size_t kFirstInMicroseconds = 9;
static_assert(kSegmentTable[kFirstInMicroseconds].begin_ns == 10'000'000);

int64_t SlotAt(MonotonicTime time) {
  return time.time_since_epoch().count() / kSlotNs;
}

// That of the oldest slot of the window that ends now.
int64_t FirstSlot(MonotonicTime now) {
  return SlotAt(now) - static_cast<int64_t>(LatencyHistogram::kSlots) + 1;
}

size_t PlaceOf(int64_t slot) {
  return static_cast<size_t>(slot) % LatencyHistogram::kSlots;
}

}  // namespace

LatencyHistogram::LatencyHistogram() {
  for (std::atomic<int64_t>& slot : copied_) {
    slot.store(kNoSlot, std::memory_order_relaxed);
  }
}

LatencyHistogram::~LatencyHistogram() {
  for (const std::atomic<Segment*>& segment : segments_) {
    delete segment.load(std::memory_order_acquire);
  }
}

void LatencyHistogram::Record(absl::Duration took, MonotonicTime now) {
  const int64_t slot = SlotAt(now);
  if (ABSL_PREDICT_FALSE(slot > slot_.load(std::memory_order_relaxed))) {
    BeginSlot(slot);
  }
  const int64_t ns = absl::ToInt64Nanoseconds(
      std::clamp(took, absl::ZeroDuration(), kLongest));
  const LatencyBucket bucket = LatencyBucketOf(ns);
  Segment* segment = segments_[bucket.segment].load(std::memory_order_acquire);
  if (ABSL_PREDICT_FALSE(segment == nullptr)) {
    segment = &MakeSegment(bucket.segment);
  }
  segment->counts[bucket.index].fetch_add(1, std::memory_order_relaxed);
  segment->sum.fetch_add(bucket.segment < kFirstInMicroseconds ? ns : ns / 1000,
                         std::memory_order_relaxed);
}

void LatencyHistogram::BeginSlot(int64_t slot) {
  int64_t seen = slot_.load(std::memory_order_relaxed);
  do {
    if (seen >= slot) return;
  } while (!slot_.compare_exchange_weak(seen, slot, std::memory_order_relaxed));
  std::atomic<int64_t>& copied = copied_[PlaceOf(slot)];
  // An exchange, since what follows must not come before it.
  copied.exchange(kNoSlot, std::memory_order_acq_rel);
  for (const std::atomic<Segment*>& pointer : segments_) {
    // A segment that comes later was empty now, as its copies say.
    Segment* const segment = pointer.load(std::memory_order_acquire);
    if (segment == nullptr) continue;
    Copy& copy = segment->copies[PlaceOf(slot)];
    for (size_t i = 0; i < copy.size(); ++i) {
      copy[i].store(static_cast<uint32_t>(
                        segment->counts[i].load(std::memory_order_relaxed)),
                    std::memory_order_relaxed);
    }
  }
  copied.store(slot, std::memory_order_release);
}

LatencyHistogram::Segment& LatencyHistogram::MakeSegment(size_t index) {
  auto made = std::make_unique<Segment>();
  Segment* expected = nullptr;
  if (segments_[index].compare_exchange_strong(expected, made.get(),
                                               std::memory_order_acq_rel)) {
    return *made.release();
  }
  return *expected;
}

uint64_t LatencyHistogram::Count() const {
  uint64_t total = 0;
  for (const std::atomic<Segment*>& pointer : segments_) {
    const Segment* const segment = pointer.load(std::memory_order_acquire);
    if (segment == nullptr) continue;
    for (const std::atomic<uint64_t>& count : segment->counts) {
      total += count.load(std::memory_order_relaxed);
    }
  }
  return total;
}

void LatencyHistogram::AddTotalTo(LatencyDistribution* distribution) const {
  for (size_t s = 0; s < kLatencySegments; ++s) {
    const Segment* const segment = segments_[s].load(std::memory_order_acquire);
    if (segment == nullptr) continue;
    for (size_t i = 0; i < kSegmentTable[s].buckets; ++i) {
      distribution->counts_[kSegmentTable[s].first + i] +=
          segment->counts[i].load(std::memory_order_relaxed);
    }
    const int64_t sum = segment->sum.load(std::memory_order_relaxed);
    distribution->sum_ += s < kFirstInMicroseconds ? absl::Nanoseconds(sum)
                                                   : absl::Microseconds(sum);
  }
}

int64_t LatencyHistogram::OldestCopySince(int64_t slot) const {
  int64_t oldest = kNoSlot;
  for (const std::atomic<int64_t>& copied : copied_) {
    const int64_t candidate = copied.load(std::memory_order_acquire);
    if (candidate >= slot && (oldest == kNoSlot || candidate < oldest)) {
      oldest = candidate;
    }
  }
  return oldest;
}

void LatencyHistogram::AddRecentTo(MonotonicTime now,
                                   LatencyDistribution* distribution) const {
  const int64_t first = std::max<int64_t>(FirstSlot(now), 0);
  for (;;) {
    const int64_t slot = OldestCopySince(first);
    if (slot == kNoSlot) return;  // Nothing was recorded since.
    LatencyDistribution recent;
    for (size_t s = 0; s < kLatencySegments; ++s) {
      const Segment* const segment =
          segments_[s].load(std::memory_order_acquire);
      if (segment == nullptr) continue;
      for (size_t i = 0; i < kSegmentTable[s].buckets; ++i) {
        // Acquired, so that the number is read again after it.
        const uint32_t before =
            segment->copies[PlaceOf(slot)][i].load(std::memory_order_acquire);
        const auto after = static_cast<uint32_t>(
            segment->counts[i].load(std::memory_order_relaxed));
        recent.counts_[kSegmentTable[s].first + i] = after - before;
      }
    }
    if (copied_[PlaceOf(slot)].load(std::memory_order_relaxed) == slot) {
      *distribution += recent;
      return;
    }
  }
}

MonotonicTime LatencyHistogram::WindowBegin(MonotonicTime now) {
  return MonotonicTime(std::chrono::nanoseconds(FirstSlot(now) * kSlotNs));
}

}  // namespace grpc_breaker::internal
