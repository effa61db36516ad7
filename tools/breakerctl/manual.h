#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_MANUAL_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_MANUAL_H_

// The manual page of a program, from what its commands declare of themselves.
//
// Thread-safe: a pure function over what does not change.

#include <string>

namespace CLI {
class App;
}

namespace grpc_breaker::breakerctl {

// As man(7) has it. Flags that stand under a heading of their own, as those for
// the connection do, are described once.
std::string ManualPage(const CLI::App& program);

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_MANUAL_H_
