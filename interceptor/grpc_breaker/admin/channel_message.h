#ifndef GRPC_BREAKER_ADMIN_CHANNEL_MESSAGE_H_
#define GRPC_BREAKER_ADMIN_CHANNEL_MESSAGE_H_

// Channels as the messages that the admin service sends.
//
// Thread-safe: pure functions, over values that may change meanwhile.

#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/registry.h"

namespace grpc_breaker::internal {

// Without its policies.
admin::v1::Channel ToMessage(const Registry& registry);

void AddPolicies(const Registry& registry, admin::v1::Channel* message);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_ADMIN_CHANNEL_MESSAGE_H_
