#ifndef GRPC_BREAKER_ADMIN_BREAKER_MESSAGE_H_
#define GRPC_BREAKER_ADMIN_BREAKER_MESSAGE_H_

// The library's values as the messages that the admin service sends.
//
// Thread-safe: pure functions, over values that may change meanwhile.

#include <cstddef>

#include "absl/time/time.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/registry.h"

namespace grpc_breaker::internal {

// An answer to a change shows no more breakers, or policies, than this.
constexpr size_t kMostChangedShown = 1000;

// Never negative, whoever read the clock first.
absl::Duration Elapsed(MonotonicTime since, MonotonicTime now);

admin::v1::State ToMessage(BreakerState state);

// `age`: how long ago it was; a negative one is shown as 0.
admin::v1::Transition ToMessage(const BreakerTransition& transition,
                                absl::Duration age);
admin::v1::Audit ToMessage(const BreakerAudit& audit, absl::Duration age);

// A transition of `method`, which is one of `registry`.
admin::v1::Transition ToMessage(const Registry& registry, const Method& method,
                                const BreakerTransition& transition,
                                MonotonicTime now);

// Whether a last error is shown with the message of its status.
enum class ErrorMessages { kHidden, kShown };

// The breaker of `method`, which is one of `registry`, as it is now; without
// its history and policy.
admin::v1::Breaker ToMessage(
    const Registry& registry, const Method& method,
    ErrorMessages error_messages = ErrorMessages::kHidden);
// As it was in the snapshot, which was taken at `now`.
admin::v1::Breaker ToMessage(
    const Registry& registry, const Method& method,
    const BreakerSnapshot& snapshot, MonotonicTime now,
    ErrorMessages error_messages = ErrorMessages::kHidden);

// What `method`, which is one of `registry`, gets, and whether it may be
// repeated.
void AddPolicy(const Registry& registry, const Method& method,
               admin::v1::Breaker* message);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_ADMIN_BREAKER_MESSAGE_H_
