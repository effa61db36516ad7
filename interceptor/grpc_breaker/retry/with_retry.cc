#include "grpc_breaker/with_retry.h"

#include "grpc_breaker/base/user_code.h"
#include "grpc_breaker/rejection.h"

namespace grpc_breaker::internal {

RetrySession::RetrySession(const RetryOptions& retry, WithRetryOptions options)
    : options_(std::move(options)),
      policy_(retry, /*idempotent=*/true, *options_.environment,
              options_.budget) {}

RetryDecision RetrySession::Next(const absl::Status& status, ErrorClass error) {
  const MonotonicTime now = environment().Now();
  const std::optional<absl::Duration> retry_after = RejectionRetryAfter(status);
  if (retry_after.has_value()) {
    if (!options_.wait_when_rejected) return {};
    return policy_.NextAfterRejection(*retry_after, now, options_.deadline);
  }
  if (!status.ok() && options_.refine != nullptr) {
    options_.refine(status, error);
  }
  return policy_.Next(error, Pushback(), now, options_.deadline);
}

absl::Status RetrySession::Call(absl::FunctionRef<void()> function) {
  return CallUserCode(function)
             ? absl::OkStatus()
             : absl::UnknownError("the function threw an exception");
}

}  // namespace grpc_breaker::internal
