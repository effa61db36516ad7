#include "grpc_breaker/policy.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "grpc_breaker/base/nearest_name.h"
#include "grpc_breaker/directory.h"
#include "grpc_breaker/registry/grpc_compat.h"
#include "grpc_breaker/registry/linked_protos.h"
#include "grpc_breaker/registry/method_name.h"
#include "grpc_breaker/registry/policy_fields.h"
#include "grpcpp/support/slice.h"

namespace grpc_breaker {
namespace {

constexpr int kMostMethods = 1'000'000;

absl::Status Invalid(absl::string_view field, absl::string_view requirement) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", requirement));
}

absl::Status WithPrefix(absl::string_view prefix, const absl::Status& status) {
  if (status.ok() || prefix.empty()) return status;
  return absl::Status(status.code(), absl::StrCat(prefix, status.message()));
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
  return internal::CheckFields(field + ".", override);
}

std::string MethodName(absl::string_view service, absl::string_view method) {
  return absl::StrCat("/", service, "/", method);
}

// "pkg.Service" of "/pkg.Service/" and of "/pkg.Service/Method".
absl::string_view ServiceOf(absl::string_view name) {
  return name.substr(1, name.rfind('/') - 1);
}

// That the service, where it is linked in, has the method.
absl::Status ValidateMethodIsThere(const std::string& field,
                                   absl::string_view name) {
  const absl::string_view service = ServiceOf(name);
  const absl::string_view method = name.substr(name.rfind('/') + 1);
  const auto methods = internal::MethodsOf(service);
  if (!methods || absl::c_linear_search(*methods, method)) {
    return absl::OkStatus();
  }
  return Invalid(field, absl::StrCat("must be a method that ", service,
                                     " has; the nearest is ",
                                     internal::NearestName(method, *methods)));
}

// Whether all that is known of what a policy is for says that calls may not be
// repeated.
bool NothingIsRepeatable(absl::string_view name) {
  if (name.back() != '/') return !internal::IsDeclaredIdempotent(name);
  const absl::string_view service = ServiceOf(name);
  const auto methods = internal::MethodsOf(service);
  return !methods || absl::c_none_of(*methods, [&](const std::string& method) {
    return internal::IsDeclaredIdempotent(MethodName(service, method));
  });
}

// Of a build that cannot make attempts: what needs them.
void WarnOfAttempts(absl::string_view prefix, const Policy& policy,
                    std::vector<PolicyWarning>& warnings) {
  const auto warn = [&](bool asked_for, absl::string_view field) {
    if (!asked_for) return;
    PolicyWarning& warning = warnings.emplace_back();
    warning.field = absl::StrCat(prefix, ".", field);
    warning.message =
        "has no effect: the library was built without access to private "
        "members of gRPC (docs/limits.md), and all calls run natively";
  };
  warn(policy.retry.max_retries > 0, "retry.max_retries");
  warn(policy.hedging.on(), "hedging.max_hedges");
  warn(policy.stream_retry.enabled, "stream_retry");
  warn(policy.attempt_timeout.has_value(), "attempt_timeout");
  warn(policy.fallback.function != nullptr, "fallback");
  warn(policy.wait_for_ready.has_value(), "wait_for_ready");
  warn(!policy.authority.empty(), "authority");
}

// Of one that can: the policy for the method or service `name`.
void WarnOfRepeating(absl::string_view prefix, absl::string_view name,
                     const Policy& policy,
                     std::vector<PolicyWarning>& warnings) {
  if (policy.idempotency == Idempotency::kRepeatable ||
      !NothingIsRepeatable(name)) {
    return;
  }
  const auto warn = [&](absl::string_view part, absl::string_view field,
                        int value, absl::string_view what_holds) {
    if (value == 0) return;
    PolicyWarning& warning = warnings.emplace_back();
    warning.field = absl::StrCat(prefix, ".", part, ".", field);
    warning.message = absl::StrCat(
        "is ", value, ", but ", what_holds,
        ": no proto file that is linked in declares ",
        name.back() == '/' ? "a method of it" : "the method",
        " NO_SIDE_EFFECTS or IDEMPOTENT. Set idempotency to kRepeatable if "
        "calls may be repeated, or ",
        field, " to 0 if not");
  };
  warn("retry", "max_retries", policy.retry.max_retries,
       "only calls that no server has seen are repeated");
  warn("hedging", "max_hedges", policy.hedging.max_hedges,
       "calls are not hedged");
}

}  // namespace

