#include "grpc_breaker/config_file/text_config.h"

#include <cstdint>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/message.h"
#include "google/protobuf/reflection.h"
#include "google/protobuf/text_format.h"
#include "grpc_breaker/base/nearest_name.h"
#include "grpc_breaker/config/value_text.h"

namespace grpc_breaker::internal {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::TextFormat;

std::string NearestOf(const std::string& name,
                      const std::vector<std::string>& names) {
  return absl::StrCat(" The nearest is ", NearestName(name, names), ".");
}

// Of whatever field is called so and has an enumeration; null: there is none.
const EnumDescriptor* EnumOfField(const Descriptor* type,
                                  const std::string& field,
                                  std::set<const Descriptor*>* seen) {
  if (!seen->insert(type).second) return nullptr;
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* candidate = type->field(i);
    if (candidate->enum_type() != nullptr && candidate->name() == field) {
      return candidate->enum_type();
    }
    if (candidate->message_type() == nullptr) continue;
    const EnumDescriptor* found =
        EnumOfField(candidate->message_type(), field, seen);
    if (found != nullptr) return found;
  }
  return nullptr;
}

// Where the parser says "Unknown enumeration value of "X" for field "y".": what
// it does not say. Empty if it says so otherwise.
std::string NearestValue(absl::string_view message) {
  if (!absl::StartsWith(message, "Unknown enumeration value")) return "";
  const std::vector<std::string> quoted = absl::StrSplit(message, '"');
  if (quoted.size() < 4) return "";
  std::set<const Descriptor*> seen;
  const EnumDescriptor* type =
      EnumOfField(config::v1::Config::descriptor(), quoted[3], &seen);
  if (type == nullptr) return "";
  std::vector<std::string> names;
  names.reserve(static_cast<size_t>(type->value_count()));
  for (int i = 0; i < type->value_count(); ++i) {
    names.emplace_back(type->value(i)->name());
  }
  // JSON and YAML do without what they all begin with.
  const std::string prefix = PrefixOf(*type);
  return NearestOf(absl::StartsWith(quoted[1], prefix)
                       ? quoted[1]
                       : absl::StrCat(prefix, quoted[1]),
                   names);
}

// Where the parser says "... type "a.b.C" has no field named "x".": what it
// does not say. Empty if it says so otherwise.
std::string NearestField(absl::string_view message) {
  const std::vector<std::string> quoted = absl::StrSplit(message, '"');
  if (quoted.size() < 4) return "";
  const Descriptor* type =
      config::v1::Config::descriptor()->file()->pool()->FindMessageTypeByName(
          quoted[1]);
  if (type == nullptr || type->FindFieldByName(quoted[3]) != nullptr) return "";
  std::vector<std::string> names;
  names.reserve(static_cast<size_t>(type->field_count()));
  for (int i = 0; i < type->field_count(); ++i) {
    names.emplace_back(type->field(i)->name());
  }
  return NearestOf(quoted[3], names);
}

// The first has the name that it has in newer versions of Protobuf, the second
// that of older ones.
class Errors final : public google::protobuf::io::ErrorCollector {
 public:
  explicit Errors(std::vector<FileError>* errors) : errors_(*errors) {}

  // NOLINTBEGIN(modernize-use-override): which of them does is Protobuf's.
  void RecordError(int line, int /*column*/, absl::string_view message) {
    errors_.push_back(
        {line + 1, "",
         absl::StrCat(message, NearestField(message), NearestValue(message))});
  }
  void AddError(int line, int column, const std::string& message) {
    RecordError(line, column, message);
  }
  // NOLINTEND(modernize-use-override)

 private:
  std::vector<FileError>& errors_;
};

template <typename Tree, typename = void>
inline constexpr bool kHasFieldLocations = false;
template <typename Tree>
inline constexpr bool kHasFieldLocations<
    Tree, std::void_t<decltype(std::declval<const Tree&>().GetFieldLocation(
              std::declval<const FieldDescriptor*>()))>> = true;

