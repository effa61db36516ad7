#include "grpc_breaker/config_file/document_config.h"

#include <cmath>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/message.h"
#include "google/protobuf/reflection.h"
#include "grpc_breaker/base/nearest_name.h"
#include "grpc_breaker/config/field_violation.h"
#include "grpc_breaker/config/time_message.h"
#include "grpc_breaker/config/v1/policy.pb.h"
#include "grpc_breaker/config/value_text.h"

namespace grpc_breaker::internal {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Kind = DocumentNode::Kind;

// --- Scalars ---

bool IsScalar(const DocumentNode& node) {
  return node.kind != Kind::kSequence && node.kind != Kind::kMapping &&
         node.kind != Kind::kNull;
}

absl::string_view TakeDigits(absl::string_view* text) {
  size_t length = 0;
  while (length < text->size() && absl::ascii_isdigit((*text)[length])) {
    ++length;
  }
  const absl::string_view digits = text->substr(0, length);
  text->remove_prefix(length);
  return digits;
}

// A number of JSON, which is one of YAML as well. No other forms: YAML's
// versions do not agree on what 010 is.
bool IsNumber(absl::string_view text, bool* is_integer) {
  absl::ConsumePrefix(&text, "-");
  const absl::string_view whole = TakeDigits(&text);
  if (whole.empty() || (whole.size() > 1 && whole[0] == '0')) return false;
  *is_integer = text.empty();
  if (absl::ConsumePrefix(&text, ".") && TakeDigits(&text).empty()) {
    return false;
  }
  if (absl::ConsumePrefix(&text, "e") || absl::ConsumePrefix(&text, "E")) {
    if (!absl::ConsumePrefix(&text, "-")) absl::ConsumePrefix(&text, "+");
    if (TakeDigits(&text).empty()) return false;
  }
  return text.empty();
}

// For people: what there is instead of what there should be.
std::string Shown(const DocumentNode& node) {
  switch (node.kind) {
    case Kind::kNull:
      return "null";
    case Kind::kSequence:
      return "a list";
    case Kind::kMapping:
      return "a mapping";
    case Kind::kBool:
    case Kind::kNumber:
      return node.text;
    case Kind::kPlain:
    case Kind::kText:
      break;
  }
  constexpr size_t kShown = 80;
  std::string text = node.text;
  if (text.size() > kShown) {
    size_t length = kShown;
    // Not within a character.
    while (length > 0 && (text[length] & 0xC0) == 0x80) --length;
    text = absl::StrCat(text.substr(0, length), "...");
  }
  return absl::StrCat("\"", absl::Utf8SafeCEscape(text), "\"");
}

// What is wrong is an error of the node: the empty string if nothing is.

std::string ParseBool(const DocumentNode& node, bool* value) {
  const bool has_type = node.kind == Kind::kBool || node.kind == Kind::kPlain;
  if (has_type && (node.text == "true" || node.text == "false")) {
    *value = node.text == "true";
    return "";
  }
  return absl::StrCat("must be true or false, got ", Shown(node));
}

template <typename Integer>
std::string ParseInteger(const DocumentNode& node, Integer* value) {
  bool is_integer = false;
  // In quotes as well: so JSON's mapping of protocol buffers has large ones.
  if (IsScalar(node) && node.kind != Kind::kBool &&
      IsNumber(node.text, &is_integer) && is_integer) {
    if (absl::SimpleAtoi(node.text, value)) return "";
    return absl::StrCat("must be an integer of ", sizeof(Integer) * 8,
                        " bits, got ", Shown(node));
  }
  return absl::StrCat("must be an integer, got ", Shown(node));
}

std::string ParseDouble(const DocumentNode& node, double* value) {
  bool is_integer = false;
  if (IsScalar(node) && node.kind != Kind::kBool &&
      IsNumber(node.text, &is_integer) && absl::SimpleAtod(node.text, value) &&
      std::isfinite(*value)) {
    return "";
  }
  return absl::StrCat("must be a number, got ", Shown(node));
}

std::string ParseText(const DocumentNode& node, std::string* value) {
  if (node.kind == Kind::kText || node.kind == Kind::kPlain) {
    *value = node.text;
    return "";
  }
  return absl::StrCat("must be text, got ", Shown(node));
}

std::string ParseDuration(const DocumentNode& node,
                          google::protobuf::Duration* value) {
  absl::Duration duration;
  if (!IsScalar(node) || !absl::ParseDuration(node.text, &duration)) {
    return absl::StrCat(
        "must be a duration such as \"1.5s\" or \"250ms\", got ", Shown(node));
  }
  *value = ToMessage(duration);
  const std::optional<absl::Duration> kept = FromMessage(*value);
  if (kept != duration) {
    return absl::StrCat(
        "must be a whole number of nanoseconds in 10,000 years, got ",
        Shown(node));
  }
  return "";
}

std::string ParseEnum(const DocumentNode& node, const EnumDescriptor& type,
                      int* number) {
  // Only these have numbers that people know.
  const bool has_known_numbers = &type == config::v1::StatusCode_descriptor();
  const std::string prefix = PrefixOf(type);
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) {
    const EnumValueDescriptor& value = *type.value(i);
    // UNSPECIFIED is what is not said.
    if (value.number() == 0 && !has_known_numbers) continue;
    names.emplace_back(absl::StripPrefix(std::string(value.name()), prefix));
  }
  const std::string what =
      has_known_numbers ? "the name or number of a status code" : "a name";
  if (has_known_numbers && ParseInteger(node, number).empty()) {
    if (type.FindValueByNumber(*number) != nullptr) return "";
    return absl::StrCat("must be ", what, ", from 0 to 16, got ", Shown(node));
  }
  if (node.kind != Kind::kText && node.kind != Kind::kPlain) {
    return absl::StrCat("must be ", what, " such as ", names.back(), ", got ",
                        Shown(node));
  }
  const std::string name(absl::StripPrefix(node.text, prefix));
  for (const std::string& known : names) {
    if (name != known) continue;
    *number = type.FindValueByName(absl::StrCat(prefix, name))->number();
    return "";
  }
  return absl::StrCat("must be ", what, ", got ", Shown(node),
                      NearestNameHint(absl::AsciiStrToUpper(name), names));
}

