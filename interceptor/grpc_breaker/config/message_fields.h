#ifndef GRPC_BREAKER_CONFIG_MESSAGE_FIELDS_H_
#define GRPC_BREAKER_CONFIG_MESSAGE_FIELDS_H_

// The fields of a struct of options beside those of its message, which have the
// same names: what is done to all of them goes through the table of the struct
// (base/option_fields.h), so that a new one cannot be forgotten.
//
// Thread-safe: pure functions over values.

#include <string>
#include <type_traits>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "grpc_breaker/registry/policy_fields.h"

namespace grpc_breaker::internal {

// Structs within a policy that are messages within its message.
template <typename T>
inline constexpr bool kIsPartOfAPolicy =
    std::is_same_v<T, RetryOptions> || std::is_same_v<T, HedgingOptions> ||
    std::is_same_v<T, StreamRetryOptions> || std::is_same_v<T, BreakerOptions>;

// The counterparts of a struct's fields, in the order of its table; null where
// the message has none.
template <typename Options>
const std::vector<const google::protobuf::FieldDescriptor*>& Counterparts(
    const google::protobuf::Descriptor* type) {
  // Looked up once: there is one type of message for each struct.
  static const auto& counterparts =
      *new std::vector<const google::protobuf::FieldDescriptor*>([type] {
        std::vector<const google::protobuf::FieldDescriptor*> fields;
        const Options options;
        ForEachField(options, [&](const auto& field) {
          fields.push_back(type->FindFieldByName(std::string(field.name)));
        });
        return fields;
      }());
  return counterparts;
}

// The field that shows whether there is a hook, beside the one that names it.
inline const google::protobuf::FieldDescriptor* ShownHook(
    const google::protobuf::FieldDescriptor& name) {
  return name.containing_type()->FindFieldByName(
      name.name() == "on_attempt" ? "has_attempt_hook"
                                  : "has_final_failure_hook");
}

// Calls visit(field, counterpart) for each field of the table.
template <typename Options, typename Visit>
void ForEachCounterpart(Options& options,
                        const google::protobuf::Descriptor* type, Visit visit) {
  auto counterpart = Counterparts<std::remove_const_t<Options>>(type).begin();
  ForEachField(options,
               [&](const auto& field) { visit(field, *counterpart++); });
}

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_CONFIG_MESSAGE_FIELDS_H_