// Of the occurrence `index` of a field, or -1 for one that is not repeated; 0
// if it is not known. Newer versions of Protobuf call deprecated what 3.21 has.
template <typename Tree>
int LineOf(const Tree& tree, const FieldDescriptor* field, int index) {
  if constexpr (kHasFieldLocations<Tree>) {
    const auto location =
        index < 0 ? tree.GetFieldLocation(field)
                  : tree.GetFieldLocation(field, static_cast<uint32_t>(index));
    return location.ok() ? location->full.start.line + 1 : 0;
  } else {
    return tree.GetLocation(field, index).line + 1;
  }
}

// Notes the lines of all fields of a message; names that are there twice, which
// the parser lets pass, are errors.
class Locator {
 public:
  explicit Locator(ParsedConfig* parsed) : parsed_(*parsed) {}

  void Visit(const Message& message, const TextFormat::ParseInfoTree& tree,
             const std::string& path) {
    std::vector<const FieldDescriptor*> fields;
    message.GetReflection()->ListFields(message, &fields);
    for (const FieldDescriptor* field : fields) {
      const std::string field_path =
          absl::StrCat(path, path.empty() ? "" : ".", field->name());
      if (!field->is_repeated()) {
        parsed_.lines[field_path] = LineOf(tree, field, -1);
        const auto* part = PartOf(tree, field, -1);
        if (part != nullptr) {
          Visit(message.GetReflection()->GetMessage(message, field), *part,
                field_path);
        }
        continue;
      }
      parsed_.lines[field_path] = LineOf(tree, field, 0);
      const int size = message.GetReflection()->FieldSize(message, field);
      for (int i = 0; i < size; ++i) {
        VisitElement(message, field, i, tree, field_path);
      }
    }
  }

 private:
  static const TextFormat::ParseInfoTree* PartOf(
      const TextFormat::ParseInfoTree& tree, const FieldDescriptor* field,
      int index) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return nullptr;
    return tree.GetTreeForNested(field, index);
  }

  // Entries of maps are still in the order of the text.
  void VisitElement(const Message& message, const FieldDescriptor* field, int i,
                    const TextFormat::ParseInfoTree& tree,
                    const std::string& path) {
    const int line = LineOf(tree, field, i);
    const auto* part = PartOf(tree, field, i);
    if (!field->is_map()) {
      const std::string element_path = absl::StrCat(path, "[", i, "]");
      parsed_.lines[element_path] = line;
      if (part != nullptr) {
        Visit(message.GetReflection()->GetRepeatedMessage(message, field, i),
              *part, element_path);
      }
      return;
    }
    const Message& entry =
        message.GetReflection()->GetRepeatedMessage(message, field, i);
    const Reflection& reflection = *entry.GetReflection();
    const FieldDescriptor* key = field->message_type()->map_key();
    const FieldDescriptor* value = field->message_type()->map_value();
    const std::string element_path =
        absl::StrCat(path, "[", reflection.GetString(entry, key), "]");
    const auto [known, is_new] = parsed_.lines.emplace(element_path, line);
    if (!is_new) {
      parsed_.errors.push_back(
          {line, element_path,
           absl::StrCat("must be there once; it was on line ", known->second)});
      return;
    }
    const auto* value_part =
        part == nullptr ? nullptr : PartOf(*part, value, -1);
    if (value_part != nullptr) {
      Visit(reflection.GetMessage(entry, value), *value_part, element_path);
    }
  }

  ParsedConfig& parsed_;
};

}  // namespace

ParsedConfig ParseTextConfig(absl::string_view text) {
  ParsedConfig parsed;
  Errors errors(&parsed.errors);
  TextFormat::ParseInfoTree tree;
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  parser.WriteLocationsTo(&tree);
  parser.SetRecursionLimit(kMaxDepth);
  const bool parses =
      parser.ParseFromString(std::string(text), &parsed.message);
  if (parsed.errors.empty() && !parses) {
    parsed.errors.push_back({0, "", "must be a message in text format"});
  }
  if (parsed.errors.empty()) Locator(&parsed).Visit(parsed.message, tree, "");
  return parsed;
}

}  // namespace grpc_breaker::internal
