#include "grpc_breaker/retry_options.h"

#include "grpc_breaker/retry/retry_fields.h"

namespace grpc_breaker {

absl::Status RetryOptions::Validate() const {
  return internal::CheckFields("retry.", *this);
}

absl::Status HedgingOptions::Validate() const {
  return internal::CheckFields("hedging.", *this);
}

absl::Status StreamRetryOptions::Validate() const {
  return internal::CheckFields("stream_retry.", *this);
}

absl::Status RetryBudgetOptions::Validate() const {
  return internal::CheckFields("retry_budget.", *this);
}

bool operator==(const RetryOptions& a, const RetryOptions& b) {
  return internal::AllFieldsEqual(a, b);
}

bool operator==(const HedgingOptions& a, const HedgingOptions& b) {
  return internal::AllFieldsEqual(a, b);
}

bool operator==(const StreamRetryOptions& a, const StreamRetryOptions& b) {
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
