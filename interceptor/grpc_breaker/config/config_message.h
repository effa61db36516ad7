#ifndef GRPC_BREAKER_CONFIG_CONFIG_MESSAGE_H_
#define GRPC_BREAKER_CONFIG_CONFIG_MESSAGE_H_

// All policies of a channel as a grpc_breaker.config.v1.Config.
//
// Thread-safe: a pure function over values.

#include "grpc_breaker/config/v1/config.pb.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/policy.h"

namespace grpc_breaker::internal {

// What makes the policies of an application that sets none the same (see
// config_merge.h), but for functions. The default policy has all of its fields,
// as a reader may know other defaults; the others have what differs from the
// policy that they would have without.
GRPC_BREAKER_EXPORT config::v1::Config ToMessage(const Policies& policies);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_CONFIG_CONFIG_MESSAGE_H_
