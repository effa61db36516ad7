#ifndef GRPC_BREAKER_ADMIN_ADMIN_GUARD_H_
#define GRPC_BREAKER_ADMIN_ADMIN_GUARD_H_

// Asks the application's authorizer, and lets nothing pass by mistake.
//
// Thread-safe. No lock is held while the authorizer runs.

#include "grpc_breaker/admin_authorizer.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

class GRPC_BREAKER_EXPORT AdminGuard {
 public:
  // An empty authorizer allows nothing.
  AdminGuard(AdminAuthorizer authorizer, bool guards_reads);

  // Whether what only reads is to be checked as well.
  bool guards_reads() const { return guards_reads_; }

  // May block.
  AdminDecision Check(const AdminRequest& request) const;

 private:
  const AdminAuthorizer authorizer_;
  const bool guards_reads_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_ADMIN_ADMIN_GUARD_H_
