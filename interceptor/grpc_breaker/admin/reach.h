#ifndef GRPC_BREAKER_ADMIN_REACH_H_
#define GRPC_BREAKER_ADMIN_REACH_H_

// Who can reach what listens on an address.
//
// Thread-safe: a pure function.

#include <optional>

#include "absl/strings/string_view.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

enum class Reach { kLoopback, kNetwork };

// Of a numeric address with a port, such as "127.0.0.1:0" or "[::1]:8089";
// nothing if it is not one.
GRPC_BREAKER_EXPORT std::optional<Reach> ReachOf(absl::string_view address);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_ADMIN_REACH_H_
