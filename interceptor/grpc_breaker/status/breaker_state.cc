#include "grpc_breaker/breaker_state.h"

namespace grpc_breaker {

absl::string_view ToString(BreakerState state) {
  switch (state) {
    case BreakerState::kClosed:
      return "CLOSED";
    case BreakerState::kOpen:
      return "OPEN";
    case BreakerState::kHalfOpen:
      return "HALF_OPEN";
    case BreakerState::kForcedOpen:
      return "FORCED_OPEN";
    case BreakerState::kForcedClosed:
      return "FORCED_CLOSED";
    case BreakerState::kMetricsOnly:
      return "METRICS_ONLY";
  }
  return "UNKNOWN";
}

}  // namespace grpc_breaker
