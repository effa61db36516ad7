#include "grpc_breaker/policy.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "grpc_breaker/internal/method_name.h"
#include "grpc_breaker/internal/utf8.h"

namespace grpc_breaker {
namespace {

// gRPC counts deadlines in milliseconds.
constexpr absl::Duration kShortestTimeout = absl::Milliseconds(1);
// Far beyond any use, and far from overflowing a count of nanoseconds.
constexpr absl::Duration kLongestTimeout = absl::Hours(24 * 365);
constexpr int kMostMethods = 1'000'000;

absl::Status Invalid(absl::string_view field, absl::string_view requirement) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", requirement));
}

absl::Status WithPrefix(absl::string_view prefix, const absl::Status& status) {
  if (status.ok() || prefix.empty()) return status;
  return absl::Status(status.code(), absl::StrCat(prefix, status.message()));
}

absl::Status ValidateTimeout(absl::string_view field,
                             const std::optional<absl::Duration>& timeout) {
  if (!timeout ||
      (*timeout >= kShortestTimeout && *timeout <= kLongestTimeout)) {
    return absl::OkStatus();
  }
  return Invalid(
      field,
      absl::StrCat("must be from ", absl::FormatDuration(kShortestTimeout),
                   " to ", absl::FormatDuration(kLongestTimeout), ", got ",
                   absl::FormatDuration(*timeout)));
}

// What the admin service shows must be.
absl::Status ValidateUtf8(absl::string_view field, const std::string& value) {
  if (internal::IsUtf8(value)) return absl::OkStatus();
  return Invalid(field, absl::StrCat("must be UTF-8, got \"",
                                     absl::CHexEscape(value), "\""));
}

// For values that were cast into an enum whose values are 0 to `last`.
template <typename Enum>
absl::Status ValidateEnum(absl::string_view field,
                          const std::optional<Enum>& value, Enum last) {
  if (!value) return absl::OkStatus();
  const int number = static_cast<int>(*value);
  if (number >= 0 && number <= static_cast<int>(last)) return absl::OkStatus();
  return Invalid(field,
                 absl::StrCat("must be one of the named values, got ", number));
}

absl::Status ValidateOverride(grpc::StatusCode code,
                              const ClassOverride& override) {
  const std::string field =
      absl::StrCat("classification[", static_cast<int>(code), "]");
  if (code < grpc::StatusCode::CANCELLED ||
      code > grpc::StatusCode::UNAUTHENTICATED) {
    return Invalid(field,
                   absl::StrCat("must be the code of an error, in ",
                                "[1, 16], got ", static_cast<int>(code)));
  }
  if (override.category == ErrorCategory::kNone) {
    // Retries would take it for a success.
    return Invalid(field + ".category", "must be that of an error, got NONE");
  }
  absl::Status status = ValidateEnum(field + ".category", override.category,
                                     ErrorCategory::kPermanent);
  status.Update(ValidateEnum(field + ".severity", override.severity,
                             ErrorSeverity::kCritical));
  status.Update(
      ValidateEnum(field + ".outcome", override.outcome, Outcome::kIgnored));
  return status;
}

absl::Status ValidatePolicies(absl::string_view field,
                              const std::map<std::string, Policy>& policies,
                              internal::NameForm form,
                              absl::string_view form_text) {
  for (const auto& [name, policy] : policies) {
    const std::string entry = absl::StrCat(field, "[", name, "]");
    if (internal::FormOf(name) != form) {
      return Invalid(entry, absl::StrCat("must have the form ", form_text));
    }
    absl::Status status = policy.Validate(entry + ".");
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

Fallback Fallback::Fixed(grpc::Status status, std::string reply) {
  Fallback fallback;
  fallback.function = [result =
                           FallbackResult{std::move(status), std::move(reply)}](
                          const FailedCall&) { return result; };
  return fallback;
}

absl::Status Policy::Validate(const std::string& prefix) const {
  absl::Status status = retry.Validate();
  status.Update(breaker.Validate());
  for (const auto& [code, override] : classification) {
    status.Update(ValidateOverride(code, override));
  }
  status.Update(
      ValidateEnum("idempotency", idempotency, Idempotency::kRepeatable));
  status.Update(ValidateTimeout("timeout", timeout));
  status.Update(ValidateTimeout("attempt_timeout", attempt_timeout));
  status.Update(ValidateUtf8("authority", authority));
  return WithPrefix(prefix, status);
}

absl::Status Options::Validate() const {
  absl::Status status = default_policy.Validate("default_policy.");
  status.Update(ValidatePolicies(
      "services", services, internal::NameForm::kService, "/package.Service/"));
  status.Update(ValidatePolicies("methods", methods,
                                 internal::NameForm::kMethod,
                                 "/package.Service/Method"));
  status.Update(retry_budget.Validate());
  status.Update(ValidateUtf8("channel_name", channel_name));
  if (max_methods < 1 || max_methods > kMostMethods) {
    status.Update(Invalid(
        "max_methods",
        absl::StrCat("must be in [1, ", kMostMethods, "], got ", max_methods)));
  } else if (methods.size() > static_cast<size_t>(max_methods)) {
    status.Update(Invalid(
        "max_methods",
        absl::StrCat("must be at least the number of policies in methods, ",
                     methods.size(), ", got ", max_methods)));
  }
  for (size_t i = 0; i < listeners.size(); ++i) {
    if (listeners[i] == nullptr) {
      status.Update(
          Invalid(absl::StrCat("listeners[", i, "]"), "must not be null"));
    }
  }
  if (environment == nullptr) {
    status.Update(Invalid("environment", "must not be null"));
  }
  return status;
}

const Policy& Options::PolicyFor(absl::string_view method) const {
  const auto by_method = methods.find(std::string(method));
  if (by_method != methods.end()) return by_method->second;
  const auto by_service =
      services.find(std::string(method.substr(0, method.rfind('/') + 1)));
  if (by_service != services.end()) return by_service->second;
  return default_policy;
}

}  // namespace grpc_breaker
