#ifndef GRPC_BREAKER_ADMIN_SERVICE_H_
#define GRPC_BREAKER_ADMIN_SERVICE_H_

// The admin service: shows the breakers of a process over gRPC, read-only.
//
//   auto admin = grpc_breaker::MakeAdminService();
//   builder.RegisterService(admin.get());
//
// proto/grpc_breaker/admin/v1/admin.proto says what it answers. The library
// opens no port by itself; admin_server.h opens one when asked.
//
// Who can reach the server can read names of methods, policies and the messages
// of errors: do not add the service to a server that is open to the public.
//
// An open WatchBreakers ends when its caller cancels. grpc::Server::Shutdown
// waits for it as for any stream: give it a deadline.
//
// Lifetime: directory and service outlive the server.
//
// Thread-safe.

#include <memory>

#include "grpc_breaker/export.h"
#include "grpc_breaker/registry.h"
#include "grpcpp/impl/service_type.h"

namespace grpc_breaker {

GRPC_BREAKER_EXPORT std::unique_ptr<grpc::Service> MakeAdminService(
    Directory& directory = Directory::Default());

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_ADMIN_SERVICE_H_
