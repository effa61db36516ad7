#ifndef GRPC_BREAKER_CONFIG_POLICY_MERGE_H_
#define GRPC_BREAKER_CONFIG_POLICY_MERGE_H_

// Messages of grpc_breaker.config.v1 as changes of the structs that they are
// the counterparts of: a field that is set in the message is set in the struct,
// the others stay.
//
// All that is wrong is told, not the first thing alone. A value out of its
// range is, as Validate() has it, if the message sets the field, or if it has
// become wrong by what the message sets: of two fields that bound one another,
// the message may set either.
//
// Thread-safe: pure functions over values.

#include "grpc_breaker/config/field_violation.h"
#include "grpc_breaker/config/v1/policy.pb.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/named_functions.h"
#include "grpc_breaker/policy.h"

namespace grpc_breaker::internal {

// Fallbacks and hooks that the message names are taken from `functions`; if
// that is null, any name will do, and stands for a function that does nothing,
// as does a fallback without a name that has none to inherit.
// Fields are named from the policy on: "retry.max_retries".
GRPC_BREAKER_EXPORT FieldViolations Merge(const config::v1::Policy& message,
                                          const NamedFunctions* functions,
                                          Policy* policy);

// Fields are named "max_tokens", ...
GRPC_BREAKER_EXPORT FieldViolations
Merge(const config::v1::RetryBudget& message, RetryBudgetOptions* options);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_CONFIG_POLICY_MERGE_H_
