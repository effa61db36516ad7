#ifndef GRPC_BREAKER_REGISTRY_POLICY_FIELDS_H_
#define GRPC_BREAKER_REGISTRY_POLICY_FIELDS_H_

// As base/option_fields.h, for the structs of policy.h.
//
// Thread-compatible: plain values.

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "grpc_breaker/base/utf8.h"
#include "grpc_breaker/breaker/breaker_fields.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/retry/retry_fields.h"

namespace grpc_breaker::internal {

struct CategoryOfAnError {
  std::string Text() const { return "that of an error"; }
  std::string Complaint(ErrorCategory category) const {
    // Retries would take it for a success.
    if (category == ErrorCategory::kNone) {
      return Refusal(Text(), ToString(category));
    }
    return OneOf{ErrorCategory::kPermanent}.Complaint(category);
  }
};

// What the admin service shows must be.
struct Utf8 {
  std::string Text() const { return "UTF-8"; }
  std::string Complaint(const std::string& value) const {
    if (IsUtf8(value)) return "";
    return Refusal(Text(), absl::StrCat("\"", absl::CHexEscape(value), "\""));
  }
};

// gRPC counts deadlines in milliseconds. A year is far beyond any use, and far
// from overflowing a count of nanoseconds.
inline constexpr From<absl::Duration> kTimeout{absl::Milliseconds(1),
                                               absl::Hours(24 * 365)};

// clang-format off
#define GRPC_BREAKER_CLASS_OVERRIDE(FIELD)               \
  FIELD(category, CategoryOfAnError{}),                  \
  FIELD(severity, OneOf{ErrorSeverity::kCritical}),      \
  FIELD(outcome, OneOf{Outcome::kIgnored}),              \
  FIELD(retryable, AnyValue{})

#define GRPC_BREAKER_FALLBACK(FIELD)                     \
  FIELD(function, AnyValue{}),                           \
  FIELD(on_exhaustion, AnyValue{}),                      \
  FIELD(on_not_retryable, AnyValue{}),                   \
  FIELD(on_rejection, AnyValue{})

#define GRPC_BREAKER_POLICY(FIELD)                       \
  FIELD(retry, AnyValue{}),                              \
  FIELD(hedging, AnyValue{}),                            \
  FIELD(stream_retry, AnyValue{}),                       \
  FIELD(breaker, AnyValue{}),                            \
  FIELD(classification, AnyValue{}),                     \
  FIELD(idempotency, OneOf{Idempotency::kRepeatable}),   \
  FIELD(timeout, kTimeout),                              \
  FIELD(attempt_timeout, kTimeout),                      \
  FIELD(fallback, AnyValue{}),                           \
  FIELD(on_final_failure, AnyValue{}),                   \
  FIELD(on_attempt, AnyValue{}),                         \
  FIELD(wait_when_rejected, AnyValue{}),                 \
  FIELD(commit_at_initial_metadata, AnyValue{}),         \
  FIELD(wait_for_ready, AnyValue{}),                     \
  FIELD(authority, Utf8{})
// clang-format on

GRPC_BREAKER_OPTION_TABLE(ClassOverride, GRPC_BREAKER_CLASS_OVERRIDE)
GRPC_BREAKER_OPTION_TABLE(Fallback, GRPC_BREAKER_FALLBACK)
GRPC_BREAKER_OPTION_TABLE(Policy, GRPC_BREAKER_POLICY)

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_REGISTRY_POLICY_FIELDS_H_
