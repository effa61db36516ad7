#ifndef GRPC_BREAKER_ADMIN_SAME_TOKEN_H_
#define GRPC_BREAKER_ADMIN_SAME_TOKEN_H_

// Compares secrets.
//
// Thread-safe: a pure function.

#include "absl/strings/string_view.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

// In a time that depends on the length of `presented` only. `expected` is not
// empty.
GRPC_BREAKER_EXPORT bool SameToken(absl::string_view presented,
                                   absl::string_view expected);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_ADMIN_SAME_TOKEN_H_
