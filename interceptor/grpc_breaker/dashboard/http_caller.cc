#include "grpc_breaker/dashboard/http_caller.h"

#include <httplib.h>

#include <memory>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "grpcpp/security/auth_context.h"

namespace grpc_breaker::internal {
namespace {

// Nobody has shown a certificate.
class NoAuthContext : public grpc::AuthContext {
 public:
  bool IsPeerAuthenticated() const override { return false; }
  std::vector<grpc::string_ref> GetPeerIdentity() const override { return {}; }
  std::string GetPeerIdentityPropertyName() const override { return ""; }
  std::vector<grpc::string_ref> FindPropertyValues(
      const std::string&) const override {
    return {};
  }
  grpc::AuthPropertyIterator begin() const override { return Nothing(); }
  grpc::AuthPropertyIterator end() const override { return Nothing(); }
  void AddProperty(const std::string&, const grpc::string_ref&) override {}
  bool SetPeerIdentityPropertyName(const std::string&) override {
    return false;
  }

 private:
  class Nothing : public grpc::AuthPropertyIterator {};
};

// As gRPC says it.
std::string PeerOf(const httplib::Request& request) {
  const bool is_v6 = request.remote_addr.find(':') != std::string::npos;
  return is_v6 ? absl::StrCat(
                     "ipv6:%5B",
                     absl::StrReplaceAll(request.remote_addr, {{"%", "%25"}}),
                     "%5D:", request.remote_port)
               : absl::StrCat("ipv4:", request.remote_addr, ":",
                              request.remote_port);
}

}  // namespace

HttpCaller::HttpCaller(const httplib::Request& request)
    : peer_(PeerOf(request)) {
  for (const auto& [name, value] : request.headers) {
    headers_.emplace(absl::AsciiStrToLower(name), value);
  }
  for (const auto& [name, value] : headers_) metadata_.emplace(name, value);
}

void HttpCaller::Describe(AdminRequest* request) const {
  request->peer = peer_;
  request->auth_context = std::make_shared<NoAuthContext>();
  request->metadata = &metadata_;
}

}  // namespace grpc_breaker::internal
