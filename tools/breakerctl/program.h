#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_PROGRAM_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_PROGRAM_H_

// breakerctl as a whole: its commands, and what a command line means.

#include <memory>
#include <string>
#include <vector>

#include "tools/breakerctl/command.h"
#include "tools/breakerctl/output.h"

namespace CLI {
class App;
}

namespace grpc_breaker::breakerctl {

// The program with all of its commands, which set `*action`. Outlives neither.
std::unique_ptr<CLI::App> MakeProgram(Action* action);

// Does what the words of a command line, without the program's name, ask for.
ExitCode RunProgram(const std::vector<std::string>& words);

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_PROGRAM_H_
