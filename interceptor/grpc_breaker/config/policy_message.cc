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
#include "grpc_breaker/config/message_fields.h"
#include "grpc_breaker/config/time_message.h"

namespace grpc_breaker::internal {
namespace {

// --- Options as messages ---
//
// The fields of a message have the names of those of the struct, so that the
// table of these says what is set. Set() is told of each field of a struct and
// its counterpart, which is null where the message has none.

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

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
  if (field != nullptr) Set(value != nullptr, ShownHook(*field), message);
}

void Set(const std::map<grpc::StatusCode, ClassOverride>& overrides,
         const FieldDescriptor* field, Message* message) {
  for (const auto& [code, override] : overrides) {
    Message* added = message->GetReflection()->AddMessage(message, field);
    SetFields(override, added);
    static_cast<config::v1::ClassOverride*>(added)->set_code(
        static_cast<config::v1::StatusCode>(code));
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

template <typename Options>
void SetFields(const Options& options, Message* message) {
  ForEachCounterpart(
      options, message->GetDescriptor(),
      [&](const auto& field, const FieldDescriptor* counterpart) {
        Set(field.value, counterpart, message);
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
