#include "grpc_breaker/internal/core_messages.h"

#include <algorithm>
#include <initializer_list>

#include "absl/strings/match.h"

namespace grpc_breaker::internal {
namespace {

bool StartsWithAny(absl::string_view message,
                   std::initializer_list<absl::string_view> texts) {
  return std::any_of(texts.begin(), texts.end(), [&](absl::string_view text) {
    return absl::StartsWithIgnoreCase(message, text);
  });
}

}  // namespace

bool SaysNotConnected(absl::string_view message) {
  return StartsWithAny(message, {"failed to connect to all addresses",
                                 "connections to all backends failing",
                                 "DNS resolution failed for"});
}

bool SaysConnectionLost(absl::string_view message) {
  return StartsWithAny(
      message, {"Socket closed", "recvmsg:", "sendmsg:", "Connection reset",
                "Broken pipe", "GOAWAY received", "Endpoint read failed",
                "keepalive watchdog timeout", "Received RST_STREAM"});
}

bool SaysMessageTooLarge(absl::string_view message) {
  return StartsWithAny(message, {"Received message larger than max",
                                 "Sent message larger than max"});
}

}  // namespace grpc_breaker::internal
