#ifndef GRPC_BREAKER_CONFIG_POLICY_DIFFERENCE_H_
#define GRPC_BREAKER_CONFIG_POLICY_DIFFERENCE_H_

// How one policy differs from another, as what a file would have to say.
//
// Thread-safe: a pure function over values.

#include "grpc_breaker/config/v1/policy.pb.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

// The least message that, merged into the policy `from`, makes it `to` (see
// policy_merge.h). Both are as ToMessage() has them. Of functions it tells when
// a fallback runs, and where there is none any more; which functions there are
// no message knows.
GRPC_BREAKER_EXPORT config::v1::Policy Difference(
    const config::v1::Policy& from, const config::v1::Policy& to);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_CONFIG_POLICY_DIFFERENCE_H_
