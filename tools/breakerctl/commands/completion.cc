// breakerctl completion, and breakerctl manual, which is for the build

#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/breakerctl/command.h"
#include "tools/breakerctl/completion.h"
#include "tools/breakerctl/flags.h"
#include "tools/breakerctl/manual.h"
#include "tools/breakerctl/output.h"

namespace grpc_breaker::breakerctl {

void AddCompletion(CLI::App& program, Action* action) {
  const auto shell = std::make_shared<std::string>();
  CLI::App* command = program.add_subcommand(
      "completion", "what a shell completes command lines by");
  command->footer(
      "For this session: source <(breakerctl completion bash), or zsh; "
      "breakerctl completion fish | source.");
  command->add_option(kShellType, *shell, absl::StrJoin(ShellNames(), ", "))
      ->required();
  command->callback([shell, action, &program] {
    *action = [shell, &program] {
      const std::string script = CompletionScript(program, *shell);
      return script.empty()
                 ? FailUsage(absl::StrCat("SHELL: must be one of ",
                                          absl::StrJoin(ShellNames(), ", "),
                                          ", got \"", *shell, "\""))
                 : Print(script);
    };
  });

  CLI::App* manual =
      program.add_subcommand("manual", "the source of the manual page");
  manual->group("");  // Hidden.
  manual->callback([action, &program] {
    *action = [&program] { return Print(ManualPage(program)); };
  });
}

}  // namespace grpc_breaker::breakerctl