absl::string_view ToString(Idempotency idempotency) {
  switch (idempotency) {
    case Idempotency::kAsDeclared:
      return "AS_DECLARED";
    case Idempotency::kRepeatable:
      return "REPEATABLE";
  }
  return "";
}

Fallback Fallback::Fixed(grpc::Status status, std::string reply) {
  Fallback fallback;
  fallback.function = [result =
                           FallbackResult{std::move(status), std::move(reply)}](
                          const FailedCall&) { return result; };
  return fallback;
}

absl::Status Policy::Validate(const std::string& prefix) const {
  absl::Status status = retry.Validate();
  status.Update(hedging.Validate());
  status.Update(stream_retry.Validate());
  status.Update(breaker.Validate());
  for (const auto& [code, override] : classification) {
    status.Update(ValidateOverride(code, override));
  }
  status.Update(internal::CheckFields("", *this));
  return WithPrefix(prefix, status);
}

absl::Status Policies::Validate() const {
  absl::Status status = default_policy.Validate("default_policy.");
  for (const auto& [name, policy] : services) {
    const std::string field = absl::StrCat("services[", name, "]");
    if (internal::FormOf(name) != internal::NameForm::kService) {
      status.Update(Invalid(field, "must have the form /package.Service/"));
    }
    status.Update(policy.Validate(field + "."));
  }
  for (const auto& [name, policy] : methods) {
    const std::string field = absl::StrCat("methods[", name, "]");
    if (internal::FormOf(name) != internal::NameForm::kMethod) {
      status.Update(
          Invalid(field, "must have the form /package.Service/Method"));
    } else if (strict_methods || named_by_type_.count(name) > 0) {
      status.Update(ValidateMethodIsThere(field, name));
    }
    status.Update(policy.Validate(field + "."));
  }
  return status;
}

std::vector<PolicyWarning> Policies::Warnings() const {
  std::vector<PolicyWarning> warnings;
  if (!internal::kHasPrivateAccess) {
    WarnOfAttempts("default_policy", default_policy, warnings);
  }
  const auto warn_of = [&](absl::string_view map,
                           const std::map<std::string, Policy>& policies) {
    for (const auto& [name, policy] : policies) {
      const std::string prefix = absl::StrCat(map, "[", name, "]");
      if (internal::kHasPrivateAccess) {
        WarnOfRepeating(prefix, name, policy, warnings);
      } else {
        WarnOfAttempts(prefix, policy, warnings);
      }
    }
  };
  warn_of("services", services);
  warn_of("methods", methods);
  return warnings;
}

const Policy& Policies::PolicyFor(absl::string_view method) const {
  const auto by_method = methods.find(std::string(method));
  if (by_method != methods.end()) return by_method->second;
  const auto by_service =
      services.find(std::string(method.substr(0, method.rfind('/') + 1)));
  if (by_service != services.end()) return by_service->second;
  return default_policy;
}

Policy& Policies::ServicePolicy(absl::string_view service) {
  return services.try_emplace(MethodName(service, ""), default_policy)
      .first->second;
}

Policy& Policies::MethodPolicy(absl::string_view service,
                               absl::string_view method) {
  const std::string name = MethodName(service, method);
  named_by_type_.insert(name);
  return methods.try_emplace(name, PolicyFor(name)).first->second;
}

Options::Options()
    : directory(&Directory::Default()), environment(&Environment::Default()) {}

absl::Status Options::Validate() const {
  absl::Status status = Policies::Validate();
  status.Update(retry_budget.Validate());
  status.Update(internal::ComplaintStatus(
      "", "channel_name", internal::Utf8{}.Complaint(channel_name)));
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

namespace internal {

using MessageTraits = grpc::SerializationTraits<google::protobuf::MessageLite>;

grpc::Status ParseMessage(grpc::ByteBuffer bytes,
                          google::protobuf::MessageLite* message) {
  return MessageTraits::Deserialize(&bytes, message);
}

grpc::Status SerializeMessage(const google::protobuf::MessageLite& message,
                              grpc::ByteBuffer* bytes) {
  bool own = false;
  return MessageTraits::Serialize(message, bytes, &own);
}

FallbackResult ResultOf(grpc::Status status, const grpc::ByteBuffer& bytes) {
  FallbackResult result;
  result.status = std::move(status);
  std::vector<grpc::Slice> slices;
  if (result.status.ok()) result.status = bytes.Dump(&slices);
  for (const grpc::Slice& slice : slices) {
    result.reply.append(reinterpret_cast<const char*>(slice.begin()),
                        slice.size());
  }
  return result;
}

}  // namespace internal
}  // namespace grpc_breaker
