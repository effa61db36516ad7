#include "grpc_breaker/admin_authorizer.h"

#include <cstddef>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "grpc/grpc_security_constants.h"
#include "grpc_breaker/admin/same_token.h"

namespace grpc_breaker {
namespace {

constexpr size_t kLeastTokenBytes = 16;
constexpr size_t kMostTokenBytes = 4096;

// Nothing if the file holds none.
std::optional<std::string> ReadToken(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string token(kMostTokenBytes + 1, '\0');
  file.read(&token[0], static_cast<std::streamsize>(token.size()));
  token.resize(static_cast<size_t>(file.gcount()));
  if (token.size() > kMostTokenBytes) return std::nullopt;
  absl::StripAsciiWhitespace(&token);
  if (token.size() < kLeastTokenBytes) return std::nullopt;
  return token;
}

// Nothing if there is none, or more than one.
std::optional<absl::string_view> PresentedToken(
    const AdminRequest::Metadata& metadata) {
  const auto [first, last] = metadata.equal_range("authorization");
  if (first == last || std::next(first) != last) return std::nullopt;
  absl::string_view value(first->second.data(), first->second.size());
  constexpr absl::string_view kScheme = "Bearer ";
  if (!absl::StartsWithIgnoreCase(value, kScheme)) return std::nullopt;
  return absl::StripAsciiWhitespace(value.substr(kScheme.size()));
}

}  // namespace

AdminAuthorizer AllowUnixSockets() {
  return [](const AdminRequest& request) {
    return absl::StartsWith(request.peer, "unix:")
               ? AdminDecision::Allow()
               : AdminDecision::Deny("not by a unix socket");
  };
}

AdminAuthorizer AllowBearerTokens(
    std::map<std::string, std::string> file_by_identity) {
  return [files = std::move(file_by_identity)](const AdminRequest& request) {
    const std::optional<absl::string_view> presented =
        PresentedToken(*request.metadata);
    if (!presented) {
      return AdminDecision{
          grpc::Status(grpc::StatusCode::UNAUTHENTICATED,
                       "authorization: must be one bearer token"),
          ""};
    }
    std::optional<std::string> found;
    for (const auto& [identity, path] : files) {  // All, in the same time.
      const std::optional<std::string> token = ReadToken(path);
      if (token && internal::SameToken(*presented, *token)) found = identity;
    }
    return found ? AdminDecision::Allow(*std::move(found))
                 : AdminDecision::Deny("authorization: the token is not known");
  };
}

AdminAuthorizer AllowCertificates(std::set<std::string> names) {
  return [names = std::move(names)](const AdminRequest& request) {
    const std::string kind =
        request.auth_context->GetPeerIdentityPropertyName();
    // Credentials of other kinds have identities of other kinds.
    if (kind != GRPC_X509_SAN_PROPERTY_NAME &&
        kind != GRPC_X509_CN_PROPERTY_NAME) {
      return AdminDecision{grpc::Status(grpc::StatusCode::UNAUTHENTICATED,
                                        "there must be a client certificate"),
                           ""};
    }
    for (const grpc::string_ref& name :
         request.auth_context->GetPeerIdentity()) {
      const auto found = names.find(std::string(name.data(), name.size()));
      if (found != names.end()) return AdminDecision::Allow(*found);
    }
    return AdminDecision::Deny("no name of the certificate is allowed to");
  };
}

}  // namespace grpc_breaker
