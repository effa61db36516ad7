#ifndef GRPC_BREAKER_REGISTRY_METHOD_NAME_H_
#define GRPC_BREAKER_REGISTRY_METHOD_NAME_H_

// The one place that knows what the name of a gRPC method looks like:
// "/package.Service/Method", made of identifiers as in a proto file. Names come
// from generic stubs and from users of the admin service too, so they are
// checked before anything is kept under them.
//
// Thread-safe: pure functions over values.

#include <cstddef>

#include "absl/strings/string_view.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

enum class NameForm {
  kMalformed,
  kPrefix,   // The beginning of a service's or a method's name: "/pkg.Ser".
  kService,  // "/pkg.Service/"
  kMethod,   // "/pkg.Service/Method"
};

// Longer names are malformed, so that the memory behind a name is bounded.
inline constexpr size_t kMaxNameLength = 512;

// The entry that malformed names, and those beyond a channel's limit, share.
inline constexpr absl::string_view kOtherMethods = "_other";

GRPC_BREAKER_EXPORT NameForm FormOf(absl::string_view name);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_REGISTRY_METHOD_NAME_H_