// --- Messages ---

// The policy that is being read: where null and the empty list go.
struct PolicyBeingRead {
  config::v1::Policy* message;
  std::string path;
};

class Reader {
 public:
  explicit Reader(ParsedConfig* parsed) : parsed_(*parsed) {}

  void Read(const DocumentNode& node, const std::string& path, Message* message,
            const PolicyBeingRead* policy) {
    if (node.kind != Kind::kMapping) {
      return Complain(
          node, path,
          absl::StrCat("must be a mapping of fields, got ", Shown(node)));
    }
    std::set<const FieldDescriptor*> seen;
    for (const DocumentNode& child : node.children) {
      const FieldDescriptor* field = FieldNamed(child, path, *message);
      if (field == nullptr) continue;
      const std::string field_path = FieldPath(path, field->name());
      if (!seen.insert(field).second) {
        Complain(child, field_path,
                 absl::StrCat("must be there once; it was on line ",
                              parsed_.lines[field_path]));
        continue;
      }
      parsed_.lines[field_path] = child.line;
      ReadField(child, *field, field_path, message, policy);
    }
  }

 private:
  void Complain(const DocumentNode& node, std::string path,
                std::string description) {
    parsed_.errors.push_back(
        {node.line, std::move(path), std::move(description)});
  }

  // As it is called in the message or in JSON; null if there is none.
  const FieldDescriptor* FieldNamed(const DocumentNode& node,
                                    const std::string& path,
                                    const Message& message) {
    const Descriptor& type = *message.GetDescriptor();
    std::vector<std::string> names;
    bool camel_case = false;
    for (const char c : node.key) camel_case |= absl::ascii_isupper(c);
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor* field = type.field(i);
      if (node.key == field->name() || node.key == field->json_name()) {
        return field;
      }
      names.emplace_back(camel_case ? field->json_name() : field->name());
    }
    DocumentNode key;
    key.kind = Kind::kText;
    key.text = node.key;
    Complain(node, path,
             absl::StrCat("has no field ", Shown(key),
                          NearestNameHint(node.key, names)));
    return nullptr;
  }

  void ReadField(const DocumentNode& node, const FieldDescriptor& field,
                 const std::string& path, Message* message,
                 const PolicyBeingRead* policy) {
    if (node.kind == Kind::kNull) return Reset(node, path, policy, true);
    if (field.is_map()) return ReadMap(node, field, path, message);
    if (field.is_repeated()) {
      if (node.kind != Kind::kSequence) {
        return Complain(node, path,
                        absl::StrCat("must be a list, got ", Shown(node)));
      }
      // None, instead of those that are inherited: there are none by default.
      // That of `reset` itself is empty anyway.
      if (node.children.empty() && field.name() != "reset") {
        return Reset(node, path, policy, false);
      }
      int i = 0;
      for (const DocumentNode& child : node.children) {
        const std::string element = absl::StrCat(path, "[", i++, "]");
        parsed_.lines[element] = child.line;
        // Elements have no names by which they could be reset.
        ReadValue(child, field, element, message, nullptr);
      }
      return;
    }
    ReadValue(node, field, path, message, policy);
  }

  void ReadMap(const DocumentNode& node, const FieldDescriptor& field,
               const std::string& path, Message* message) {
    if (node.kind != Kind::kMapping) {
      return Complain(
          node, path,
          absl::StrCat("must be a mapping of names, got ", Shown(node)));
    }
    auto& policies = field.name() == "services"
                         ? *parsed_.message.mutable_services()
                         : *parsed_.message.mutable_methods();
    static_cast<void>(message);
    for (const DocumentNode& child : node.children) {
      const std::string element = absl::StrCat(path, "[", child.key, "]");
      const auto [line, is_new] = parsed_.lines.emplace(element, child.line);
      if (!is_new) {
        Complain(
            child, element,
            absl::StrCat("must be there once; it was on line ", line->second));
        continue;
      }
      ReadPolicy(child, element, &policies[child.key]);
    }
  }

  void ReadPolicy(const DocumentNode& node, const std::string& path,
                  config::v1::Policy* message) {
    const PolicyBeingRead policy{message, path};
    Read(node, path, message, &policy);
  }

  // Makes the field of a policy what it is by default.
  void Reset(const DocumentNode& node, const std::string& path,
             const PolicyBeingRead* policy, bool is_null) {
    if (policy == nullptr) {
      return Complain(
          node, path,
          absl::StrCat("must not be ", is_null ? "null" : "an empty list",
                       ": only a field of a policy can be reset"));
    }
    parsed_.lines[absl::StrCat(policy->path, ".reset[",
                               policy->message->reset_size(), "]")] = node.line;
    policy->message->add_reset(path.substr(policy->path.size() + 1));
  }

  // One value of a field, repeated or not.
  void ReadValue(const DocumentNode& node, const FieldDescriptor& field,
                 const std::string& path, Message* message,
                 const PolicyBeingRead* policy) {
    const Reflection& reflection = *message->GetReflection();
    const bool repeated = field.is_repeated();
    std::string complaint;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_BOOL: {
        bool value = false;
        complaint = ParseBool(node, &value);
        if (complaint.empty()) reflection.SetBool(message, &field, value);
        break;
      }
      case FieldDescriptor::CPPTYPE_INT32: {
        int32_t value = 0;
        complaint = ParseInteger(node, &value);
        if (complaint.empty()) reflection.SetInt32(message, &field, value);
        break;
      }
      case FieldDescriptor::CPPTYPE_INT64: {
        int64_t value = 0;
        complaint = ParseInteger(node, &value);
        if (complaint.empty()) reflection.SetInt64(message, &field, value);
        break;
      }
      case FieldDescriptor::CPPTYPE_DOUBLE: {
        double value = 0;
        complaint = ParseDouble(node, &value);
        if (!complaint.empty()) break;
        if (repeated) {
          reflection.AddDouble(message, &field, value);
        } else {
          reflection.SetDouble(message, &field, value);
        }
        break;
      }
      case FieldDescriptor::CPPTYPE_STRING: {
        std::string value;
        complaint = ParseText(node, &value);
        if (!complaint.empty()) break;
        if (repeated) {
          reflection.AddString(message, &field, std::move(value));
        } else {
          reflection.SetString(message, &field, std::move(value));
        }
        break;
      }
      case FieldDescriptor::CPPTYPE_ENUM: {
        int value = 0;
        complaint = ParseEnum(node, *field.enum_type(), &value);
        if (complaint.empty()) reflection.SetEnumValue(message, &field, value);
        break;
      }
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        if (field.message_type() == google::protobuf::Duration::descriptor()) {
          google::protobuf::Duration value;
          complaint = ParseDuration(node, &value);
          if (complaint.empty()) {
            reflection.MutableMessage(message, &field)->CopyFrom(value);
          }
          break;
        }
        Message* part = repeated ? reflection.AddMessage(message, &field)
                                 : reflection.MutableMessage(message, &field);
        if (field.message_type() == config::v1::Policy::descriptor()) {
          return ReadPolicy(node, path, static_cast<config::v1::Policy*>(part));
        }
        return Read(node, path, part, policy);
      }
      default:
        complaint = "must not be there: no file can set it";
    }
    if (!complaint.empty()) Complain(node, path, std::move(complaint));
  }

  ParsedConfig& parsed_;
};

}  // namespace

ParsedConfig ReadConfig(const DocumentNode& root) {
  ParsedConfig parsed;
  Reader(&parsed).Read(root, "", &parsed.message, nullptr);
  return parsed;
}

}  // namespace grpc_breaker::internal
