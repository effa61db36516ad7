#include "grpc_breaker/retry_options.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "grpc_breaker/retry/retry_fields.h"

namespace grpc_breaker {
namespace {

constexpr int kMaxRetriesLimit = 100;

template <typename Value>
absl::Status Wrong(absl::string_view field, absl::string_view rule,
                   const Value& value) {
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": must be ", rule, ", got ", value));
}

absl::Status Wrong(absl::string_view field, absl::string_view rule,
                   absl::Duration value) {
  return Wrong(field, rule, absl::FormatDuration(value));
}

}  // namespace

absl::Status RetryOptions::Validate() const {
  if (max_retries < 0 || max_retries > kMaxRetriesLimit) {
    return Wrong("retry.max_retries", "from 0 to 100", max_retries);
  }
  // Less would be no delay at all, by clocks that count nanoseconds.
  if (base_delay < absl::Nanoseconds(1)) {
    return Wrong("retry.base_delay", "at least 1ns", base_delay);
  }
  if (base_delay == absl::InfiniteDuration()) {
    return Wrong("retry.base_delay", "finite", base_delay);
  }
  if (max_delay < base_delay) {
    return Wrong("retry.max_delay",
                 absl::StrCat("at least retry.base_delay (",
                              absl::FormatDuration(base_delay), ")"),
                 max_delay);
  }
  if (max_delay == absl::InfiniteDuration()) {
    return Wrong("retry.max_delay", "finite", max_delay);
  }
  // Negated, so that NaN is refused too.
  if (!(exponential_base > 1) || std::isinf(exponential_base)) {
    return Wrong("retry.exponential_base", "greater than 1 and finite",
                 exponential_base);
  }
  if (ToString(jitter).empty()) {
    return Wrong("retry.jitter", "one of the kinds of Jitter",
                 static_cast<int>(jitter));
  }
  return absl::OkStatus();
}

absl::Status RetryBudgetOptions::Validate() const {
  if (max_tokens == 0) return absl::OkStatus();
  if (!(max_tokens >= 0.001 && max_tokens <= 1000)) {
    return Wrong("retry_budget.max_tokens", "0, or from 0.001 to 1000",
                 max_tokens);
  }
  if (!(token_ratio >= 0.001 && token_ratio <= 1000)) {
    return Wrong("retry_budget.token_ratio", "from 0.001 to 1000", token_ratio);
  }
  return absl::OkStatus();
}

bool operator==(const RetryOptions& a, const RetryOptions& b) {
  return internal::AllFieldsEqual(a, b);
}

bool operator==(const RetryBudgetOptions& a, const RetryBudgetOptions& b) {
  return internal::AllFieldsEqual(a, b);
}

absl::string_view ToString(Jitter jitter) {
  switch (jitter) {
    case Jitter::kNone:
      return "NONE";
    case Jitter::kPlusMinusHalf:
      return "PLUS_MINUS_HALF";
    case Jitter::kFull:
      return "FULL";
    case Jitter::kEqual:
      return "EQUAL";
    case Jitter::kDecorrelated:
      return "DECORRELATED";
    case Jitter::kGrpcA6:
      return "GRPC_A6";
  }
  return "";
}

}  // namespace grpc_breaker
