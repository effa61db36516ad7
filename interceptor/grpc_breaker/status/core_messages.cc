#include "grpc_breaker/status/core_messages.h"

#include <algorithm>
#include <initializer_list>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace grpc_breaker::internal {
namespace {

constexpr absl::string_view kHttpStatus = "Received http2 header with status: ";

bool StartsWithAny(absl::string_view message,
                   std::initializer_list<absl::string_view> texts) {
  return std::any_of(texts.begin(), texts.end(), [&](absl::string_view text) {
    return absl::StartsWithIgnoreCase(message, text);
  });
}

// Newer cores put what happened to a stream in brackets: "Stream removed
// (RST_STREAM (Received RST_STREAM with error code 7))".
absl::string_view WithoutBrackets(absl::string_view message) {
  if (absl::ConsumePrefix(&message, "Stream removed (")) {
    absl::ConsumePrefix(&message, "RST_STREAM (");
    while (absl::ConsumeSuffix(&message, ")")) {
    }
  }
  return message;
}

}  // namespace

bool SaysNotConnected(absl::string_view message) {
  return StartsWithAny(message,
                       {"failed to connect to all addresses",
                        "connections to all backends failing",
                        "DNS resolution failed for", "errors resolving "});
}

bool SaysNotSeen(absl::string_view message) {
  message = WithoutBrackets(message);
  return message == "Received RST_STREAM with error code 7" ||
         absl::StartsWith(message, "GOAWAY received");
}

bool SaysConnectionLost(absl::string_view message) {
  // Newer cores say "Stream removed (...)" of that as well.
  if (SaysTooLarge(message)) return false;
  return StartsWithAny(
      message, {"Socket closed", "recvmsg:", "sendmsg:", "Connection reset",
                "Broken pipe", "GOAWAY received", "Endpoint read failed",
                "keepalive watchdog timeout", "keepalive timeout",
                "ping timeout", "Received RST_STREAM", "Stream removed"});
}

bool SaysHttpStatus(absl::string_view message) {
  return absl::StartsWith(message, kHttpStatus);
}

bool SaysHttpTooLarge(absl::string_view message) {
  // Content, or header fields: RFC 9110, 15.5.14, and RFC 6585, 5.
  return absl::ConsumePrefix(&message, kHttpStatus) &&
         (message == "413" || message == "431");
}

bool SaysNoCredentials(absl::string_view message) {
  return StartsWithAny(message, {"Getting metadata from plugin failed",
                                 "Error occurred when fetching oauth2 token",
                                 "Established channel does not have a "
                                 "sufficient security level",
                                 "Incompatible credentials set on channel"});
}

bool SaysTooLarge(absl::string_view message) {
  // No single word of these: "message quota exceeded" is about a rate.
  static constexpr absl::string_view kTexts[] = {
      "message larger than",                      // C++, Go, Node.js
      "message with a size larger than",          // Node.js
      "message exceeds maximum size",             // Java
      "message exceeds the maximum",              // .NET
      "message length too large",                 // Rust
      "exceeded the configured maximum payload",  // Swift
      "is larger than configured readmaxbytes",   // Connect
      "is larger than configured writemaxbytes",  // Connect
      "message too large", "message is too large",
      // What was small as long as it was compressed.
      "message after decompression larger than",          // Go
      "message that decompresses to a size larger than",  // Node.js
      "exceeded while decompressing message",             // Rust
      "exceeded while encoding message",                  // Rust
      // Metadata.
      "metadata size exceeds",  // C++
      "header list size",       // Go
      "header size exceeded",   // Java
  };
  const std::string lower = absl::AsciiStrToLower(message);
  const auto contains = [&lower](absl::string_view text) {
    return absl::StrContains(lower, text);
  };
  return std::any_of(std::begin(kTexts), std::end(kTexts), contains) ||
         // Connect, with the size in between.
         (contains("message size") &&
          (contains("larger than configured max") ||
           contains("exceeded sendmaxbytes") || contains("exceeds")));
}

}  // namespace grpc_breaker::internal
