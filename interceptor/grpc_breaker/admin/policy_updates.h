#ifndef GRPC_BREAKER_ADMIN_POLICY_UPDATES_H_
#define GRPC_BREAKER_ADMIN_POLICY_UPDATES_H_

// Updates of policies that the admin service is asked for.
//
// Thread-safe: pure functions over values, but for what UpdatePolicies changes.

#include <string>
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

// Updates all of them, or none if one of them cannot be, and notes in their
// histories by whom and why. Should one fail after all, the response has those
// that were updated before it.
grpc::Status UpdatePolicies(const std::vector<FoundBreaker>& found,
                            PolicyUpdate update,
                            const std::string& by_whom_and_why,
                            admin::v1::UpdatePolicyResponse* response);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_ADMIN_POLICY_UPDATES_H_
