#ifndef GRPC_BREAKER_CONFIG_CONFIG_MERGE_H_
#define GRPC_BREAKER_CONFIG_CONFIG_MERGE_H_

// A grpc_breaker.config.v1.Config over the options that the application has
// given: as policy_merge.h, for all of a channel.
//
// Thread-safe: pure functions over values.

#include "grpc_breaker/config/field_violation.h"
#include "grpc_breaker/config/v1/config.pb.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/named_functions.h"
#include "grpc_breaker/policy.h"

namespace grpc_breaker::internal {

// The policies. Each gets what default_policy sets, then what its service's
// sets, then what its own sets; one that is named here for the first time
// begins as what the application gives the method or service. Fields are named
// "methods[/pkg.Service/Method].retry.max_retries", after the policy of the
// message that sets the value.
GRPC_BREAKER_EXPORT FieldViolations Merge(const config::v1::Config& message,
                                          const NamedFunctions* functions,
                                          Policies* policies);

// The rest.
GRPC_BREAKER_EXPORT FieldViolations
MergeChannelOptions(const config::v1::Config& message, Options* options);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_CONFIG_CONFIG_MERGE_H_
