#include "grpc_breaker/admin/admin_guard.h"

#include <utility>

#include "grpc_breaker/base/user_code.h"

namespace grpc_breaker::internal {

AdminGuard::AdminGuard(AdminAuthorizer authorizer, bool guards_reads)
    : authorizer_(std::move(authorizer)), guards_reads_(guards_reads) {}

AdminDecision AdminGuard::Check(const AdminRequest& request) const {
  if (authorizer_ == nullptr) {
    return AdminDecision::Deny(
        "the admin service of this process has no authorizer "
        "(AdminServiceOptions::authorizer), so nobody may do this");
  }
  AdminDecision decision;
  if (!CallUserCode([&] { decision = authorizer_(request); })) {
    return AdminDecision::Deny("the authorizer of this process failed");
  }
  return decision;
}

}  // namespace grpc_breaker::internal
