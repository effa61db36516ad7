#include "grpc_breaker/retry_policy.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"

namespace grpc_breaker {

using Verdict = RetryDecision::Verdict;

Pushback Pushback::Parse(absl::string_view value) {
  // SimpleAtoi alone would take spaces and signs.
  int32_t milliseconds;
  if (!std::all_of(value.begin(), value.end(), absl::ascii_isdigit) ||
      !absl::SimpleAtoi(value, &milliseconds)) {
    return {Kind::kDoNotRetry, absl::ZeroDuration()};
  }
  return {Kind::kRetryAfter, absl::Milliseconds(milliseconds)};
}

Pushback Pushback::Parse(absl::Span<const absl::string_view> values) {
  if (values.empty()) return {};
  if (values.size() > 1) return {Kind::kDoNotRetry, absl::ZeroDuration()};
  return Parse(values.front());
}

std::optional<absl::Duration> ServerDelay(const ErrorClass& error,
                                          const Pushback& pushback) {
  return pushback.kind == Pushback::Kind::kRetryAfter
             ? std::make_optional(pushback.delay)
             : error.retry_delay;
}

RetryPolicy::RetryPolicy(const RetryOptions& options, bool idempotent,
                         Environment& environment, RetryBudget* budget)
    : RetryPolicy(options, options.max_retries, idempotent, /*hedged=*/false,
                  environment, budget) {}

RetryPolicy::RetryPolicy(const RetryOptions& options,
                         const HedgingOptions& hedging,
                         Environment& environment, RetryBudget* budget)
    : RetryPolicy(options, hedging.max_hedges, /*idempotent=*/true,
                  /*hedged=*/true, environment, budget) {}

RetryPolicy::RetryPolicy(const RetryOptions& options, int max_retries,
                         bool idempotent, bool hedged, Environment& environment,
                         RetryBudget* budget)
    : max_retries_(max_retries),
      idempotent_(idempotent),
      hedged_(hedged),
      budget_(budget),
      backoff_(options, environment) {
  if (budget_ != nullptr) budget_->RecordCall(environment);
}

RetryDecision RetryPolicy::Next(const ErrorClass& error,
                                const Pushback& pushback, MonotonicTime now,
                                MonotonicTime deadline, bool committed) {
  if (error.category == ErrorCategory::kNone) {
    if (budget_ != nullptr) budget_->RecordSuccess();
    return {Verdict::kSucceeded};
  }
  const bool told_not_to = pushback.kind == Pushback::Kind::kDoNotRetry;
  told_not_to_ |= told_not_to;
  // A server that pushes back is in trouble, whatever the code it sends.
  const bool takes_a_token = error.retryable || told_not_to;
  const bool within_budget =
      budget_ == nullptr || !takes_a_token || budget_->RecordFailure();
  if (!error.retryable) return {Verdict::kNotRetryable};
  if (!within_budget) return {Verdict::kBudget};
  if (committed) return {Verdict::kCommitted};
  if (exhausted()) return {Verdict::kExhausted};
  if (told_not_to_) return {Verdict::kPushback};
  if (!idempotent_ && !error.never_sent) return {Verdict::kNotIdempotent};
  const absl::Duration delay = Delay(error, pushback);
  if (!hedged_) return RetryAfter(delay, now, deadline, budget_);
  if (!InTime(TimeAfter(now, delay), deadline)) return {Verdict::kDeadline};
  return {Verdict::kRetry, delay};
}

RetryDecision RetryPolicy::NextAfterRejection(absl::Duration retry_after,
                                              MonotonicTime now,
                                              MonotonicTime deadline) {
  if (exhausted()) return {Verdict::kExhausted};
  return RetryAfter(std::max(backoff_.Next(), retry_after), now, deadline,
                    nullptr);
}

Verdict RetryPolicy::TakeHedge(MonotonicTime now, MonotonicTime deadline) {
  if (exhausted()) return Verdict::kExhausted;
  if (told_not_to_) return Verdict::kPushback;
  if (!InTime(now, deadline)) return Verdict::kDeadline;
  if (budget_ != nullptr && !budget_->TakeHedge(now)) return Verdict::kBudget;
  ++retries_;
  return Verdict::kRetry;
}

absl::Duration RetryPolicy::Delay(const ErrorClass& error,
                                  const Pushback& pushback) {
  const std::optional<absl::Duration> asked = ServerDelay(error, pushback);
  if (hedged_) return asked.value_or(absl::ZeroDuration());
  if (!asked.has_value()) return backoff_.Next();
  if (pushback.kind != Pushback::Kind::kRetryAfter) {
    return backoff_.NextAtLeast(*asked);
  }
  backoff_.Reset();
  return *asked;
}

RetryDecision RetryPolicy::RetryAfter(absl::Duration delay, MonotonicTime now,
                                      MonotonicTime deadline,
                                      RetryBudget* budget) {
  if (!InTime(TimeAfter(now, delay), deadline)) return {Verdict::kDeadline};
  if (budget != nullptr && !budget->TakeRetry(now)) return {Verdict::kBudget};
  ++retries_;
  return {Verdict::kRetry, delay};
}

absl::string_view ToString(RetryDecision::Verdict verdict) {
  switch (verdict) {
    case Verdict::kRetry:
      return "RETRY";
    case Verdict::kSucceeded:
      return "SUCCEEDED";
    case Verdict::kNotRetryable:
      return "NOT_RETRYABLE";
    case Verdict::kCommitted:
      return "COMMITTED";
    case Verdict::kNotIdempotent:
      return "NOT_IDEMPOTENT";
    case Verdict::kExhausted:
      return "EXHAUSTED";
    case Verdict::kBudget:
      return "BUDGET";
    case Verdict::kPushback:
      return "PUSHBACK";
    case Verdict::kDeadline:
      return "DEADLINE";
  }
  return "UNKNOWN";
}

}  // namespace grpc_breaker
