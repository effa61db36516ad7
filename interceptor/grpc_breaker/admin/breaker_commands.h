#ifndef GRPC_BREAKER_ADMIN_BREAKER_COMMANDS_H_
#define GRPC_BREAKER_ADMIN_BREAKER_COMMANDS_H_

// Changes that the admin service is asked for: what they are, and how they are
// carried out. Exactly those breakers are changed that were found at first and
// that the authorizer was shown, and what is answered is what was done to each.
//
// Thread-safe: BreakerCommands; Command is Thread-compatible. No lock is held
// while a breaker, the authorizer or a listener is called.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpc_breaker/admin/admin_guard.h"
#include "grpc_breaker/admin/breaker_message.h"
#include "grpc_breaker/admin/breaker_target.h"
#include "grpc_breaker/admin/event_log.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/admin/violations.h"
#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/directory.h"
#include "grpc_breaker/environment.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker::internal {

// What a request asks for. If anything of it is wrong, it is not to be run.
struct Command {
  using Found = std::vector<FoundBreaker>;

  // FORCED_OPEN, FORCED_CLOSED or METRICS_ONLY. Responses outlive the command.
  static Command Hold(std::string rpc, BreakerState state,
                      const admin::v1::HoldRequest& request,
                      ErrorMessages error_messages,
                      admin::v1::ChangeResponse* response,
                      Violations& violations);
  static Command Reset(const admin::v1::ResetRequest& request,
                       ErrorMessages error_messages,
                       admin::v1::ChangeResponse* response,
                       Violations& violations);
  static Command UpdatePolicy(const admin::v1::UpdatePolicyRequest& request,
                              admin::v1::UpdatePolicyResponse* response,
                              Violations& violations);

  std::string rpc;
  BreakerTarget target;
  std::string reason;
  std::string actor;  // As it is claimed.
  absl::Duration time_to_live = absl::InfiniteDuration();
  bool dry_run = false;
  // What was done, also where it then failed.
  struct Done {
    int changed = 0;                          // So many breakers.
    std::vector<std::string> policy_changes;  // As in BreakerAudit.
  };
  // Changes what was found, or with dry_run says only what would come of it,
  // and fills in the response.
  std::function<grpc::Status(const Found& found, const std::string& actor,
                             Done& done)>
      run;
};

class BreakerCommands {
 public:
  using Listeners = std::vector<std::shared_ptr<BreakerListener>>;

  // `guard` and `log` outlive it.
  BreakerCommands(Directory& directory, Environment& environment,
                  const AdminGuard& guard, EventLog& log, Listeners listeners);

  // `request` has where it comes from; what it asks for is filled in here.
  // `is_cancelled` tells whether the caller has gone: then nothing is changed
  // any more. May block.
  grpc::Status Run(const Command& command, AdminRequest request,
                   const std::function<bool()>& is_cancelled);

 private:
  // Notes what came of a command, and tells.
  void Audit(const Command& command, const AdminRequest& request,
             const AdminDecision& decision, const grpc::Status& status,
             Command::Done done);

  Directory& directory_;
  Environment& environment_;
  const AdminGuard& guard_;
  EventLog& log_;
  const Listeners listeners_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_ADMIN_BREAKER_COMMANDS_H_
