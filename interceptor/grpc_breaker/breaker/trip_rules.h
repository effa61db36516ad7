#ifndef GRPC_BREAKER_BREAKER_TRIP_RULES_H_
#define GRPC_BREAKER_BREAKER_TRIP_RULES_H_

// The rules by which a CLOSED breaker opens. Pure functions over counts.
//
// Thread-safe.

#include <cstdint>
#include <optional>

#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/breaker_options.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

// Whether `part` of `whole` is at least `rate`, which is off at 0. Exact for
// rates as people write them: 55 of 100 reach 0.55, whose nearest double is a
// little more, but 54.99999999 % do not.
bool ReachesRate(double rate, int64_t part, int64_t whole);

struct Trip {
  TripRule rule;
  uint32_t number;  // Failures, for the rules that count them.
};

// The rules that look at calls one after the other.
GRPC_BREAKER_EXPORT std::optional<Trip> CheckSequence(
    const BreakerOptions& options, bool critical, uint32_t consecutive_failures,
    uint32_t failures_of_last_calls);

// False if no rate can have reached its threshold over the minimum of calls
// with so few failures and slow calls, however few the successes: it saves
// summing those up.
bool RatesArePossible(const BreakerOptions& options, int64_t failures,
                      int64_t slow);

struct RateVerdict {
  std::optional<Trip> trip;
  // A rate is too high, but there were fewer calls than the minimum: the next
  // call may open the breaker even if it succeeds.
  bool waits = false;
};
GRPC_BREAKER_EXPORT RateVerdict CheckRates(const BreakerOptions& options,
                                           const WindowCounts& counts);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_TRIP_RULES_H_
