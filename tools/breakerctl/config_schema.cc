#include "tools/breakerctl/config_schema.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/duration.pb.h"
#include "grpc_breaker/config/v1/config.pb.h"
#include "grpc_breaker/config/value_text.h"

namespace grpc_breaker::breakerctl {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Struct;
using google::protobuf::Value;

Value Text(std::string text) {
  Value value;
  value.set_string_value(std::move(text));
  return value;
}

Value Bool(bool truth) {
  Value value;
  value.set_bool_value(truth);
  return value;
}

Value Number(double number) {
  Value value;
  value.set_number_value(number);
  return value;
}

Value List(const std::vector<Value>& values) {
  Value list;
  list.mutable_list_value();
  for (const Value& value : values)
    *list.mutable_list_value()->add_values() = value;
  return list;
}

Value Object(const std::vector<std::pair<std::string, Value>>& fields) {
  Value object;
  auto& map = *object.mutable_struct_value()->mutable_fields();
  for (const auto& [name, value] : fields) map[name] = value;
  return object;
}

Value OfType(const char* type) { return Object({{"type", Text(type)}}); }

Value OfDefinition(const Descriptor& type) {
  return Object({{"$ref", Text(absl::StrCat("#/definitions/",
                                            std::string(type.name())))}});
}

// With and without their prefix. UNSPECIFIED is what is not said.
Value OfEnum(const EnumDescriptor& type) {
  const bool has_known_numbers = &type == config::v1::StatusCode_descriptor();
  std::vector<Value> values;
  for (int i = 0; i < type.value_count(); ++i) {
    const auto& value = *type.value(i);
    if (value.number() == 0 && !has_known_numbers) continue;
    const std::string name(value.name());
    values.push_back(
        Text(std::string(absl::StripPrefix(name, internal::PrefixOf(type)))));
    values.push_back(Text(name));
    if (has_known_numbers) values.push_back(Number(value.number()));
  }
  return Object({{"enum", List(values)}});
}

Value OfValue(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return OfType("boolean");
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
      return OfType("integer");
    case FieldDescriptor::CPPTYPE_ENUM:
      return OfEnum(*field.enum_type());
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
    case FieldDescriptor::CPPTYPE_STRING:
      return OfType("string");
    default:
      return OfType("number");
  }
  if (field.message_type() == google::protobuf::Duration::descriptor()) {
    return Object(
        {{"type", Text("string")},
         {"pattern", Text(R"(^(0|inf|([0-9]*\.?[0-9]+(ns|us|ms|s|m|h))+)$)")}});
  }
  return OfDefinition(*field.message_type());
}

Value OfField(const FieldDescriptor& field) {
  if (field.is_map()) {
    const char* const pattern =
        field.name() == "services" ? "^/[^/]+/$" : "^/[^/]+/[^/]+$";
    return Object({{"type", Text("object")},
                   {"propertyNames", Object({{"pattern", Text(pattern)}})},
                   {"additionalProperties",
                    OfDefinition(*config::v1::Policy::descriptor())}});
  }
  if (!field.is_repeated()) return OfValue(field);
  return Object({{"type", Text("array")}, {"items", OfValue(field)}});
}

Value OrNull(Value schema) {
  return Object({{"anyOf", List({std::move(schema), OfType("null")})}});
}

// `fields_may_be_null`: that is how a policy's are as they are by default.
Value OfMessage(const Descriptor& type, bool fields_may_be_null) {
  std::vector<std::pair<std::string, Value>> properties;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const std::string name(field.name());
    if (absl::StartsWith(name, "has_")) continue;  // Only shown.
    Value schema = OfField(field);
    properties.emplace_back(
        name, fields_may_be_null ? OrNull(std::move(schema)) : schema);
  }
  return Object({{"type", Text("object")},
                 {"additionalProperties", Bool(false)},
                 {"properties", Object(properties)}});
}

}  // namespace

Struct ConfigSchema() {
  namespace v1 = config::v1;
  std::vector<std::pair<std::string, Value>> definitions;
  for (const Descriptor* type :
       {v1::Policy::descriptor(), v1::RetryPolicy::descriptor(),
        v1::BreakerPolicy::descriptor(), v1::FallbackPolicy::descriptor(),
        v1::HedgingPolicy::descriptor(), v1::StreamRetryPolicy::descriptor()}) {
    definitions.emplace_back(std::string(type->name()), OfMessage(*type, true));
  }
  for (const Descriptor* type :
       {v1::ClassOverride::descriptor(), v1::RetryBudget::descriptor()}) {
    definitions.emplace_back(std::string(type->name()),
                             OfMessage(*type, false));
  }
  Struct schema = OfMessage(*v1::Config::descriptor(), false).struct_value();
  auto& fields = *schema.mutable_fields();
  fields["$schema"] = Text("http://json-schema.org/draft-07/schema#");
  fields["title"] = Text("Configuration of grpc_breaker");
  fields["definitions"] = Object(definitions);
  return schema;
}

}  // namespace grpc_breaker::breakerctl
