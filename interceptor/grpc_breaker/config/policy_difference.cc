#include "grpc_breaker/config/policy_difference.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/message.h"
#include "google/protobuf/util/message_differencer.h"
#include "grpc_breaker/config/value_text.h"

namespace grpc_breaker::internal {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

bool IsEqual(const Message& a, const Message& b, const FieldDescriptor* field) {
  google::protobuf::util::MessageDifferencer differencer;
  return differencer.CompareWithFields(a, b, {field}, {field});
}

// Whether the field is a message of which each field is inherited by itself.
bool HasParts(const FieldDescriptor* field) {
  return !field->is_repeated() && IsMessageWithFields(*field);
}

// Clears what `message`, which is `policy` or the part of it that `path` leads
// to, has in common with `from`, and resets what only that has.
void KeepDifference(const Message& from, const std::string& path,
                    Message* message, config::v1::Policy* policy) {
  const auto* reflection = message->GetReflection();
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->field(i);
    const std::string name = absl::StrCat(path, field->name());
    if (absl::StartsWith(name, "has_") || IsEqual(from, *message, field)) {
      reflection->ClearField(message, field);
      continue;
    }
    if (IsSet(*message, *field) && IsSet(from, *field) && HasParts(field)) {
      Message* part = reflection->MutableMessage(message, field);
      KeepDifference(from.GetReflection()->GetMessage(from, field),
                     absl::StrCat(name, "."), part, policy);
      if (part->ByteSizeLong() == 0) reflection->ClearField(message, field);
      continue;
    }
    // What is in a list of messages would be merged with what there is.
    if (!IsSet(*message, *field) ||
        (field->is_repeated() && IsMessageWithFields(*field) &&
         IsSet(from, *field))) {
      policy->add_reset(name);
    }
  }
}

}  // namespace

config::v1::Policy Difference(const config::v1::Policy& from,
                              const config::v1::Policy& to) {
  config::v1::Policy difference = to;
  KeepDifference(from, "", &difference, &difference);
  return difference;
}

}  // namespace grpc_breaker::internal
