#ifndef GRPC_BREAKER_REGISTRY_SERVER_NAME_H_
#define GRPC_BREAKER_REGISTRY_SERVER_NAME_H_

// The name of the server that a channel's target stands for, as gRPC takes it
// for its own retry throttling: the path of the target's URI without its first
// slash.
//
// Thread-safe: a pure function over values.

#include <string>

#include "absl/strings/string_view.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

// "host:443" of "host:443", "dns:host:443", "dns:///host:443" and
// "dns://8.8.8.8/host:443". What is not a URI of a scheme that gRPC knows, and
// has no "//" after its colon, is a name as a whole, for which gRPC takes DNS.
GRPC_BREAKER_EXPORT std::string ServerNameOf(absl::string_view target);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_REGISTRY_SERVER_NAME_H_
