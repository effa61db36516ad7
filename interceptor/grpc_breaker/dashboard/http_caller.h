#ifndef GRPC_BREAKER_DASHBOARD_HTTP_CALLER_H_
#define GRPC_BREAKER_DASHBOARD_HTTP_CALLER_H_

// Who asks by HTTP, for an authorizer that knows who asks by gRPC.
//
// Thread-safe: does not change.

#include <map>
#include <string>

#include "grpc_breaker/admin_authorizer.h"

namespace httplib {
struct Request;
}

namespace grpc_breaker::internal {

class HttpCaller {
 public:
  explicit HttpCaller(const httplib::Request& request);
  HttpCaller(const HttpCaller&) = delete;
  HttpCaller& operator=(const HttpCaller&) = delete;

  // Says in `*request` where it comes from; good as long as this lives.
  void Describe(AdminRequest* request) const;

 private:
  std::string peer_;
  std::multimap<std::string, std::string> headers_;
  AdminRequest::Metadata metadata_;  // Of what is in headers_.
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_DASHBOARD_HTTP_CALLER_H_
