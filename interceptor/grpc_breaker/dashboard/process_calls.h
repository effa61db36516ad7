#ifndef GRPC_BREAKER_DASHBOARD_PROCESS_CALLS_H_
#define GRPC_BREAKER_DASHBOARD_PROCESS_CALLS_H_

// What the page asks of one process itself, beside what is followed of all.
//
// Thread-safe. No lock is held over an RPC or while `prepare` runs.

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpc_breaker/dashboard/change_request.h"
#include "grpc_breaker/dashboard/http_caller.h"
#include "grpc_breaker/dashboard/own_process.h"
#include "grpc_breaker/dashboard_server.h"
#include "grpc_breaker/fleet/calls_under_way.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker::internal {

// The RPC that makes the change: "ForceOpen".
std::string RpcOf(ChangeRequest::Action action);

class ProcessCalls {
 public:
  // `own` is the process if it is this one, and outlives it; else null.
  ProcessCalls(const DashboardProcess& process, OwnProcess* own,
               absl::Duration timeout);

  const std::string& name() const { return name_; }

  // With its policy and history.
  grpc::Status GetBreaker(const std::string& channel, const std::string& method,
                          admin::v1::Breaker* breaker) const;

  grpc::Status Change(const ChangeRequest& request,
                      std::shared_ptr<const HttpCaller> caller,
                      admin::v1::ChangeResponse* response) const;

  // Ends what is under way, and what begins later, by CANCELLED.
  void Cancel() { calls_.Cancel(); }

 private:
  grpc::Status Prepare(grpc::ClientContext& context) const;

  const std::string name_;
  const std::function<grpc::Status(grpc::ClientContext& context)> prepare_;
  OwnProcess* const own_;
  const absl::Duration timeout_;
  const std::unique_ptr<admin::v1::CircuitBreakerAdmin::Stub> stub_;
  mutable CallsUnderWay calls_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_DASHBOARD_PROCESS_CALLS_H_
