#ifndef GRPC_BREAKER_ADMIN_SERVER_H_
#define GRPC_BREAKER_ADMIN_SERVER_H_

// A server of its own for the admin service, with server reflection. Whom its
// address lets in reads all that the service shows, unless an authorizer guards
// what is read (AdminServiceOptions::authorize_reads):
//
//   a unix socket        this user and root: its mode is 0600
//   a loopback port      every user of the machine, and what browsers there run
//   any other address    whoever can reach it; there must be credentials, which
//                        are to let in only who has a certificate: mutual TLS
//
//   auto admin = grpc_breaker::AdminServer::Start("unix:/run/app/admin.sock");
//   if (!admin.ok()) ...
//
// Linking to this library turns on server reflection for every gRPC server of
// the process: gRPC's reflection library cannot be had otherwise. Where that is
// not wanted, link to admin_service.h's library only.
//
// Lifetime: directory and environment outlive the server.
//
// Thread-safe.

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpc_breaker/admin_service.h"
#include "grpc_breaker/export.h"
#include "grpcpp/security/server_credentials.h"

namespace grpc_breaker {

// What the service is told, for the one of this server, and the server's own.
struct AdminServerOptions : AdminServiceOptions {
  // With which callers have to speak TLS, such as grpc::SslServerCredentials().
  // Without client certificates it only hides what is said. Null: none is
  // spoken, and the address must be a socket or loopback.
  std::shared_ptr<grpc::ServerCredentials> credentials;
};

class GRPC_BREAKER_EXPORT AdminServer {
 public:
  // `address` is "unix:/path/to/socket", "unix:relative/path", or a numeric
  // loopback address with a port, such as "127.0.0.1:0" or "[::1]:8089", where
  // 0 chooses a free port; with credentials any numeric address, such as
  // "[::]:8089". A path has none of '#', '?' and '%', which mean
  // something else in gRPC's addresses.
  //
  // Anything else is an InvalidArgumentError. The socket of a server that has
  // died is replaced, by one of those who try; a living one is an
  // AlreadyExistsError, and so is anything else of that name. What the system
  // refuses is an UnavailableError: among that, to open the directory of the
  // socket for reading, which is locked meanwhile.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(
      const std::string& address,
      AdminServerOptions options = AdminServerOptions());

  // Stops the server, ends open watches, and removes the socket.
  virtual ~AdminServer() = default;

  // As clients dial it, with the port that was chosen.
  virtual const std::string& address() const = 0;
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_ADMIN_SERVER_H_
