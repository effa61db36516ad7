#include "grpc_breaker/registry/policy_table.h"

#include <utility>

namespace grpc_breaker::internal {

PolicyTable::PolicyTable(Policies policies) : policies_(std::move(policies)) {}

bool PolicyTable::Names(absl::string_view method) const {
  return &policies_.PolicyFor(method) != &policies_.default_policy;
}

std::shared_ptr<const Policy> PolicyFor(
    const std::shared_ptr<const PolicyTable>& table, absl::string_view method) {
  return {table, &table->policies().PolicyFor(method)};
}

}  // namespace grpc_breaker::internal
