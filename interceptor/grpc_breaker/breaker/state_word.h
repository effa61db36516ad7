#ifndef GRPC_BREAKER_BREAKER_STATE_WORD_H_
#define GRPC_BREAKER_BREAKER_STATE_WORD_H_

// The state of a breaker as one word, which permits carry along: three bits of
// state, two flags, and the generation, which every change of state increments.
//
// Thread-compatible: a value.

#include <cstdint>

#include "grpc_breaker/breaker_events.h"

namespace grpc_breaker::internal {

class StateWord {
 public:
  // `needs_slow_path`: while CLOSED, calls must look at more than the state.
  // `shadow`: METRICS_ONLY. The breaker goes from state to state as it would
  // otherwise, but refuses nobody and notifies nobody; `state` is where it is.
  StateWord(BreakerState state, bool needs_slow_path, bool shadow,
            uint64_t generation)
      : bits_(generation << 5 | uint64_t{shadow} << 4 |
              uint64_t{needs_slow_path} << 3 | static_cast<uint64_t>(state)) {}
  explicit StateWord(uint64_t bits) : bits_(bits) {}

  uint64_t bits() const { return bits_; }
  uint64_t generation() const { return bits_ >> 5; }
  BreakerState state() const { return static_cast<BreakerState>(bits_ & 7); }
  bool shadow() const { return (bits_ & 16) != 0; }

  StateWord WithSlowPath() const { return StateWord(bits_ | 8); }

  // CLOSED, and nothing else to look at.
  bool plainly_closed() const {
    static_assert(static_cast<int>(BreakerState::kClosed) == 0);
    return (bits_ & 31) == 0;
  }

  // OPEN, and not in the shadow of METRICS_ONLY.
  bool plainly_open() const {
    return (bits_ & (16 | 7)) == static_cast<uint64_t>(BreakerState::kOpen);
  }

  // The state that users see.
  BreakerState shown() const {
    return shadow() ? BreakerState::kMetricsOnly : state();
  }
  bool manual() const { return shown() >= BreakerState::kForcedOpen; }

  friend bool operator==(StateWord a, StateWord b) {
    return a.bits_ == b.bits_;
  }

 private:
  uint64_t bits_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_STATE_WORD_H_
