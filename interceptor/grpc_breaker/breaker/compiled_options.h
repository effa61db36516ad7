#ifndef GRPC_BREAKER_BREAKER_COMPILED_OPTIONS_H_
#define GRPC_BREAKER_BREAKER_COMPILED_OPTIONS_H_

// BreakerOptions made ready for use: durations as nanoseconds, the shape of the
// window, the ring of the last calls. Immutable, but for what is counted in the
// ring; to reconfigure a live breaker is to give it another one of these.
//
// Thread-safe.

#include <cstdint>
#include <memory>

#include "absl/time/time.h"
#include "grpc_breaker/breaker/half_open.h"
#include "grpc_breaker/breaker/last_calls.h"
#include "grpc_breaker/breaker/window.h"
#include "grpc_breaker/breaker_options.h"
#include "grpc_breaker/breaker_state.h"

namespace grpc_breaker::internal {

// The state of a breaker to which nothing has happened.
inline BreakerState InitialState(const BreakerOptions& options) {
  return options.enabled ? BreakerState::kClosed : BreakerState::kForcedClosed;
}

struct CompiledOptions {
  // `options` must be valid.
  explicit CompiledOptions(const BreakerOptions& options);
  // For a breaker that had `old` and is at `generation`. Goes on with what was
  // counted where the window, or the number of last calls, is the same.
  CompiledOptions(const BreakerOptions& options, const CompiledOptions& old,
                  int64_t now_ns, uint64_t generation);

  // Whether calls while CLOSED must look at more than the state.
  bool needs_slow_path() const {
    return options.throttle_k > 0 || options.max_concurrent_calls > 0 ||
           last_calls != nullptr;
  }

  // How long the whole ramp takes.
  int64_t ramp_ns() const {
    return ramp_step_ns * static_cast<int64_t>(options.ramp.size());
  }

  bool SameAs(const CompiledOptions& other) const {
    return options == other.options && window == other.window &&
           last_calls == other.last_calls;
  }

  const BreakerOptions options;
  const int64_t slow_call_ns;
  const WindowShape window;
  const ProbeLimits probes;
  const int64_t half_open_max_wait_ns;
  const int64_t ramp_step_ns;
  const int64_t rejection_event_interval_ns;
  const std::shared_ptr<LastCalls> last_calls;  // Null without the rule.

 private:
  CompiledOptions(const BreakerOptions& options, const WindowShape& window,
                  std::shared_ptr<LastCalls> last_calls);
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_COMPILED_OPTIONS_H_
