#ifndef GRPC_BREAKER_BREAKER_FAILURE_RUN_H_
#define GRPC_BREAKER_BREAKER_FAILURE_RUN_H_

// How many calls in a row have failed, and whether a rate is already too high
// and only waits for the minimum of calls. While neither is the case -- the
// run is quiet -- a success has nothing to do here.
//
// One atomic word, which belongs to a generation: a newer generation starts
// from nothing, and an older one changes nothing. Generations have 40 bits
// here: a run would have to rest for 2^39 changes of state, 17 years of a
// thousand per second, before a newer one looked older. Relaxed order: it
// guards no other data.
//
// Thread-safe.

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace grpc_breaker::internal {

class FailureRun {
 public:
  bool quiet() const { return (Load() & kRunMask) == 0; }

  // Returns how long the run has become; it stops at 2^23 - 1.
  uint32_t AddFailures(uint64_t generation, uint32_t n) {
    return Length(Update(generation, [n](uint32_t run) {
      return (run & kWaits) | std::min(Length(run) + n, kMaxLength);
    }));
  }

  // Ends the run. True if a rate waits for calls.
  bool AddSuccess(uint64_t generation) {
    return (Update(generation, [](uint32_t run) { return run & kWaits; }) &
            kWaits) != 0;
  }

  void SetRateWaits(uint64_t generation, bool waits) {
    Update(generation, [waits](uint32_t run) {
      return Length(run) | (waits ? kWaits : 0);
    });
  }

  uint32_t length(uint64_t generation) const {
    const uint64_t word = Load();
    return Tag(generation) == word >> kRunBits ? Length(Run(word)) : 0;
  }

 private:
  static constexpr int kRunBits = 24;
  static constexpr uint64_t kRunMask = (uint64_t{1} << kRunBits) - 1;
  static constexpr uint32_t kWaits = 1u << 23;
  static constexpr uint32_t kMaxLength = kWaits - 1;

  static uint32_t Length(uint32_t run) { return run & kMaxLength; }
  static uint32_t Run(uint64_t word) {
    return static_cast<uint32_t>(word & kRunMask);
  }
  static uint64_t Tag(uint64_t generation) {
    return generation & (~uint64_t{0} >> kRunBits);
  }
  uint64_t Load() const { return word_.load(std::memory_order_relaxed); }

  template <typename Change>
  uint32_t Update(uint64_t generation, Change change) {
    const uint64_t tag = Tag(generation) << kRunBits;
    uint64_t word = Load();
    for (;;) {
      const auto ahead = static_cast<int64_t>((word & ~kRunMask) - tag);
      if (ahead > 0) return 0;
      const uint32_t run = change(ahead == 0 ? Run(word) : 0);
      const uint64_t next = tag | run;
      if (next == word ||
          word_.compare_exchange_weak(word, next, std::memory_order_relaxed)) {
        return run;
      }
    }
  }

  std::atomic<uint64_t> word_{0};
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_FAILURE_RUN_H_
