#ifndef GRPC_BREAKER_BASE_UTF8_H_
#define GRPC_BREAKER_BASE_UTF8_H_

// Protocol buffer strings must be UTF-8, and what servers and users say may be
// any bytes.
//
// Thread-safe: pure functions over values.

#include <string>

#include "absl/strings/string_view.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

GRPC_BREAKER_EXPORT bool IsUtf8(absl::string_view bytes);

// Each byte that is not part of a well-formed character becomes U+FFFD.
GRPC_BREAKER_EXPORT std::string ToUtf8(absl::string_view bytes);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BASE_UTF8_H_
