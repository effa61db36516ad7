#ifndef GRPC_BREAKER_BREAKER_WINDOW_H_
#define GRPC_BREAKER_BREAKER_WINDOW_H_

// How many calls succeeded, failed, were slow and were shed in the last
// `window` of time.
//
// Time is cut into buckets of a tenth of the window. What happens often, that
// is successes, has one counter per shard and bucket; the rest has one for all
// threads. The window's length is exact to one bucket, and a reader may miss
// what other threads are counting at that moment.
//
// Thread-safe.

#include <array>
#include <atomic>
#include <cstdint>

#include "grpc_breaker/breaker/tagged_counter.h"
#include "grpc_breaker/breaker/thread_slot.h"
#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

inline constexpr uint32_t kBuckets = 10;

// Maps a time and a generation to an epoch: the number of the time bucket plus
// kBuckets times the breaker's generation. Each change of state moves it past
// everything that was counted before, so the window empties by itself, and an
// outcome of an older generation can only land in an older epoch.
class GRPC_BREAKER_EXPORT WindowShape {
 public:
  // `window_ns` >= kBuckets. `epoch_offset` lets a new shape go on after an old
  // one; see After().
  explicit WindowShape(int64_t window_ns, uint64_t epoch_offset = 0);

  // A shape of another length whose epochs under `generation` + 1, from `now`
  // on, are all later than those of this shape under `generation`.
  WindowShape After(int64_t window_ns, int64_t now_ns,
                    uint64_t generation) const;

  uint64_t Epoch(int64_t now_ns, uint64_t generation) const {
    return TimeBucket(now_ns) + kBuckets * generation + epoch_offset_;
  }

  int64_t window_ns() const { return window_ns_; }

  friend bool operator==(const WindowShape& a, const WindowShape& b) {
    return a.window_ns_ == b.window_ns_ && a.epoch_offset_ == b.epoch_offset_;
  }

 private:
  // now / bucket, exact for 0 <= now < 2^63, by a multiplication with the
  // reciprocal: a division would be the most expensive step of recording
  // (Granlund and Montgomery, "Division by Invariant Integers using
  // Multiplication", 1994).
  uint64_t TimeBucket(int64_t now_ns) const {
    const auto product =
        static_cast<unsigned __int128>(static_cast<uint64_t>(now_ns)) *
        reciprocal_;
    return static_cast<uint64_t>(product >> 64) >> shift_;
  }

  int64_t window_ns_;
  uint64_t reciprocal_;
  uint32_t shift_;
  uint64_t epoch_offset_;
};

// A ring of kBuckets counters, each with the lap that it counts for (see
// TaggedCounter): how often the epochs have gone round the ring. Old buckets
// hence need no sweeping; readers skip them and writers overwrite them.
//
// Laps wrap after 2^35 windows, each change of state counted as one: 109 years
// of uptime with the shortest window there is. A counter stops at 2^29 - 1
// calls per bucket, more than a million calls per second of one thread even
// where a bucket lasts six minutes.
class GRPC_BREAKER_EXPORT Window {
 public:
  Window() = default;
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  // False if the epoch is over, and nothing was counted.
  bool AddSuccess(ThreadSlot slot, uint64_t epoch) {
    Shard& shard = shards_[slot.shard];
    TaggedCounter& bucket = shard.successes[epoch % kBuckets];
    const uint64_t lap = epoch / kBuckets;
    const TaggedCounter::AddResult result =
        slot.exclusive() ? bucket.AddExclusive(lap, 1) : bucket.Add(lap, 1);
    if (result.evicted != 0) Add(slot, shard.evicted_successes, result.evicted);
    return result.counted;
  }
  bool AddFailures(uint64_t epoch, uint32_t n) {
    return Add(failures_, epoch, n);
  }
  void AddSlow(uint64_t epoch) { Add(slow_, epoch, 1); }
  void AddShed(uint64_t epoch) { Add(shed_, epoch, 1); }

  // The counts of the window that ends with `epoch`. Those without successes
  // cost a few loads; the successes are summed over all shards.
  WindowCounts Counts(uint64_t epoch) const;
  int64_t Failures(uint64_t epoch) const { return Sum(failures_, epoch); }
  int64_t Slow(uint64_t epoch) const { return Sum(slow_, epoch); }
  int64_t Shed(uint64_t epoch) const { return Sum(shed_, epoch); }

  // Since construction; sharded like successes.
  void AddIssued(ThreadSlot slot) { Add(slot, shards_[slot.shard].issued, 1); }
  void AddRejected(ThreadSlot slot) {
    Add(slot, shards_[slot.shard].rejected, 1);
  }
  uint64_t total_successes() const;
  uint64_t total_issued() const;
  uint64_t total_rejected() const;

 private:
  using Buckets = std::array<TaggedCounter, kBuckets>;

  // Cache lines of its own, so that threads do not disturb each other; half of
  // the time, a call needs only the first of the two.
  struct alignas(64) Shard {
    std::atomic<uint64_t> issued{0};
    std::atomic<uint64_t> rejected{0};
    std::atomic<uint64_t> evicted_successes{0};
    Buckets successes;
  };
  static_assert(sizeof(Shard) == 128);

  static void Add(ThreadSlot slot, std::atomic<uint64_t>& counter, uint64_t n) {
    if (slot.exclusive()) {
      counter.store(counter.load(std::memory_order_relaxed) + n,
                    std::memory_order_relaxed);
    } else {
      counter.fetch_add(n, std::memory_order_relaxed);
    }
  }

  static bool Add(Buckets& buckets, uint64_t epoch, uint32_t n) {
    return buckets[epoch % kBuckets].Add(epoch / kBuckets, n).counted;
  }

  static int64_t Sum(const Buckets& buckets, uint64_t epoch);
  uint64_t Total(std::atomic<uint64_t> Shard::*counter) const;

  std::array<Shard, kShards> shards_;
  Buckets failures_;
  Buckets slow_;
  Buckets shed_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_WINDOW_H_
