#include "grpc_breaker/config/value_text.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/reflection.h"
#include "google/protobuf/text_format.h"
#include "grpc_breaker/config/time_message.h"

namespace grpc_breaker::internal {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string EnumText(const EnumDescriptor& type, int number) {
  const auto* value = type.FindValueByNumber(number);
  return value == nullptr ? absl::StrCat(number)
                          : std::string(absl::StripPrefix(
                                std::string(value->name()), PrefixOf(type)));
}

// One that is none is shown by its fields.
std::string DurationText(const google::protobuf::Duration& message) {
  const std::optional<absl::Duration> duration = FromMessage(message);
  return duration
             ? absl::FormatDuration(*duration)
             : absl::StrCat(message.seconds(), "s ", message.nanos(), "ns");
}

}  // namespace

bool IsSet(const Message& message, const FieldDescriptor& field) {
  return field.is_repeated()
             ? message.GetReflection()->FieldSize(message, &field) > 0
             : message.GetReflection()->HasField(message, &field);
}

bool IsMessageWithFields(const FieldDescriptor& field) {
  return field.message_type() != nullptr &&
         field.message_type() != google::protobuf::Duration::descriptor();
}

std::string PrefixOf(const EnumDescriptor& type) {
  const std::string first(type.value(0)->name());
  return first.substr(0, first.rfind('_') + 1);
}

std::string ValueText(const Message& message, const FieldDescriptor& field,
                      int index) {
  const auto* reflection = message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumText(*field.enum_type(),
                      reflection->GetEnumValue(message, &field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return DurationText(static_cast<const google::protobuf::Duration&>(
          reflection->GetMessage(message, &field)));
    case FieldDescriptor::CPPTYPE_STRING:
      return index < 0 ? reflection->GetString(message, &field)
                       : reflection->GetRepeatedString(message, &field, index);
    default: {
      std::string text;
      google::protobuf::TextFormat::PrintFieldValueToString(message, &field,
                                                            index, &text);
      return text;
    }
  }
}

}  // namespace grpc_breaker::internal
