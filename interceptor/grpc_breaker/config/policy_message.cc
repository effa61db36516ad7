#include "grpc_breaker/config/policy_message.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/protobuf/message.h"
#include "grpc_breaker/config/time_message.h"
#include "grpc_breaker/registry/policy_fields.h"

namespace grpc_breaker::internal {
namespace {

absl::string_view ToString(Idempotency idempotency) {
  return idempotency == Idempotency::kRepeatable ? "REPEATABLE" : "AS_DECLARED";
}

// --- Options as messages ---
//
// The fields of a message have the names of those of the struct, so that the
// table of these says what is set. Set() is told of each field of a struct and
// its counterpart, which is null where the message has none.

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

template <typename T>
inline constexpr bool kIsPartOfAPolicy =
    std::is_same_v<T, RetryOptions> || std::is_same_v<T, HedgingOptions> ||
    std::is_same_v<T, StreamRetryOptions> || std::is_same_v<T, BreakerOptions>;

template <typename Options>
void SetFields(const Options& options, Message* message);

void Set(bool value, const FieldDescriptor* field, Message* message) {
  message->GetReflection()->SetBool(message, field, value);
}

void Set(int value, const FieldDescriptor* field, Message* message) {
  message->GetReflection()->SetInt32(message, field, value);
}

void Set(int64_t value, const FieldDescriptor* field, Message* message) {
  message->GetReflection()->SetInt64(message, field, value);
}

void Set(double value, const FieldDescriptor* field, Message* message) {
  message->GetReflection()->SetDouble(message, field, value);
}

void Set(const std::string& value, const FieldDescriptor* field,
         Message* message) {
  message->GetReflection()->SetString(message, field, value);
}

// An endless duration is one that is not set.
void Set(absl::Duration value, const FieldDescriptor* field, Message* message) {
  if (value == absl::InfiniteDuration()) return;
  message->GetReflection()
      ->MutableMessage(message, field)
      ->CopyFrom(ToMessage(value));
}

template <typename Enum, typename = std::enable_if_t<std::is_enum_v<Enum>>>
void Set(Enum value, const FieldDescriptor* field, Message* message) {
  message->GetReflection()->SetEnumValue(
      message, field, NumberNamed(field->enum_type(), ToString(value)));
}

template <typename T>
void Set(const std::optional<T>& value, const FieldDescriptor* field,
         Message* message) {
  if (value) Set(*value, field, message);
}

void Set(const std::vector<double>& values, const FieldDescriptor* field,
         Message* message) {
  for (const double value : values) {
    message->GetReflection()->AddDouble(message, field, value);
  }
}

// A function stays here; only whether there is one travels, or not even that.
template <typename Function>
void Set(const std::function<Function>& value, const FieldDescriptor* field,
         Message* message) {
  if (field != nullptr) Set(value != nullptr, field, message);
}

void Set(const std::map<grpc::StatusCode, ClassOverride>& overrides,
         const FieldDescriptor* field, Message* message) {
  for (const auto& [code, override] : overrides) {
    Message* added = message->GetReflection()->AddMessage(message, field);
    SetFields(override, added);
    static_cast<config::v1::ClassOverride*>(added)->set_code(code);
  }
}

void Set(const Fallback& fallback, const FieldDescriptor* field,
         Message* message) {
  if (fallback.function == nullptr) return;
  SetFields(fallback, message->GetReflection()->MutableMessage(message, field));
}

// The parts of a policy that are structs themselves, as messages of their own.
template <typename Part, std::enable_if_t<kIsPartOfAPolicy<Part>, bool> = true>
void Set(const Part& part, const FieldDescriptor* field, Message* message) {
  SetFields(part, message->GetReflection()->MutableMessage(message, field));
}

// The counterparts of a struct's fields, in the order of its table.
template <typename Options>
std::vector<const FieldDescriptor*> Counterparts(
    const Options& options, const google::protobuf::Descriptor* type) {
  std::vector<const FieldDescriptor*> fields;
  ForEachField(options, [&](const auto& field) {
    fields.push_back(type->FindFieldByName(
        field.name == "on_final_failure" ? "has_final_failure_hook"
        : field.name == "on_attempt"     ? "has_attempt_hook"
                                         : std::string(field.name)));
  });
  return fields;
}

template <typename Options>
void SetFields(const Options& options, Message* message) {
  // Looked up once: there is one type of message for each struct.
  static const auto& counterparts = *new std::vector<const FieldDescriptor*>(
      Counterparts(options, message->GetDescriptor()));
  auto counterpart = counterparts.begin();
  ForEachField(options, [&](const auto& field) {
    Set(field.value, *counterpart++, message);
  });
}

}  // namespace

int NumberNamed(const google::protobuf::EnumDescriptor* type,
                absl::string_view name) {
  const absl::string_view prefix =
      absl::StripSuffix(type->value(0)->name(), "UNSPECIFIED");
  const google::protobuf::EnumValueDescriptor* found =
      type->FindValueByName(absl::StrCat(prefix, name));
  return found != nullptr ? found->number() : 0;
}

config::v1::Policy ToMessage(const Policy& policy) {
  config::v1::Policy message;
  SetFields(policy, &message);
  return message;
}

config::v1::BreakerPolicy ToMessage(const BreakerOptions& options) {
  config::v1::BreakerPolicy message;
  SetFields(options, &message);
  return message;
}

config::v1::RetryBudget ToMessage(const RetryBudgetOptions& options) {
  config::v1::RetryBudget message;
  SetFields(options, &message);
  return message;
}

}  // namespace grpc_breaker::internal
