#include "grpc_breaker/breaker_events.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace grpc_breaker {
namespace {

double Share(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

}  // namespace

double WindowCounts::failure_rate() const { return Share(failures, calls()); }
double WindowCounts::slow_rate() const { return Share(slow, calls()); }

std::string RejectionMessage(absl::string_view breaker,
                             const Rejection& rejection) {
  std::string message =
      absl::StrCat("circuit breaker ", breaker,
                   " refused the call: ", ToString(rejection.reason));
  if (rejection.retry_after > absl::ZeroDuration()) {
    absl::StrAppend(&message, ", retry after ",
                    absl::FormatDuration(rejection.retry_after));
  }
  return message;
}

absl::Status RejectionStatus(absl::string_view breaker,
                             const Rejection& rejection) {
  absl::Status status =
      absl::UnavailableError(RejectionMessage(breaker, rejection));
  status.SetPayload(kBreakerRejectionTypeUrl, absl::Cord());
  status.SetPayload(kRejectionRetryAfterPayload,
                    absl::Cord(absl::FormatDuration(rejection.retry_after)));
  return status;
}

bool IsBreakerRejection(const absl::Status& status) {
  // Not by the detail, which a server may have passed on from further down.
  return status.GetPayload(kRejectionRetryAfterPayload).has_value();
}

std::optional<absl::Duration> RejectionRetryAfter(const absl::Status& status) {
  if (!IsBreakerRejection(status)) return std::nullopt;
  absl::Duration retry_after;
  const std::string text(*status.GetPayload(kRejectionRetryAfterPayload));
  return absl::ParseDuration(text, &retry_after) ? retry_after
                                                 : absl::ZeroDuration();
}

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

absl::string_view ToString(RejectionReason reason) {
  switch (reason) {
    case RejectionReason::kOpen:
      return "OPEN";
    case RejectionReason::kHalfOpenLimit:
      return "HALF_OPEN_LIMIT";
    case RejectionReason::kForcedOpen:
      return "FORCED_OPEN";
    case RejectionReason::kThrottled:
      return "THROTTLED";
    case RejectionReason::kRamp:
      return "RAMP";
    case RejectionReason::kBulkhead:
      return "BULKHEAD";
  }
  return "UNKNOWN";
}

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
