#include "grpc_breaker/stop_reason.h"

namespace grpc_breaker {

absl::string_view ToString(StopReason reason) {
  switch (reason) {
    case StopReason::kSucceeded:
      return "SUCCEEDED";
    case StopReason::kExhausted:
      return "EXHAUSTED";
    case StopReason::kBudget:
      return "BUDGET";
    case StopReason::kDeadline:
      return "DEADLINE";
    case StopReason::kPushback:
      return "PUSHBACK";
    case StopReason::kNotRetryable:
      return "NOT_RETRYABLE";
    case StopReason::kNotRepeatable:
      return "NOT_REPEATABLE";
    case StopReason::kBreakerOpen:
      return "BREAKER_OPEN";
    case StopReason::kCommitted:
      return "COMMITTED";
    case StopReason::kCancelled:
      return "CANCELLED";
  }
  return "UNKNOWN";
}

}  // namespace grpc_breaker
