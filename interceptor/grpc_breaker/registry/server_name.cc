#include "grpc_breaker/registry/server_name.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace grpc_breaker::internal {
namespace {

// The resolvers that come with gRPC: it takes any other word before a colon for
// a host, unless the application has registered one of that name. Those are
// unknown here, and seen by their "//".
constexpr absl::string_view kSchemes[] = {
    "dns",   "unix", "unix-abstract", "ipv4",       "ipv6",
    "vsock", "xds",  "fake",          "google-c2p", "google-c2p-experimental"};

bool IsScheme(absl::string_view text, absl::string_view rest) {
  for (const absl::string_view scheme : kSchemes) {
    if (text == scheme) return true;
  }
  if (text.empty() || !absl::StartsWith(rest, "//")) return false;
  for (const char c : text) {
    if (!absl::ascii_isalnum(c) && c != '+' && c != '-' && c != '.') {
      return false;
    }
  }
  return absl::ascii_isalpha(text.front());
}

std::string PercentDecoded(absl::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    int byte;
    if (text[i] == '%' && i + 2 < text.size() &&
        absl::ascii_isxdigit(text[i + 1]) &&
        absl::ascii_isxdigit(text[i + 2]) &&
        absl::SimpleHexAtoi(text.substr(i + 1, 2), &byte)) {
      decoded += static_cast<char>(byte);
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

}  // namespace

std::string ServerNameOf(absl::string_view target) {
  const size_t colon = target.find(':');
  if (colon == absl::string_view::npos) return std::string(target);
  absl::string_view path = target.substr(colon + 1);
  if (!IsScheme(target.substr(0, colon), path)) return std::string(target);
  if (absl::ConsumePrefix(&path, "//")) {
    const size_t slash = path.find('/');
    // No path at all, as in "http://host".
    if (slash == absl::string_view::npos) return std::string(target);
    path.remove_prefix(slash);
  }
  path = path.substr(0, path.find_first_of("?#"));
  absl::ConsumePrefix(&path, "/");
  return PercentDecoded(path);
}

}  // namespace grpc_breaker::internal
