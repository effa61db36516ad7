#ifndef GRPC_BREAKER_REGISTRY_POLICY_TABLE_H_
#define GRPC_BREAKER_REGISTRY_POLICY_TABLE_H_

// The policies of one channel, as they were set at one time. Methods and calls
// share it, and so keep a policy for as long as they go by it.
//
// Thread-safe: it does not change.

#include <memory>

#include "absl/strings/string_view.h"
#include "grpc_breaker/policy.h"

namespace grpc_breaker::internal {

class PolicyTable {
 public:
  // `policies` must be valid.
  explicit PolicyTable(Policies policies);

  const Policies& policies() const { return policies_; }

  // Whether there is a policy for the method itself or its service.
  bool Names(absl::string_view method) const;

 private:
  const Policies policies_;
};

// The most specific policy for the method; holds the table.
std::shared_ptr<const Policy> PolicyFor(
    const std::shared_ptr<const PolicyTable>& table, absl::string_view method);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_REGISTRY_POLICY_TABLE_H_
