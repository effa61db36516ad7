#ifndef GRPC_BREAKER_INTERNAL_BREAKER_MESSAGE_H_
#define GRPC_BREAKER_INTERNAL_BREAKER_MESSAGE_H_

// The library's values as the messages that the admin service sends.
//
// Thread-safe: pure functions, over values that may change meanwhile.

#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/config/v1/policy.pb.h"
#include "grpc_breaker/registry.h"

namespace grpc_breaker {
namespace internal {

config::v1::Policy ToMessage(const Policy& policy);

admin::v1::State ToMessage(BreakerState state);

// A transition of `method`, which is one of `registry`.
admin::v1::Transition ToMessage(const Registry& registry, const Method& method,
                                const BreakerTransition& transition,
                                MonotonicTime now);

// The breaker of `method`, which is one of `registry`, as it is now; without
// its history.
admin::v1::Breaker ToMessage(const Registry& registry, const Method& method);
// As it was in the snapshot, which was taken at `now`.
admin::v1::Breaker ToMessage(const Registry& registry, const Method& method,
                             const BreakerSnapshot& snapshot,
                             MonotonicTime now);

}  // namespace internal
}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_INTERNAL_BREAKER_MESSAGE_H_
