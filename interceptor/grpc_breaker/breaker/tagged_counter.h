#ifndef GRPC_BREAKER_BREAKER_TAGGED_COUNTER_H_
#define GRPC_BREAKER_BREAKER_TAGGED_COUNTER_H_

// A count that belongs to a lap, both in one atomic word. Adding under a newer
// lap replaces the count, adding under an older one is refused, and a reader
// ignores laps that it does not want: nothing ever has to be swept, and a count
// cannot end up under a lap that it does not belong to.
//
// Laps have 35 bits and may wrap: one that is up to kAhead ahead of another is
// newer, any other is older, so a counter that nobody touched for ages is not
// taken for a newer one. A count stops at kMaxCount, 2^29 - 1.
//
// Relaxed order throughout: the counts guard no other data.
//
// Thread-safe, except AddExclusive.

#include <atomic>
#include <cstdint>

#include "absl/base/optimization.h"

namespace grpc_breaker::internal {

class TaggedCounter {
 public:
  struct AddResult {
    bool counted;  // False: `lap` is over.
    // What is no longer in the counter: the older lap's count, if that was
    // replaced, and what is beyond kMaxCount.
    uint32_t evicted;
  };

  static constexpr uint32_t kMaxCount = (1u << 29) - 1;

  // Adds `n` <= kMaxCount from any thread.
  AddResult Add(uint64_t lap, uint32_t n) {
    uint64_t word = word_.load(std::memory_order_relaxed);
    for (;;) {
      AddResult result;
      const uint64_t next = Next(word, lap & kLapMask, n, result);
      if (!result.counted ||
          word_.compare_exchange_weak(word, next, std::memory_order_relaxed)) {
        return result;
      }
    }
  }

  // Adds `n` without a locked instruction, in a word that only the calling
  // thread writes.
  AddResult AddExclusive(uint64_t lap, uint32_t n) {
    AddResult result;
    const uint64_t next =
        Next(word_.load(std::memory_order_relaxed), lap & kLapMask, n, result);
    if (result.counted) word_.store(next, std::memory_order_relaxed);
    return result;
  }

  // Whatever its lap.
  uint32_t count() const { return Count(Load()); }
  // 0 if it belongs to another lap.
  uint32_t count_of(uint64_t lap) const {
    // Where the laps are the same, they cancel out, and the count is left.
    const uint64_t rest = Load() ^ lap << kCountBits;
    return rest <= kMaxCount ? static_cast<uint32_t>(rest) : 0;
  }

 private:
  static constexpr int kCountBits = 29;
  static constexpr uint64_t kLapMask = ~uint64_t{0} >> kCountBits;
  static constexpr uint64_t kAhead = uint64_t{1} << 21;

  static uint32_t Count(uint64_t word) {
    return static_cast<uint32_t>(word) & kMaxCount;
  }
  uint64_t Load() const { return word_.load(std::memory_order_relaxed); }

  static uint64_t Next(uint64_t word, uint64_t lap, uint32_t n,
                       AddResult& result) {
    const uint64_t old_lap = word >> kCountBits;
    if (ABSL_PREDICT_TRUE(old_lap == lap)) {
      const uint32_t room = kMaxCount - Count(word);
      if (ABSL_PREDICT_TRUE(n <= room)) {
        result = {true, 0};
        return word + n;
      }
      result = {true, n - room};
      return word | kMaxCount;
    }
    const bool over = ((old_lap - lap) & kLapMask) < kAhead;
    result = {!over, over ? 0 : Count(word)};
    return lap << kCountBits | n;
  }

  std::atomic<uint64_t> word_{0};
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_TAGGED_COUNTER_H_
