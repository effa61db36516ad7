#ifndef GRPC_BREAKER_STATUS_CORE_MESSAGES_H_
#define GRPC_BREAKER_STATUS_CORE_MESSAGES_H_

// What the messages of statuses give away: those that gRPC's core makes itself,
// and what implementations of gRPC say of limits on sizes. The core's texts are
// those of 1.51 and 1.83, each provoked in the tests; they are matched from the
// start of the message, so that few servers which quote one are taken for the
// core. Who did make a status is judged by other evidence first: see
// error_origin.h.
//
// Thread-safe: pure functions over values.

#include "absl/strings/string_view.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

// There was no connection, so that nothing can have been sent.
GRPC_BREAKER_EXPORT bool SaysNotConnected(absl::string_view message);

// The server has sent the stream away unseen: it refused it (RFC 9113, 8.7), or
// its GOAWAY says that it will not look at it.
GRPC_BREAKER_EXPORT bool SaysNotSeen(absl::string_view message);

// The connection, or the stream on it, broke under the call.
GRPC_BREAKER_EXPORT bool SaysConnectionLost(absl::string_view message);

// An HTTP server, or a proxy, has answered that does not speak gRPC.
GRPC_BREAKER_EXPORT bool SaysHttpStatus(absl::string_view message);

// The same, because the request, or its metadata, are larger than it accepts.
GRPC_BREAKER_EXPORT bool SaysHttpTooLarge(absl::string_view message);

// This process could not make the call's credentials, so that nothing was sent.
GRPC_BREAKER_EXPORT bool SaysNoCredentials(absl::string_view message);

// A message, or metadata, are larger than the limit that one of the sides has
// set; in the words of gRPC for C++, Java, Go, .NET, Node.js, Rust and Swift,
// and of Connect.
GRPC_BREAKER_EXPORT bool SaysTooLarge(absl::string_view message);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_STATUS_CORE_MESSAGES_H_
