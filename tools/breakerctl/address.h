#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_ADDRESS_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_ADDRESS_H_

// What breakerctl has to know of the address that it is given.
//
// Thread-safe: pure functions.

#include "absl/strings/string_view.h"

namespace grpc_breaker::breakerctl {

// Whether a target of gRPC is on this machine, by its form: a unix socket, a
// loopback address, or a name that by custom stands for one, such as localhost.
// Nothing is looked up.
bool IsLocalAddress(absl::string_view target);

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_ADDRESS_H_
