#ifndef GRPC_BREAKER_DASHBOARD_OWN_PROCESS_H_
#define GRPC_BREAKER_DASHBOARD_OWN_PROCESS_H_

// The admin service of this process, for the page alone: on no port, but by a
// channel within the process. Its authorizer is told of the HTTP request that a
// change comes from, and not of the channel.
//
// Lifetime: it ends after all that uses its channel.
//
// Thread-safe. No lock is held while the authorizer runs.

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/admin_service.h"
#include "grpc_breaker/dashboard/http_caller.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/server.h"

namespace grpc_breaker::internal {

class OwnProcess {
 public:
  explicit OwnProcess(AdminServiceOptions options);
  ~OwnProcess();
  OwnProcess(const OwnProcess&) = delete;
  OwnProcess& operator=(const OwnProcess&) = delete;

  // Null: gRPC could not make the server.
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  // While it lives, a change by this context comes from that caller. Both
  // process and context outlive it.
  class FromCaller {
   public:
    FromCaller(OwnProcess& process, std::shared_ptr<const HttpCaller> caller,
               grpc::ClientContext& context);
    ~FromCaller();
    FromCaller(const FromCaller&) = delete;
    FromCaller& operator=(const FromCaller&) = delete;

   private:
    OwnProcess& process_;
    const std::string number_;
  };

 private:
  // Names a caller, until Forget().
  std::string Remember(std::shared_ptr<const HttpCaller> caller)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Forget(const std::string& number) ABSL_LOCKS_EXCLUDED(mutex_);
  std::shared_ptr<const HttpCaller> CallerOf(const AdminRequest& request)
      ABSL_LOCKS_EXCLUDED(mutex_);

  absl::Mutex mutex_;
  uint64_t last_number_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::shared_ptr<const HttpCaller>> callers_
      ABSL_GUARDED_BY(mutex_);

  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_DASHBOARD_OWN_PROCESS_H_
