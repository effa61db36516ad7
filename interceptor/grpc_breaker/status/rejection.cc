#include "grpc_breaker/rejection.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "grpc_breaker/status/rejection_payload.h"

namespace grpc_breaker {

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
  internal::SetRetryAfter(rejection.retry_after, &status);
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

}  // namespace grpc_breaker
