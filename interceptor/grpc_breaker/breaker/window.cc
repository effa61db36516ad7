#include "grpc_breaker/breaker/window.h"

namespace grpc_breaker::internal {

WindowShape::WindowShape(int64_t window_ns, uint64_t epoch_offset)
    : window_ns_(window_ns), epoch_offset_(epoch_offset) {
  const uint64_t bucket = static_cast<uint64_t>(window_ns) / kBuckets;
  // 2^shift < bucket <= 2^(shift + 1), so that the reciprocal has 64 bits.
  shift_ = 0;
  while ((bucket - 1) >> (shift_ + 1) != 0) ++shift_;
  const auto scale = static_cast<unsigned __int128>(1) << (64 + shift_);
  reciprocal_ = static_cast<uint64_t>((scale + bucket - 1) / bucket);
}

WindowShape WindowShape::After(int64_t window_ns, int64_t now_ns,
                               uint64_t generation) const {
  const uint64_t next = Epoch(now_ns, generation) + kBuckets;
  WindowShape shape(window_ns);
  shape.epoch_offset_ = next - shape.Epoch(now_ns, generation + 1);
  return shape;
}

int64_t Window::Sum(const Buckets& buckets, uint64_t epoch) {
  const uint64_t lap = epoch / kBuckets;
  const uint64_t begun = epoch % kBuckets + 1;  // Buckets of this lap.
  int64_t sum = 0;
  uint64_t i = 0;
  for (; i < begun; ++i) sum += buckets[i].count_of(lap);
  for (; i < kBuckets; ++i) sum += buckets[i].count_of(lap - 1);
  return sum;
}

WindowCounts Window::Counts(uint64_t epoch) const {
  WindowCounts counts;
  for (const Shard& shard : shards_) {
    counts.successes += Sum(shard.successes, epoch);
  }
  counts.failures = Failures(epoch);
  counts.slow = Slow(epoch);
  return counts;
}

uint64_t Window::Total(std::atomic<uint64_t> Shard::*counter) const {
  uint64_t total = 0;
  for (const Shard& shard : shards_) {
    total += (shard.*counter).load(std::memory_order_relaxed);
  }
  return total;
}

uint64_t Window::total_successes() const {
  uint64_t total = Total(&Shard::evicted_successes);
  for (const Shard& shard : shards_) {
    for (const TaggedCounter& bucket : shard.successes) {
      total += bucket.count();
    }
  }
  return total;
}

uint64_t Window::total_issued() const { return Total(&Shard::issued); }
uint64_t Window::total_rejected() const { return Total(&Shard::rejected); }

}  // namespace grpc_breaker::internal
