#ifndef GRPC_BREAKER_BREAKER_STATE_H_
#define GRPC_BREAKER_BREAKER_STATE_H_

// The states of a circuit breaker.
//
// Thread-compatible: plain values.

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker {

enum class BreakerState : uint8_t {
  kClosed,    // Calls pass and are counted.
  kOpen,      // Calls are refused until the open duration is over.
  kHalfOpen,  // A few probes pass, and their outcomes decide.
  // By hand, until reset or until their time is over:
  kForcedOpen,    // Calls are refused, whatever the time.
  kForcedClosed,  // Calls pass, but for the bulkhead; nothing is counted.
  kMetricsOnly,   // Calls pass; what would have been refused is counted.
};
inline constexpr size_t kBreakerStates = 6;

// "CLOSED", "OPEN", "HALF_OPEN", "FORCED_OPEN", ...
GRPC_BREAKER_EXPORT absl::string_view ToString(BreakerState state);

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_BREAKER_STATE_H_
