#ifndef GRPC_BREAKER_DASHBOARD_HTTP_GATE_H_
#define GRPC_BREAKER_DASHBOARD_HTTP_GATE_H_

// Which requests are for the page and from it. What comes from elsewhere -- a
// page of another site that a browser shows on this machine, or a name of
// somebody's that was made to lead here -- is refused before anything is done.
//
//   method             GET, HEAD or POST
//   Host               one, of a name that is this server's (DNS rebinding)
//   Origin             if there, this server
//   Sec-Fetch-Site     if there, says the same; a link to the page may be on
//                      any site, as far as the page itself goes
//
// and for what changes something
//
//   Origin             must be there
//   Content-Type       application/json, which no form of another page can send
//   X-Dashboard-Token  the token that this server's page has
//
// Thread-safe: does not change.

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "grpc_breaker/dashboard/refusal.h"

namespace httplib {
struct Request;
}

namespace grpc_breaker::internal {

constexpr char kTokenHeader[] = "X-Dashboard-Token";

// Whether the names may be given as DashboardOptions::host_names.
absl::Status CheckHostNames(const std::vector<std::string>& names);

class HttpGate {
 public:
  // `address` is where the server listens, with its port; the names are right.
  HttpGate(absl::string_view address, const std::vector<std::string>& names,
           std::string token);

  // Of any request, before its body is read; nothing: it is all right.
  std::optional<Refusal> Check(const httplib::Request& request) const;

  // Of one that changes something, beside that.
  std::optional<Refusal> CheckChange(const httplib::Request& request) const;

 private:
  std::set<std::string> origins_;  // "http://127.0.0.1:34567"
  std::set<std::string> hosts_;    // "127.0.0.1:34567"
  const std::string token_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_DASHBOARD_HTTP_GATE_H_
