#include "tools/breakerctl/json.h"

#include <cstddef>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/wrappers.pb.h"

namespace grpc_breaker::breakerctl {
namespace {

// Prints zeros, too. The option has this name since Protobuf 26, and the one
// below before.
template <typename Options>
auto PrintZeros(Options* options, int /*preferred*/)
    -> decltype(options->always_print_fields_with_no_presence, void()) {
  options->always_print_fields_with_no_presence = true;
}
template <typename Options>
void PrintZeros(Options* options, long /*otherwise*/) {
  options->always_print_primitive_fields = true;
}

// The JSON names of the 64-bit integers in a message and in its parts.
void AddWideFields(const google::protobuf::Descriptor& type,
                   absl::flat_hash_set<std::string>* names) {
  using Field = google::protobuf::FieldDescriptor;
  for (int i = 0; i < type.field_count(); ++i) {
    const Field& field = *type.field(i);
    if (field.cpp_type() == Field::CPPTYPE_INT64 ||
        field.cpp_type() == Field::CPPTYPE_UINT64) {
      names->emplace(field.json_name());
    } else if (field.message_type() != nullptr &&
               // Those of protobuf's own have forms of their own.
               field.message_type()->file()->package() != "google.protobuf") {
      AddWideFields(*field.message_type(), names);
    }
  }
}

}  // namespace

absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message,
                                   bool on_one_line) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = !on_one_line;
  PrintZeros(&options, 0);
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(message, &json, options)
           .ok()) {
    return absl::InternalError("the answer cannot be written as JSON");
  }
  json = WithNumbers(json, *message.GetDescriptor());
  if (on_one_line) json += '\n';
  return json;
}

std::string JsonString(absl::string_view text) {
  google::protobuf::StringValue value;
  value.set_value(std::string(text));
  std::string json;
  return google::protobuf::util::MessageToJsonString(value, &json).ok()
             ? json
             : "\"\"";
}

std::string WithNumbers(absl::string_view json,
                        const google::protobuf::Descriptor& type) {
  absl::flat_hash_set<std::string> wide;
  AddWideFields(type, &wide);
  std::string result;
  bool is_wide = false;  // The value that comes is of such a field.
  while (!json.empty()) {
    if (json[0] != '"') {
      is_wide = is_wide && (json[0] == ':' || absl::ascii_isspace(json[0]));
      result += json[0];
      json.remove_prefix(1);
      continue;
    }
    size_t end = 1;
    while (json[end] != '"') end += json[end] == '\\' ? 2 : 1;
    const absl::string_view text = json.substr(1, end - 1);
    json.remove_prefix(end + 1);
    if (is_wide) {
      result.append(text.begin(), text.end());
    } else {
      absl::StrAppend(&result, "\"", text, "\"");
    }
    is_wide = !is_wide && wide.contains(text) &&
              absl::StartsWith(absl::StripLeadingAsciiWhitespace(json), ":");
  }
  return result;
}

}  // namespace grpc_breaker::breakerctl
