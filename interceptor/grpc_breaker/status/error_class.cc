#include "grpc_breaker/error_class.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "grpc_breaker/rejection.h"
#include "grpc_breaker/status/core_messages.h"

namespace grpc_breaker {
namespace {

bool SaysLocalResourceIsExhausted(absl::string_view message) {
  const std::string lower = absl::AsciiStrToLower(message);
  return absl::StrContains(lower, "memory") ||
         absl::StrContains(lower, "disk") ||
         absl::StrContains(lower, "no space") ||
         absl::StrContains(lower, "open files");
}

ErrorClass ClassifyCode(absl::StatusCode code, absl::string_view message,
                        const ErrorOrigin& origin) {
  const bool made_here = origin.server_answered == false;
  // An answer, even an unwelcome one, comes from a server that is well.
  const Outcome answered = made_here ? Outcome::kIgnored : Outcome::kSuccess;
  ErrorClass result;
  const auto set = [&result](ErrorCategory category, ErrorSeverity severity,
                             Outcome outcome, bool retryable = false) {
    result.category = category;
    result.severity = severity;
    result.outcome = outcome;
    result.retryable = retryable;
  };
  switch (code) {
    case absl::StatusCode::kOk:
      break;
    case absl::StatusCode::kCancelled:
      set(ErrorCategory::kPermanent, ErrorSeverity::kLow,
          origin.server_answered == true && !origin.cancelled_by_caller
              ? Outcome::kSuccess
              : Outcome::kIgnored);
      break;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
      set(ErrorCategory::kPermanent, ErrorSeverity::kLow, answered);
      break;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      set(ErrorCategory::kPermanent, ErrorSeverity::kMedium, answered);
      break;
    case absl::StatusCode::kUnimplemented:
      set(ErrorCategory::kPermanent, ErrorSeverity::kHigh, answered);
      break;
    case absl::StatusCode::kAborted:
      set(ErrorCategory::kTransient, ErrorSeverity::kLow, answered);
      break;
    case absl::StatusCode::kDeadlineExceeded:
      set(ErrorCategory::kNetwork, ErrorSeverity::kMedium, Outcome::kFailure,
          origin.attempt_timeout);
      break;
    case absl::StatusCode::kResourceExhausted:
      // Only a server says when to come back.
      if (!origin.retry_info.has_value() &&
          (internal::SaysTooLarge(message) || made_here ||
           (!origin.server_answered.has_value() &&
            SaysLocalResourceIsExhausted(message)))) {
        set(ErrorCategory::kResource, ErrorSeverity::kHigh, Outcome::kIgnored);
      } else {
        set(ErrorCategory::kRateLimit, ErrorSeverity::kMedium,
            Outcome::kFailure, true);
      }
      break;
    case absl::StatusCode::kUnavailable:
      set(made_here ? ErrorCategory::kNetwork : ErrorCategory::kTransient,
          ErrorSeverity::kMedium, Outcome::kFailure, true);
      break;
    case absl::StatusCode::kDataLoss:
      set(ErrorCategory::kPermanent, ErrorSeverity::kCritical,
          Outcome::kFailure);
      break;
    case absl::StatusCode::kUnknown:
      if (internal::SaysHttpTooLarge(message)) {
        set(ErrorCategory::kResource, ErrorSeverity::kHigh, Outcome::kIgnored);
        break;
      }
      [[fallthrough]];
    case absl::StatusCode::kInternal:
    default:
      set(ErrorCategory::kPermanent, ErrorSeverity::kHigh, Outcome::kFailure);
      break;
  }
  return result;
}

// Codes that the core gives to a connection or stream that broke.
bool MayBeLostConnection(absl::StatusCode code, const ErrorOrigin& origin) {
  return code == absl::StatusCode::kUnavailable ||
         code == absl::StatusCode::kUnknown ||
         code == absl::StatusCode::kInternal ||
         (code == absl::StatusCode::kCancelled && !origin.cancelled_by_caller);
}

// What the table cannot say: no server stands behind the code.
void RefineUnanswered(absl::StatusCode code, absl::string_view message,
                      const ErrorOrigin& origin, ErrorClass& error) {
  const bool unavailable = code == absl::StatusCode::kUnavailable;
  if (internal::SaysNoCredentials(message)) {
    error.outcome = Outcome::kIgnored;
    error.never_sent = true;
    if (unavailable) error.category = ErrorCategory::kNetwork;
  } else if (MayBeLostConnection(code, origin) &&
             internal::SaysConnectionLost(message)) {
    error.category = ErrorCategory::kNetwork;
    error.severity = ErrorSeverity::kMedium;
    error.outcome = Outcome::kFailure;
    error.retryable = true;
    error.never_sent =
        unavailable && !origin.answer_begun && internal::SaysNotSeen(message);
  } else if (unavailable && internal::SaysNotConnected(message)) {
    error.category = ErrorCategory::kNetwork;
    error.never_sent = true;
  }
}

}  // namespace

ErrorClass ClassifyError(absl::StatusCode code, absl::string_view message,
                         const ErrorOrigin& origin) {
  if (code == absl::StatusCode::kOk) return {};
  ErrorClass result;
  if (origin.rejected_by_breaker) {
    result.category = ErrorCategory::kTransient;
    result.severity = ErrorSeverity::kHigh;
    result.outcome = Outcome::kIgnored;
    result.never_sent = true;
  } else {
    result = ClassifyCode(code, message, origin);
    if (origin.server_answered != true) {
      RefineUnanswered(code, message, origin, result);
    }
    if (origin.bad_reply) result.outcome = Outcome::kFailure;
  }
  if (origin.cancelled_by_caller || origin.bad_request ||
      (origin.quota_failure && !origin.retry_info.has_value())) {
    result.retryable = false;
  }
  if (origin.retry_info.has_value()) {
    result.retry_delay = std::max(*origin.retry_info, absl::ZeroDuration());
  }
  return result;
}

ErrorClass ClassifyError(const absl::Status& status) {
  ErrorOrigin origin;
  origin.rejected_by_breaker = IsBreakerRejection(status);
  return ClassifyError(status.code(), status.message(), origin);
}

bool ShouldRetry(const absl::Status& status, int attempt, int max_retries) {
  return attempt < max_retries && ClassifyError(status).retryable;
}

absl::string_view ToString(ErrorCategory category) {
  switch (category) {
    case ErrorCategory::kNone:
      return "NONE";
    case ErrorCategory::kNetwork:
      return "NETWORK";
    case ErrorCategory::kRateLimit:
      return "RATE_LIMIT";
    case ErrorCategory::kResource:
      return "RESOURCE";
    case ErrorCategory::kTransient:
      return "TRANSIENT";
    case ErrorCategory::kPermanent:
      return "PERMANENT";
  }
  return "";
}

absl::string_view ToString(ErrorSeverity severity) {
  switch (severity) {
    case ErrorSeverity::kNone:
      return "NONE";
    case ErrorSeverity::kLow:
      return "LOW";
    case ErrorSeverity::kMedium:
      return "MEDIUM";
    case ErrorSeverity::kHigh:
      return "HIGH";
    case ErrorSeverity::kCritical:
      return "CRITICAL";
  }
  return "";
}

absl::string_view ToString(Outcome outcome) {
  switch (outcome) {
    case Outcome::kSuccess:
      return "SUCCESS";
    case Outcome::kFailure:
      return "FAILURE";
    case Outcome::kIgnored:
      return "IGNORED";
  }
  return "";
}

}  // namespace grpc_breaker
