#include "grpc_breaker/config_file/config_document.h"

#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/message.h"
#include "google/protobuf/reflection.h"
#include "grpc_breaker/config/value_text.h"

namespace grpc_breaker::internal {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Kind = DocumentNode::Kind;

DocumentNode MessageNode(const Message& message);

Kind KindOf(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return Kind::kBool;
    case FieldDescriptor::CPPTYPE_STRING:
      return Kind::kText;
    case FieldDescriptor::CPPTYPE_ENUM:
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return Kind::kPlain;
    default:
      return Kind::kNumber;
  }
}

// One value of a field; `index` is that of an element, or -1.
DocumentNode ValueNode(const Message& message, const FieldDescriptor& field,
                       int index) {
  if (IsMessageWithFields(field)) {
    const auto* reflection = message.GetReflection();
    return MessageNode(
        index < 0 ? reflection->GetMessage(message, &field)
                  : reflection->GetRepeatedMessage(message, &field, index));
  }
  DocumentNode node;
  node.kind = KindOf(field);
  node.text = ValueText(message, field, index);
  return node;
}

DocumentNode ListNode(const Message& message, const FieldDescriptor& field) {
  DocumentNode list;
  list.kind = Kind::kSequence;
  const int size = message.GetReflection()->FieldSize(message, &field);
  for (int i = 0; i < size; ++i) {
    list.children.push_back(ValueNode(message, field, i));
  }
  return list;
}

DocumentNode MapNode(
    const google::protobuf::Map<std::string, config::v1::Policy>& policies) {
  DocumentNode mapping;
  mapping.kind = Kind::kMapping;
  const std::map<std::string, config::v1::Policy> sorted(policies.begin(),
                                                         policies.end());
  for (const auto& [name, policy] : sorted) {
    mapping.children.push_back(MessageNode(policy));
    mapping.children.back().key = name;
  }
  return mapping;
}

DocumentNode FieldNode(const Message& message, const FieldDescriptor& field) {
  if (field.is_map()) {
    const auto& config = static_cast<const config::v1::Config&>(message);
    return MapNode(field.name() == "services" ? config.services()
                                              : config.methods());
  }
  return field.is_repeated() ? ListNode(message, field)
                             : ValueNode(message, field, -1);
}

DocumentNode MessageNode(const Message& message) {
  DocumentNode mapping;
  mapping.kind = Kind::kMapping;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    if (!IsSet(message, field)) continue;
    mapping.children.push_back(FieldNode(message, field));
    mapping.children.back().key = std::string(field.name());
  }
  return mapping;
}

}  // namespace

DocumentNode ToDocument(const config::v1::Config& message) {
  return MessageNode(message);
}

}  // namespace grpc_breaker::internal
