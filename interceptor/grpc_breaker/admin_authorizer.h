#ifndef GRPC_BREAKER_ADMIN_AUTHORIZER_H_
#define GRPC_BREAKER_ADMIN_AUTHORIZER_H_

// Who may change breakers through the admin service: a function of the
// application's. Without one nobody may.
//
//   grpc_breaker::AdminServiceOptions options;
//   options.authorizer = [](const grpc_breaker::AdminRequest& request) {
//     const std::string user = UserOf(*request.auth_context);
//     return IsOperator(user) ? grpc_breaker::AdminDecision::Allow(user)
//                             : grpc_breaker::AdminDecision::Deny("ask ops");
//   };
//
// It runs on a thread of the environment's, so it may block, with no lock held,
// and up to eight times at once; up to 1000 requests wait for that, the others
// are refused (RESOURCE_EXHAUSTED). If it throws, the request is refused.
//
// Thread-compatible: plain values. The authorizers that are made here are
// Thread-safe.

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "grpc_breaker/export.h"
#include "grpcpp/security/auth_context.h"
#include "grpcpp/support/status.h"
#include "grpcpp/support/string_ref.h"

namespace grpc_breaker {

// What somebody asks of the admin service. Its form is right, and names of
// methods are of the form that they have.
struct AdminRequest {
  using Metadata = std::multimap<grpc::string_ref, grpc::string_ref>;
  struct Breaker {
    std::string channel;
    std::string method;
  };

  // The RPC: "ForceOpen", "ListBreakers", ...
  std::string rpc;
  // Whether it changes something, or would but for `dry_run`.
  bool is_change = false;
  bool dry_run = false;

  // Where it comes from: as gRPC's ServerContext has them. Not null, and good
  // while the authorizer runs.
  std::string peer;
  std::shared_ptr<const grpc::AuthContext> auth_context;
  const Metadata* metadata = nullptr;

  // As the request has them: anybody can write anything here. Of changes only.
  std::string actor;
  std::string reason;

  // Of which methods and channel; empty: all, but of a change that is not empty
  // one of the first two is set.
  std::string method;
  std::string method_prefix;
  std::string channel;
  // Of changes only: exactly those that will be changed, none others. If there
  // are none, or one more than the request allows, nothing will be.
  std::vector<Breaker> breakers;
};

struct AdminDecision {
  // `identity`: who it is that asks, as the authorizer knows for sure; recorded
  // as the actor, cut at 256 bytes. Empty: that is not known, and what the
  // request claims is recorded and marked so.
  static AdminDecision Allow(std::string identity = "") {
    return {grpc::Status::OK, std::move(identity)};
  }
  // PERMISSION_DENIED; the caller is told `why`.
  static AdminDecision Deny(std::string why, std::string identity = "") {
    return {grpc::Status(grpc::StatusCode::PERMISSION_DENIED, std::move(why)),
            std::move(identity)};
  }

  // OK: it may. Else what the caller gets.
  grpc::Status status{grpc::StatusCode::PERMISSION_DENIED, "not allowed"};
  std::string identity;
};

using AdminAuthorizer = std::function<AdminDecision(const AdminRequest&)>;

// Allows whoever came by a unix socket: that is who the mode of the socket's
// file lets open it, such as this user alone for AdminServer's. gRPC does not
// tell which user that was. Not for abstract sockets, which everybody may open.
GRPC_BREAKER_EXPORT AdminAuthorizer AllowUnixSockets();

// Allows whoever sends "authorization: Bearer TOKEN" with the token that the
// file holds which belongs to an identity, and takes that identity for the
// actor. At least 16 bytes; white space around it does not matter. A file is
// read at each request, so that it can be replaced; who is to read it must be
// able to as long as the service lives. The tokens are compared in a time that
// does not tell how much of them is right. They travel in the clear unless the
// server has credentials, or is on a unix socket.
GRPC_BREAKER_EXPORT AdminAuthorizer
AllowBearerTokens(std::map<std::string, std::string> file_by_identity);

// Allows whoever has shown a certificate with one of these names, and takes
// that name for the actor: a subject alternative name ("spiffe://org/alice",
// "host.example.com", "alice@example.com", as it is written there), or the
// common name of a certificate that has none of those. The whole name counts.
//
// For a server whose credentials demand and check certificates, as those of
// grpc::SslServerCredentials() do with
// GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY: others let
// everybody write any name into a certificate of his own.
GRPC_BREAKER_EXPORT AdminAuthorizer
AllowCertificates(std::set<std::string> names);

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_ADMIN_AUTHORIZER_H_
