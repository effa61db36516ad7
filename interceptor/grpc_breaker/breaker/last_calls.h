#ifndef GRPC_BREAKER_BREAKER_LAST_CALLS_H_
#define GRPC_BREAKER_BREAKER_LAST_CALLS_H_

// How many of the last N calls failed: a ring of one bit per call, beside the
// number of bits that are set. A call takes the next place in the ring, sets or
// clears its bit, and adds the difference to the number; the number is hence
// the sum of the bits whatever threads do. All threads write to it, so it costs
// more than the sharded time window, and only breakers with the rule have one.
//
// Thread-safe.

#include <atomic>
#include <cstdint>
#include <memory>

namespace grpc_breaker::internal {

class LastCalls {
 public:
  explicit LastCalls(uint32_t calls)
      : calls_(calls), bits_(new std::atomic<uint64_t>[Words()]()) {}

  // Adds a call, as `times` calls. Returns how many of the last calls failed.
  uint32_t Add(bool failed, uint32_t times = 1) {
    uint32_t failures = 0;
    for (uint32_t i = 0; i < times; ++i) failures = AddOne(failed);
    return failures;
  }

  // Forgets all calls but those being added at this moment.
  void Clear() {
    for (uint32_t i = 0; i < Words(); ++i) {
      const uint64_t cleared = bits_[i].exchange(0, std::memory_order_relaxed);
      failures_.fetch_sub(static_cast<uint32_t>(__builtin_popcountll(cleared)),
                          std::memory_order_relaxed);
    }
  }

 private:
  uint32_t AddOne(bool failed) {
    const uint64_t place =
        next_.fetch_add(1, std::memory_order_relaxed) % calls_;
    std::atomic<uint64_t>& word = bits_[place / 64];
    const uint64_t bit = uint64_t{1} << place % 64;
    const uint64_t before =
        failed ? word.fetch_or(bit, std::memory_order_relaxed)
               : word.fetch_and(~bit, std::memory_order_relaxed);
    const uint32_t change = uint32_t{failed} - uint32_t{(before & bit) != 0};
    return failures_.fetch_add(change, std::memory_order_relaxed) + change;
  }

  uint32_t Words() const { return (calls_ + 63) / 64; }

  const uint32_t calls_;
  const std::unique_ptr<std::atomic<uint64_t>[]> bits_;
  std::atomic<uint64_t> next_{0};
  std::atomic<uint32_t> failures_{0};
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_LAST_CALLS_H_
