#include "grpc_breaker/breaker_events.h"

namespace grpc_breaker {
namespace {

double Share(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

}  // namespace

double WindowCounts::failure_rate() const { return Share(failures, calls()); }
double WindowCounts::slow_rate() const { return Share(slow, calls()); }

absl::string_view ToString(TripRule rule) {
  switch (rule) {
    case TripRule::kConsecutiveFailures:
      return "CONSECUTIVE_FAILURES";
    case TripRule::kLastCalls:
      return "LAST_CALLS";
    case TripRule::kFailureRate:
      return "FAILURE_RATE";
    case TripRule::kSlowRate:
      return "SLOW_RATE";
    case TripRule::kCriticalFailure:
      return "CRITICAL_FAILURE";
  }
  return "UNKNOWN";
}

}  // namespace grpc_breaker
