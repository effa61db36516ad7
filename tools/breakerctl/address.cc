#include "tools/breakerctl/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace grpc_breaker::breakerctl {
namespace {

// "host", "host:port", "[v6]", "[v6]:port", or "v6"; without the rest.
std::string HostOf(absl::string_view address) {
  if (absl::ConsumePrefix(&address, "[")) {
    address = address.substr(0, address.find(']'));
  } else if (std::count(address.begin(), address.end(), ':') == 1) {
    address = address.substr(0, address.find(':'));
  }
  // Of a scoped address, such as ::1%lo.
  return absl::AsciiStrToLower(address.substr(0, address.find('%')));
}

bool IsLoopback(const std::string& host) {
  in_addr v4;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) {
    return (ntohl(v4.s_addr) >> 24) == 127;
  }
  in6_addr v6;
  if (inet_pton(AF_INET6, host.c_str(), &v6) == 1) {
    return IN6_IS_ADDR_LOOPBACK(&v6) ||
           (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
  }
  const absl::string_view name = absl::StripSuffix(host, ".");
  return name == "localhost" || absl::EndsWith(name, ".localhost") ||
         name == "localhost.localdomain" || name == "ip6-localhost" ||
         name == "ip6-loopback";
}

}  // namespace

bool IsLocalAddress(absl::string_view target) {
  for (const char* scheme : {"unix:", "unix-abstract:"}) {
    if (absl::StartsWithIgnoreCase(target, scheme)) return true;
  }
  for (const char* scheme : {"dns:", "ipv4:", "ipv6:"}) {
    if (!absl::StartsWithIgnoreCase(target, scheme)) continue;
    target.remove_prefix(absl::string_view(scheme).size());
    // An authority, as in dns://server/name.
    if (absl::ConsumePrefix(&target, "//")) {
      target.remove_prefix(std::min(target.find('/'), target.size()));
    }
    absl::ConsumePrefix(&target, "/");
    break;
  }
  // As written in a URI.
  const std::string decoded = absl::StrReplaceAll(
      target, {{"%5B", "["}, {"%5b", "["}, {"%5D", "]"}, {"%5d", "]"}});
  const std::vector<std::string> addresses = absl::StrSplit(decoded, ',');
  return std::all_of(
      addresses.begin(), addresses.end(),
      [](const std::string& address) { return IsLoopback(HostOf(address)); });
}

}  // namespace grpc_breaker::breakerctl
