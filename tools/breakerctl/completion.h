#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_COMPLETION_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_COMPLETION_H_

// Scripts by which shells complete a command line of a program, from what its
// commands declare of themselves: names, flags, and the types of their values.
//
// Thread-safe: pure functions over what does not change.

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace grpc_breaker::breakerctl {

// What each shell reads; empty for one that is not among the names.
std::string CompletionScript(const CLI::App& program, const std::string& shell);
std::vector<std::string> ShellNames();

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_COMPLETION_H_
