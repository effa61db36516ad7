#include "grpc_breaker/error_origin.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "grpc_breaker/rpc/context_access.h"
#include "grpc_breaker/status/core_messages.h"

namespace grpc_breaker {
namespace {

// As opposed to the target of a channel, which the core shows where a call
// never got as far as a transport, or was ended on this side of it.
bool IsTransportAddress(absl::string_view peer) {
  constexpr absl::string_view kSchemes[] = {
      "ipv4:", "ipv6:", "unix:", "unix-abstract:", "vsock:", "inproc"};
  return std::any_of(std::begin(kSchemes), std::end(kSchemes),
                     [peer](absl::string_view scheme) {
                       return absl::StartsWith(peer, scheme);
                     });
}

std::optional<bool> ServerAnswered(const std::string& message,
                                   grpc::ClientContext& context) {
  // The core adds none of its own.
  if (!context.GetServerTrailingMetadata().empty()) return true;
  const std::string peer = context.peer();
  if (!IsTransportAddress(peer)) {
    // The core's own words, by which it speaks for servers without gRPC, too.
    return internal::SaysHttpStatus(message);
  }
  if (internal::SaysConnectionLost(message)) return std::nullopt;
  if (internal::SaysNotConnected(message) ||
      internal::SaysNoCredentials(message)) {
    // A server that quotes another: the call did reach it, if the address is
    // not just the channel's target.
    return internal::TargetOf(context).value_or(peer) != peer ||
           internal::HasTrailersOnly(message, context);
  }
  return true;
}

}  // namespace

ErrorOrigin OriginOf(const grpc::Status& status, grpc::ClientContext& context) {
  ErrorOrigin origin;
  if (status.ok() || context.c_call() == nullptr) return origin;
  const std::string message = status.error_message();
  origin.server_answered = ServerAnswered(message, context);
  origin.answer_begun = origin.server_answered.value_or(
      internal::SaysNotSeen(message) &&
      !internal::HasTrailersOnly(message, context));
  return origin;
}

}  // namespace grpc_breaker
