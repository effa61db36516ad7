#ifndef GRPC_BREAKER_ADMIN_SERVICE_H_
#define GRPC_BREAKER_ADMIN_SERVICE_H_

// The admin service: shows the breakers of a process over gRPC, read-only.
//
//   auto admin = grpc_breaker::MakeAdminService();
//   builder.RegisterService(admin.get());
//
// The library opens no port by itself; AdminServer opens one when asked.
//
// Lifetime: service and directory outlive the server.
//
// Thread-safe.

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpc_breaker/registry.h"
#include "grpcpp/impl/service_type.h"

namespace grpc_breaker {

std::unique_ptr<grpc::Service> MakeAdminService(
    Directory& directory = Directory::Default());

// A server of its own for the admin service, with server reflection, on a unix
// socket that only this user may open (mode 0600) or on a loopback port.
class AdminServer {
 public:
  // `address` is "unix:/path/to/socket" (a stale socket file is replaced) or a
  // loopback address such as "127.0.0.1:0" or "[::1]:8089"; anything else is
  // an InvalidArgumentError.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(
      const std::string& address, Directory& directory = Directory::Default());

  virtual ~AdminServer() = default;  // Stops the server; ends open watches.

  // As clients dial it, with the port that was chosen.
  virtual const std::string& address() const = 0;
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_ADMIN_SERVICE_H_
