#include "grpc_breaker/config/policy_changes.h"

#include <map>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/reflection.h"
#include "grpc_breaker/config/policy_message.h"
#include "grpc_breaker/config/value_text.h"

namespace grpc_breaker::internal {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr char kUnset[] = "unset";

std::string TextOf(const Message& message);

std::string TextOf(const Message& message, const FieldDescriptor& field) {
  if (!IsSet(message, field)) return kUnset;
  const auto* reflection = message.GetReflection();
  const auto element = [&](int index) {
    if (!IsMessageWithFields(field)) return ValueText(message, field, index);
    return TextOf(index < 0
                      ? reflection->GetMessage(message, &field)
                      : reflection->GetRepeatedMessage(message, &field, index));
  };
  if (!field.is_repeated()) return element(-1);
  std::vector<std::string> elements;
  const int size = reflection->FieldSize(message, &field);
  elements.reserve(static_cast<size_t>(size));
  for (int i = 0; i < size; ++i) elements.push_back(element(i));
  return absl::StrCat("[", absl::StrJoin(elements, ", "), "]");
}

// "{code: ABORTED, retryable: true}"
std::string TextOf(const Message& message) {
  std::vector<std::string> fields;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    if (!IsSet(message, field)) continue;
    fields.push_back(
        absl::StrCat(std::string(field.name()), ": ", TextOf(message, field)));
  }
  return absl::StrCat("{", absl::StrJoin(fields, ", "), "}");
}

void AddChanges(const Message& from, const Message& to, const std::string& path,
                std::vector<FieldChange>* changes) {
  for (int i = 0; i < to.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *to.GetDescriptor()->field(i);
    const std::string name(field.name());
    // Whether there are hooks is not of policies as files have them.
    if (absl::StartsWith(name, "has_")) continue;
    if (IsMessageWithFields(field) && !field.is_repeated() &&
        IsSet(from, field) && IsSet(to, field)) {
      AddChanges(from.GetReflection()->GetMessage(from, &field),
                 to.GetReflection()->GetMessage(to, &field),
                 absl::StrCat(path, name, "."), changes);
      continue;
    }
    std::string before = TextOf(from, field);
    std::string after = TextOf(to, field);
    if (before == after) continue;
    changes->push_back(
        {absl::StrCat(path, name), std::move(before), std::move(after)});
  }
}

void AddChanges(const Policy& from, const Policy& to, const std::string& path,
                std::vector<FieldChange>* changes) {
  AddChanges(ToMessage(from), ToMessage(to), path, changes);
}

// Of the names that either has.
void AddChanges(const Policies& from, const Policies& to, const char* map_name,
                std::map<std::string, Policy> Policies::*map,
                std::vector<FieldChange>* changes) {
  std::set<std::string> names;
  for (const auto& [name, policy] : from.*map) names.insert(name);
  for (const auto& [name, policy] : to.*map) names.insert(name);
  for (const std::string& name : names) {
    AddChanges(from.PolicyFor(name), to.PolicyFor(name),
               absl::StrCat(map_name, "[", name, "]."), changes);
  }
}

}  // namespace

std::vector<FieldChange> Changes(const config::v1::Policy& from,
                                 const config::v1::Policy& to) {
  std::vector<FieldChange> changes;
  AddChanges(from, to, "", &changes);
  return changes;
}

std::vector<FieldChange> Changes(const Policies& from, const Policies& to) {
  std::vector<FieldChange> changes;
  AddChanges(from.default_policy, to.default_policy, "default_policy.",
             &changes);
  AddChanges(from, to, "services", &Policies::services, &changes);
  AddChanges(from, to, "methods", &Policies::methods, &changes);
  return changes;
}

}  // namespace grpc_breaker::internal
