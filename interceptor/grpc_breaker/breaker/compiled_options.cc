#include "grpc_breaker/breaker/compiled_options.h"

#include <utility>

namespace grpc_breaker::internal {
namespace {

std::shared_ptr<LastCalls> MakeLastCalls(const BreakerOptions& options) {
  if (options.last_calls == 0) return nullptr;
  return std::make_shared<LastCalls>(options.last_calls);
}

// ToInt64Nanoseconds saturates, at kNeverNs (nanoseconds.h).
WindowShape NextShape(const BreakerOptions& options, const WindowShape& old,
                      int64_t now_ns, uint64_t generation) {
  const int64_t window_ns = absl::ToInt64Nanoseconds(options.window);
  return window_ns == old.window_ns()
             ? old
             : old.After(window_ns, now_ns, generation);
}

ProbeLimits MakeProbeLimits(const BreakerOptions& options) {
  ProbeLimits limits;
  limits.permits = options.half_open_permits;
  limits.successes = options.half_open_successes;
  limits.failure_rate = options.half_open_failure_rate;
  limits.lease_ns = absl::ToInt64Nanoseconds(options.permit_lease);
  return limits;
}

}  // namespace

CompiledOptions::CompiledOptions(const BreakerOptions& options)
    : CompiledOptions(options,
                      WindowShape(absl::ToInt64Nanoseconds(options.window)),
                      MakeLastCalls(options)) {}

CompiledOptions::CompiledOptions(const BreakerOptions& options,
                                 const CompiledOptions& old, int64_t now_ns,
                                 uint64_t generation)
    : CompiledOptions(options,
                      NextShape(options, old.window, now_ns, generation),
                      options.last_calls == old.options.last_calls
                          ? old.last_calls
                          : MakeLastCalls(options)) {}

CompiledOptions::CompiledOptions(const BreakerOptions& options,
                                 const WindowShape& window,
                                 std::shared_ptr<LastCalls> last_calls)
    : options(options),
      slow_call_ns(absl::ToInt64Nanoseconds(options.slow_call)),
      window(window),
      probes(MakeProbeLimits(options)),
      half_open_max_wait_ns(
          absl::ToInt64Nanoseconds(options.half_open_max_wait)),
      ramp_step_ns(absl::ToInt64Nanoseconds(options.ramp_step)),
      rejection_event_interval_ns(
          absl::ToInt64Nanoseconds(options.rejection_event_interval)),
      last_calls(std::move(last_calls)) {}

}  // namespace grpc_breaker::internal
