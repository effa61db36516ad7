#ifndef GRPC_BREAKER_INTERNAL_FAILURE_RUN_H_
#define GRPC_BREAKER_INTERNAL_FAILURE_RUN_H_

// How many calls in a row have failed, and whether a rate is already too high
// and only waits for the minimum of calls. While neither is the case -- the
// run is quiet -- a success has nothing to do here.
//
// One atomic word, which belongs to a generation: a newer generation starts
// from nothing, and an older one changes nothing. Relaxed order: it guards no
// other data.
//
// Thread-safe.

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace grpc_breaker::internal {

class FailureRun {
 public:
  bool quiet() const { return static_cast<uint32_t>(Load()) == 0; }

  // Returns how long the run has become.
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
    return Tag(generation) == word >> 32 ? Length(static_cast<uint32_t>(word))
                                         : 0;
  }

 private:
  static constexpr uint32_t kWaits = 1u << 31;
  static constexpr uint32_t kMaxLength = kWaits - 1;

  static uint32_t Length(uint32_t run) { return run & kMaxLength; }
  static uint64_t Tag(uint64_t generation) {
    return static_cast<uint32_t>(generation);
  }
  uint64_t Load() const { return word_.load(std::memory_order_relaxed); }

  template <typename Change>
  uint32_t Update(uint64_t generation, Change change) {
    uint64_t word = Load();
    for (;;) {
      const auto ahead = static_cast<int32_t>((word >> 32) - Tag(generation));
      if (ahead > 0) return 0;
      const uint32_t run = change(ahead == 0 ? static_cast<uint32_t>(word) : 0);
      const uint64_t next = Tag(generation) << 32 | run;
      if (next == word ||
          word_.compare_exchange_weak(word, next, std::memory_order_relaxed)) {
        return run;
      }
    }
  }

  std::atomic<uint64_t> word_{0};
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_INTERNAL_FAILURE_RUN_H_
