#ifndef GRPC_BREAKER_CONFIG_POLICY_CHANGES_H_
#define GRPC_BREAKER_CONFIG_POLICY_CHANGES_H_

// How policies differ, for people: field by field.
//
// Thread-safe: pure functions over values.

#include <string>
#include <vector>

#include "grpc_breaker/config/v1/policy.pb.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/policy.h"

namespace grpc_breaker::internal {

struct FieldChange {
  std::string field;  // "methods[/pkg.Service/Method].retry.max_retries"
  // As a configuration file has them; "unset" where there is none.
  std::string from;
  std::string to;
};

// Of two policies as ToMessage() has them, in the order of the fields. Of
// functions it tells when a fallback runs and whether there is one.
GRPC_BREAKER_EXPORT std::vector<FieldChange> Changes(
    const config::v1::Policy& from, const config::v1::Policy& to);

// Of the default policy, and of each service and method that one of the two
// names: what such a method gets, wherever it has it from.
GRPC_BREAKER_EXPORT std::vector<FieldChange> Changes(const Policies& from,
                                                     const Policies& to);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_CONFIG_POLICY_CHANGES_H_
