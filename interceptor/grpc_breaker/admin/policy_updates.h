#ifndef GRPC_BREAKER_ADMIN_POLICY_UPDATES_H_
#define GRPC_BREAKER_ADMIN_POLICY_UPDATES_H_

// Updates of policies that the admin service is asked for.
//
// Thread-safe: pure functions over values, but for what UpdatePolicies changes.

#include <vector>

#include "google/protobuf/field_mask.pb.h"
#include "grpc_breaker/admin/breaker_target.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/admin/violations.h"
#include "grpc_breaker/config/v1/policy.pb.h"
#include "grpc_breaker/registry.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker::internal {

// What a request's `policy` and `update_mask` ask for; without a change if that
// is nothing.
PolicyUpdate ToUpdate(const config::v1::Policy& policy,
                      const google::protobuf::FieldMask& mask,
                      Violations& violations);

// Updates all of them, or none if one of them cannot be.
grpc::Status UpdatePolicies(const std::vector<FoundBreaker>& found,
                            PolicyUpdate update,
                            admin::v1::UpdatePolicyResponse* response,
                            int& changed);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_ADMIN_POLICY_UPDATES_H_
