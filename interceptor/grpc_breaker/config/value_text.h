#ifndef GRPC_BREAKER_CONFIG_VALUE_TEXT_H_
#define GRPC_BREAKER_CONFIG_VALUE_TEXT_H_

// Values of the messages of grpc_breaker.config.v1 as people write them.
//
// Thread-safe: pure functions over values.

#include <string>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

// A list is, if it has elements.
GRPC_BREAKER_EXPORT bool IsSet(const google::protobuf::Message& message,
                               const google::protobuf::FieldDescriptor& field);

// Whether the field is a message, or a list of such, that is not written as one
// value.
GRPC_BREAKER_EXPORT bool IsMessageWithFields(
    const google::protobuf::FieldDescriptor& field);

// What the names of its values begin with: "JITTER_".
GRPC_BREAKER_EXPORT std::string PrefixOf(
    const google::protobuf::EnumDescriptor& type);

// "1.5s", "FULL", "0.25", ...: the value of a field that is none of those, or
// its element at `index` if that is not negative.
GRPC_BREAKER_EXPORT std::string ValueText(
    const google::protobuf::Message& message,
    const google::protobuf::FieldDescriptor& field, int index = -1);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_CONFIG_VALUE_TEXT_H_
