#ifndef GRPC_BREAKER_ADMIN_SERVICE_H_
#define GRPC_BREAKER_ADMIN_SERVICE_H_

// The admin service: shows the breakers of a process over gRPC, and changes
// them for those whom the application's authorizer allows to.
//
//   auto admin = grpc_breaker::MakeAdminService();
//   builder.RegisterService(admin.get());
//
// proto/grpc_breaker/admin/v1/admin.proto says what it answers. The library
// opens no port by itself; admin_server.h opens one when asked.
//
// Who can reach the server can read names of methods and policies, and which
// errors there are: do not add the service to a server that is open to the
// public, or let the authorizer guard what is read, too.
//
// An open WatchBreakers ends when its caller cancels. grpc::Server::Shutdown
// waits for it as for any stream: give it a deadline.
//
// Lifetime: directory, environment and service outlive the server, and so do
// the environments of the channels that are shown.
//
// Thread-safe. No lock is held while the authorizer or a listener runs.

#include <memory>
#include <vector>

#include "grpc_breaker/admin_authorizer.h"
#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/directory.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/export.h"
#include "grpcpp/impl/service_type.h"

namespace grpc_breaker {

struct GRPC_BREAKER_EXPORT AdminServiceOptions {
  AdminServiceOptions();  // directory and environment are the process-wide
                          // ones.

  // Whose channels are shown. Not null.
  Directory* directory;

  // The clock of audits, and whose threads authorizer and listeners run on. Not
  // null.
  Environment* environment;

  // Who may change breakers. Empty: nobody.
  AdminAuthorizer authorizer;

  // Whether the authorizer is asked about what is only read as well; without
  // one that is refused then, too. A watch is asked about once, when it begins.
  bool authorize_reads = false;

  // Whether the messages of failed calls' statuses are shown. They are what
  // servers wrote, and may hold what not everybody is to see, such as names and
  // keys; code, category and severity of an error are shown anyway.
  bool show_error_messages = false;

  // At most so many WatchBreakers calls at once, >= 0; a further one gets
  // RESOURCE_EXHAUSTED. Each costs memory per breaker that it has been told of:
  // some 400 bytes and its names.
  int max_watches = 64;

  // Hear of the changes that were asked for (BreakerListener::OnAudit), and of
  // nothing else; they live as long as the service.
  std::vector<std::shared_ptr<BreakerListener>> listeners;
};

GRPC_BREAKER_EXPORT std::unique_ptr<grpc::Service> MakeAdminService(
    AdminServiceOptions options = AdminServiceOptions());

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_ADMIN_SERVICE_H_
