#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_HELP_TEXT_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_HELP_TEXT_H_

// What --help writes, from what the commands declare of themselves.
//
// Thread-safe: pure functions over what does not change.

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace grpc_breaker::breakerctl {

// The commands of a program, or of a command that has some, in the order in
// which they are to be shown; without hidden ones.
std::vector<const CLI::App*> CommandsOf(const CLI::App& command);

// That of this name, be it hidden; null if there is none.
const CLI::App* FindCommand(const CLI::App& command, absl::string_view name);

// "breakerctl config check".
std::string FullName(const CLI::App& command);

// Flags and arguments that go together, under a heading.
struct OptionGroup {
  std::string heading;
  std::vector<const CLI::Option*> options;
};

// All of a command: its arguments, its own flags, and those that others have
// too.
std::vector<OptionGroup> OptionsOf(const CLI::App& command);

// "--timeout DURATION", as it is typed.
std::string Synopsis(const CLI::Option& option);

// What it does; where else it is taken from, and what it is by default.
std::string Description(const CLI::Option& option);

// "breakerctl get [FLAG...] METHOD".
std::string Usage(const CLI::App& command);

// All that there is to say of a command, or of the program, for a terminal.
std::string HelpText(const CLI::App& command);

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_HELP_TEXT_H_
