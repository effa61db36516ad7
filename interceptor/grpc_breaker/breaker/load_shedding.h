#ifndef GRPC_BREAKER_BREAKER_LOAD_SHEDDING_H_
#define GRPC_BREAKER_BREAKER_LOAD_SHEDDING_H_

// What may refuse a call although the breaker is CLOSED: the adaptive throttle,
// the ramp after a recovery, and the bulkhead.

#include <atomic>
#include <cstdint>
#include <vector>

#include "grpc_breaker/breaker/compiled_options.h"
#include "grpc_breaker/breaker/nanoseconds.h"
#include "grpc_breaker/breaker/window.h"

namespace grpc_breaker::internal {

// "Handling Overload", Site Reliability Engineering (2016): the probability
// with which a client refuses its own calls. Thread-safe: a pure function.
double ThrottleProbability(int64_t requests, int64_t accepts, double k);
// For the window that ends with `epoch`; 0 without a throttle.
double ThrottleProbability(const CompiledOptions& compiled,
                           const Window& window, uint64_t epoch);

// The share of calls that `ramp` admits so long after the recovery; 1 when it
// is over. Thread-safe: a pure function.
double RampShare(const std::vector<double>& ramp, int64_t step_ns,
                 int64_t elapsed_ns);
// For a ramp that began at `began_ns`, which is kNeverNs if there is none.
// Inline, as most breakers that call it have no ramp.
inline double RampShare(const CompiledOptions& compiled, int64_t began_ns,
                        int64_t now_ns) {
  if (began_ns == kNeverNs) return 1;
  return RampShare(compiled.options.ramp, compiled.ramp_step_ns,
                   now_ns - began_ns);
}

// Bounds the calls under way. Those that METRICS_ONLY lets pass beyond the
// bound are counted apart: they take no place while it lasts, as they would
// have been refused, but are under way all the same when it is over.
// Thread-safe; relaxed order, as the counts guard no other data.
class Bulkhead {
 public:
  bool TryEnter(int64_t limit, bool count_beyond) {
    if (count_beyond) limit -= beyond_.load(std::memory_order_relaxed);
    int64_t calls = calls_.load(std::memory_order_relaxed);
    while (calls < limit) {
      if (calls_.compare_exchange_weak(calls, calls + 1,
                                       std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }
  void Leave() { calls_.fetch_sub(1, std::memory_order_relaxed); }

  void EnterBeyond() { beyond_.fetch_add(1, std::memory_order_relaxed); }
  void LeaveBeyond() { beyond_.fetch_sub(1, std::memory_order_relaxed); }

  // All that are under way.
  int64_t calls() const {
    return calls_.load(std::memory_order_relaxed) +
           beyond_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<int64_t> calls_{0};
  std::atomic<int64_t> beyond_{0};
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_LOAD_SHEDDING_H_
