#include "grpc_breaker/rpc/classify.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "grpc_breaker/error_origin.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/rpc/context_access.h"

namespace grpc_breaker::internal {

ErrorClass ClassifyAttempt(const Policy& policy, const grpc::Status& status,
                           grpc::ClientContext& context, ErrorOrigin origin) {
  const ErrorOrigin seen = OriginOf(status, context);
  origin.server_answered = seen.server_answered;
  origin.answer_begun = seen.answer_begun;
  ErrorClass error = ClassifyError(status, origin);
  const auto it = policy.classification.find(status.error_code());
  if (it != policy.classification.end() && !origin.cancelled_by_caller) {
    const ClassOverride& override = it->second;
    error.category = override.category.value_or(error.category);
    error.severity = override.severity.value_or(error.severity);
    error.outcome = override.outcome.value_or(error.outcome);
    error.retryable = override.retryable.value_or(error.retryable);
  }
  return error;
}

bool MayHaveAnswer(const grpc::Status& status, grpc::ClientContext& context) {
  return OriginOf(status, context).server_answered != false;
}

bool HadHeaders(const grpc::Status& status, grpc::ClientContext& context) {
  return MayHaveAnswer(status, context) &&
         !HasTrailersOnly(status.error_message(), context);
}

bool HasInitialMetadata(const grpc::Status& status,
                        grpc::ClientContext& context) {
  return !context.GetServerInitialMetadata().empty() ||
         HadHeaders(status, context);
}

Pushback PushbackOf(
    const std::multimap<grpc::string_ref, grpc::string_ref>& trailers) {
  std::vector<absl::string_view> values;
  const auto [begin, end] = trailers.equal_range("grpc-retry-pushback-ms");
  for (auto it = begin; it != end; ++it) {
    values.emplace_back(it->second.data(), it->second.size());
  }
  return Pushback::Parse(values);
}

grpc::Status RejectionAfter(const grpc::Status& rejection,
                            const grpc::Status& last) {
  return grpc::Status(rejection.error_code(),
                      absl::StrCat(rejection.error_message(),
                                   "; last error: ", last.error_message()),
                      rejection.error_details());
}

StopReason StopReasonOf(RetryDecision::Verdict verdict) {
  switch (verdict) {
    case RetryDecision::Verdict::kSucceeded:
      return StopReason::kSucceeded;
    case RetryDecision::Verdict::kNotRetryable:
      return StopReason::kNotRetryable;
    case RetryDecision::Verdict::kCommitted:
      return StopReason::kCommitted;
    case RetryDecision::Verdict::kNotIdempotent:
      return StopReason::kNotRepeatable;
    case RetryDecision::Verdict::kBudget:
      return StopReason::kBudget;
    case RetryDecision::Verdict::kPushback:
      return StopReason::kPushback;
    case RetryDecision::Verdict::kDeadline:
      return StopReason::kDeadline;
    case RetryDecision::Verdict::kRetry:
    case RetryDecision::Verdict::kExhausted:
      break;
  }
  return StopReason::kExhausted;
}

grpc::Status DeadlineExceeded() {
  return grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "Deadline Exceeded");
}

grpc::Status Cancelled() {
  return grpc::Status(grpc::StatusCode::CANCELLED, "CANCELLED");
}

grpc::Status NoMessageReturned() {
  return grpc::Status(grpc::StatusCode::UNIMPLEMENTED,
                      "No message returned for unary request");
}

}  // namespace grpc_breaker::internal
