#ifndef GRPC_BREAKER_INTERNAL_TAGGED_COUNTER_H_
#define GRPC_BREAKER_INTERNAL_TAGGED_COUNTER_H_

// A count that belongs to an epoch, both in one atomic word. Adding under a
// newer epoch replaces the count, adding under an older one is refused, and a
// reader ignores epochs that it does not want: nothing ever has to be swept,
// and a count cannot end up under an epoch that it does not belong to.
//
// Epochs may wrap: one that is up to kAhead ahead of another is newer, any
// other is older, so a counter that nobody touched for ages is not taken for a
// newer one. A count must stay below 2^32 within one epoch.
//
// Relaxed order throughout: the counts guard no other data.
//
// Thread-safe, except AddExclusive.

#include <atomic>
#include <cstdint>

namespace grpc_breaker::internal {

struct TaggedCount {
  uint32_t epoch = 0;
  uint32_t count = 0;
};

class TaggedCounter {
 public:
  struct AddResult {
    bool counted;      // False: `epoch` is over.
    uint32_t evicted;  // The older epoch's count, if it was replaced.
  };

  // Adds `n` from any thread.
  AddResult Add(uint32_t epoch, uint32_t n) {
    uint64_t word = word_.load(std::memory_order_relaxed);
    for (;;) {
      const TaggedCount old = Unpack(word);
      AddResult result;
      const uint64_t next = Next(old, epoch, n, result);
      if (!result.counted ||
          word_.compare_exchange_weak(word, next, std::memory_order_relaxed)) {
        return result;
      }
    }
  }

  // Adds `n` without a locked instruction, in a word that only the calling
  // thread writes.
  AddResult AddExclusive(uint32_t epoch, uint32_t n) {
    AddResult result;
    const uint64_t next =
        Next(Unpack(word_.load(std::memory_order_relaxed)), epoch, n, result);
    if (result.counted) word_.store(next, std::memory_order_relaxed);
    return result;
  }

  TaggedCount Load() const {
    return Unpack(word_.load(std::memory_order_relaxed));
  }

 private:
  static constexpr uint32_t kAhead = 1u << 24;

  static TaggedCount Unpack(uint64_t word) {
    return {static_cast<uint32_t>(word >> 32), static_cast<uint32_t>(word)};
  }

  static uint64_t Next(TaggedCount old, uint32_t epoch, uint32_t n,
                       AddResult& result) {
    if (old.epoch == epoch) {
      result = {true, 0};
      n += old.count;
    } else {
      const bool over = old.epoch - epoch < kAhead;
      result = {!over, over ? 0 : old.count};
    }
    return uint64_t{epoch} << 32 | n;
  }

  std::atomic<uint64_t> word_{0};
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_INTERNAL_TAGGED_COUNTER_H_
