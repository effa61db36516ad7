#include "grpc_breaker/admin/reach.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstddef>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace grpc_breaker::internal {

std::optional<Reach> ReachOf(absl::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos) return std::nullopt;
  absl::string_view host = address.substr(0, colon);
  int port;
  if (!absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 ||
      port > 65535) {
    return std::nullopt;
  }
  bool is_loopback = false;
  if (absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]")) {
    in6_addr v6;
    if (inet_pton(AF_INET6, std::string(host).c_str(), &v6) != 1) {
      return std::nullopt;
    }
    is_loopback = IN6_IS_ADDR_LOOPBACK(&v6);
  } else {
    in_addr v4;
    if (inet_pton(AF_INET, std::string(host).c_str(), &v4) != 1) {
      return std::nullopt;
    }
    is_loopback = (ntohl(v4.s_addr) >> 24) == 127;
  }
  return is_loopback ? Reach::kLoopback : Reach::kNetwork;
}

}  // namespace grpc_breaker::internal
