#ifndef GRPC_BREAKER_INTERNAL_CORE_MESSAGES_H_
#define GRPC_BREAKER_INTERNAL_CORE_MESSAGES_H_

// What the messages of gRPC's core give away about a status that it made
// itself. The texts are those of core 1.51, each provoked in the tests; they
// are matched from the start of the message, so that a server which quotes one
// is not taken for the core.
//
// Thread-safe: pure functions over values.

#include "absl/strings/string_view.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

// There was no connection, so that nothing can have been sent.
GRPC_BREAKER_EXPORT bool SaysNotConnected(absl::string_view message);

// The connection, or the stream on it, broke under the call.
GRPC_BREAKER_EXPORT bool SaysConnectionLost(absl::string_view message);

// The message is longer than the limit that one of the sides has set.
GRPC_BREAKER_EXPORT bool SaysMessageTooLarge(absl::string_view message);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_INTERNAL_CORE_MESSAGES_H_
