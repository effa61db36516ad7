// breakerctl help

#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "tools/breakerctl/command.h"
#include "tools/breakerctl/flags.h"
#include "tools/breakerctl/help_text.h"
#include "tools/breakerctl/output.h"

namespace grpc_breaker::breakerctl {
namespace {

ExitCode Help(const CLI::App& program, const std::vector<std::string>& names) {
  const CLI::App* command = &program;
  for (const std::string& name : names) {
    command = FindCommand(*command, name);
    if (command == nullptr) {
      return FailUsage(absl::StrCat("there is no command \"", name, "\""));
    }
  }
  return Print(HelpText(*command));
}

}  // namespace

void AddHelp(CLI::App& program, Action* action) {
  const auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* command =
      program.add_subcommand("help", "what breakerctl or a command does");
  command->add_option(kCommandType, *names, "the command, and one of its own");
  command->callback([names, action, &program] {
    *action = [names, &program] { return Help(program, *names); };
  });
}

}  // namespace grpc_breaker::breakerctl
