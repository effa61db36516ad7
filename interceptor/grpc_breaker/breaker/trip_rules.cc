#include "grpc_breaker/breaker/trip_rules.h"

#include <limits>

namespace grpc_breaker::internal {

// The rate's nearest double and the product are each off by half an epsilon at
// most, while with d decimals a part that falls short does so by 10^-d.
bool ReachesRate(double rate, int64_t part, int64_t whole) {
  constexpr double kRounding = 1 - 2 * std::numeric_limits<double>::epsilon();
  return rate > 0 && part > 0 &&
         static_cast<double>(part) >=
             rate * static_cast<double>(whole) * kRounding;
}

std::optional<Trip> CheckSequence(const BreakerOptions& options, bool critical,
                                  uint32_t consecutive_failures,
                                  uint32_t failures_of_last_calls) {
  if (critical && options.open_on_critical) {
    return Trip{TripRule::kCriticalFailure, 1};
  }
  if (options.consecutive_failures > 0 &&
      consecutive_failures >=
          static_cast<uint32_t>(options.consecutive_failures)) {
    return Trip{TripRule::kConsecutiveFailures, consecutive_failures};
  }
  if (options.last_calls > 0 &&
      failures_of_last_calls >=
          static_cast<uint32_t>(options.last_calls_failures)) {
    return Trip{TripRule::kLastCalls, failures_of_last_calls};
  }
  return std::nullopt;
}

bool RatesArePossible(const BreakerOptions& options, int64_t failures,
                      int64_t slow) {
  return ReachesRate(options.failure_rate, failures, options.minimum_calls) ||
         ReachesRate(options.slow_rate, slow, options.minimum_calls);
}

RateVerdict CheckRates(const BreakerOptions& options,
                       const WindowCounts& counts) {
  RateVerdict verdict;
  std::optional<Trip> reached;
  if (ReachesRate(options.failure_rate, counts.failures, counts.calls())) {
    reached = Trip{TripRule::kFailureRate, 0};
  } else if (ReachesRate(options.slow_rate, counts.slow, counts.calls())) {
    reached = Trip{TripRule::kSlowRate, 0};
  }
  if (counts.calls() >= options.minimum_calls) {
    verdict.trip = reached;
  } else {
    verdict.waits = reached.has_value();
  }
  return verdict;
}

}  // namespace grpc_breaker::internal
