#ifndef GRPC_BREAKER_REGISTRY_LINKED_PROTOS_H_
#define GRPC_BREAKER_REGISTRY_LINKED_PROTOS_H_

// What the proto files that are linked into the process say of services and
// methods; of others nothing is known.
//
// Thread-safe.

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace grpc_breaker::internal {

// Whether "/pkg.Service/Method" is declared NO_SIDE_EFFECTS or IDEMPOTENT.
bool IsDeclaredIdempotent(absl::string_view method);

// The names of a service's methods: of "pkg.Service", {"Method", ...}. Nothing
// if it is not linked in.
std::optional<std::vector<std::string>> MethodsOf(absl::string_view service);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_REGISTRY_LINKED_PROTOS_H_
