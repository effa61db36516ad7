#ifndef GRPC_BREAKER_CONFIG_POLICY_MESSAGE_H_
#define GRPC_BREAKER_CONFIG_POLICY_MESSAGE_H_

// Policies, and what they are made of, as the messages of
// grpc_breaker.config.v1.
//
// Thread-safe: pure functions over values.

#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/generated_enum_reflection.h"
#include "grpc_breaker/config/v1/policy.pb.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/policy.h"

namespace grpc_breaker::internal {

GRPC_BREAKER_EXPORT config::v1::Policy ToMessage(const Policy& policy);
GRPC_BREAKER_EXPORT config::v1::BreakerPolicy ToMessage(
    const BreakerOptions& options);
GRPC_BREAKER_EXPORT config::v1::RetryBudget ToMessage(
    const RetryBudgetOptions& options);

// The number of the enumerator that has this name after the prefix of its enum;
// UNSPECIFIED, which is 0, if there is none.
GRPC_BREAKER_EXPORT int NumberNamed(
    const google::protobuf::EnumDescriptor* type, absl::string_view name);

// The counterpart of an enumerator of the library's own.
template <typename MessageEnum, typename Enum>
MessageEnum Named(Enum value) {
  return static_cast<MessageEnum>(NumberNamed(
      google::protobuf::GetEnumDescriptor<MessageEnum>(), ToString(value)));
}

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_CONFIG_POLICY_MESSAGE_H_
