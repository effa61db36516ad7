#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_COMMAND_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_COMMAND_H_

// The commands of breakerctl, each in a file of its own below commands/.
//
// A command declares itself to the program in CLI11's terms: its name, what it
// does, its flags and arguments. Help and the check of the command line come
// from that. What it does is left as an Action, which runs when all of the
// command line is known to be right.

#include <functional>

#include "tools/breakerctl/output.h"

namespace CLI {
class App;
}

namespace grpc_breaker::breakerctl {

// What a command line asks for.
using Action = std::function<ExitCode()>;

// Each adds its command to `program`, which sets `*action` when it is chosen.
// To add one: write it in commands/, declare it here, name it in AddCommands().
void AddChanges(CLI::App& program, Action* action);
void AddChannels(CLI::App& program, Action* action);
void AddCompletion(CLI::App& program, Action* action);
void AddConfig(CLI::App& program, Action* action);
void AddDashboard(CLI::App& program, Action* action);
void AddEvents(CLI::App& program, Action* action);
void AddGet(CLI::App& program, Action* action);
void AddHelp(CLI::App& program, Action* action);
void AddList(CLI::App& program, Action* action);
void AddTop(CLI::App& program, Action* action);
void AddWatch(CLI::App& program, Action* action);

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_COMMAND_H_
