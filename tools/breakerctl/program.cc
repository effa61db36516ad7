#include "tools/breakerctl/program.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "grpc_breaker/base/nearest_name.h"
#include "tools/breakerctl/help_text.h"

namespace grpc_breaker::breakerctl {
namespace {

void AddCommands(CLI::App& program, Action* action) {
  AddList(program, action);
  AddGet(program, action);
  AddWatch(program, action);
  AddTop(program, action);
  AddDashboard(program, action);
  AddChannels(program, action);
  AddConfig(program, action);
  AddEvents(program, action);
  AddChanges(program, action);
  AddCompletion(program, action);
  AddHelp(program, action);
}

std::string NameOf(absl::string_view flag) {
  return std::string(flag.substr(0, flag.find('=')));
}

// The flag of this name, such as "--state", of the command or of one that it
// has; null if there is none.
const CLI::Option* FindFlag(const CLI::App& command, const std::string& name) {
  if (const CLI::Option* flag = command.get_option_no_throw(name)) return flag;
  for (const CLI::App* child : command.get_subcommands(nullptr)) {
    if (const CLI::Option* flag = FindFlag(*child, name)) return flag;
  }
  return nullptr;
}

// "--actor=" as two words, of which the second is empty: CLI11 would take the
// word behind it for the value.
std::vector<std::string> WithEmptyValues(
    const CLI::App& program, const std::vector<std::string>& words) {
  std::vector<std::string> result;
  for (const std::string& word : words) {
    result.push_back(word);
    if (!absl::StartsWith(word, "--") || !absl::EndsWith(word, "=")) continue;
    const CLI::Option* flag = FindFlag(program, NameOf(word));
    if (flag == nullptr || flag->get_items_expected_max() == 0 ||
        NameOf(word).size() + 1 != word.size()) {
      continue;
    }
    result.back().pop_back();
    result.emplace_back();
  }
  return result;
}

// Flags may stand before the command that they are for: puts that first, behind
// what is the program's own.
std::vector<std::string> CommandFirst(const CLI::App& program,
                                      std::vector<std::string> words) {
  auto first = words.begin();
  for (auto word = words.begin(); word != words.end(); ++word) {
    if (!absl::StartsWith(*word, "-")) {
      std::rotate(first, word, std::next(word));
      break;
    }
    const std::string name = NameOf(*word);
    if (first == word && program.get_option_no_throw(name) != nullptr) ++first;
    const CLI::Option* flag = FindFlag(program, name);
    if (flag != nullptr && flag->get_items_expected_max() > 0 &&
        name == *word && std::next(word) != words.end()) {
      ++word;
    }
  }
  return words;
}

// The command that was chosen, or one that it has; the program if none was.
const CLI::App& ChosenCommand(const CLI::App& program) {
  const auto chosen = program.get_subcommands();
  return chosen.empty() ? program : ChosenCommand(*chosen[0]);
}

// The commands of the program that have the flag.
std::vector<std::string> CommandsWith(const CLI::App& program,
                                      const std::string& flag) {
  std::vector<std::string> names;
  for (const CLI::App* child : CommandsOf(program)) {
    if (FindFlag(*child, flag) != nullptr) names.push_back(child->get_name());
  }
  return names;
}

// What is wrong with words that the command does not know.
std::string DescribeExtras(const CLI::App& program, const CLI::App& command,
                           const std::vector<std::string>& extras) {
  const auto flag = std::find_if(
      extras.begin(), extras.end(),
      [](const std::string& word) { return absl::StartsWith(word, "-"); });
  if (flag != extras.end()) {
    const std::string name = NameOf(*flag);
    const std::vector<std::string> others = CommandsWith(program, name);
    if (!others.empty()) {
      return absl::StrCat(name, " is for ", absl::StrJoin(others, ", "));
    }
    std::vector<std::string> names;
    for (const OptionGroup& group : OptionsOf(command)) {
      for (const CLI::Option* option : group.options) {
        for (const std::string& name : option->get_lnames()) {
          names.push_back(absl::StrCat("--", name));
        }
      }
    }
    return absl::StrCat("there is no flag ", name,
                        internal::NearestNameHint(name, names));
  }
  if (CommandsOf(command).empty()) {
    return absl::StrCat("too much: \"", absl::StrJoin(extras, " "), "\"");
  }
  std::vector<std::string> names;
  for (const CLI::App* child : CommandsOf(command)) {
    names.push_back(child->get_name());
  }
  return absl::StrCat("there is no command \"", extras[0], "\"",
                      internal::NearestNameHint(extras[0], names));
}

// What is missing and must be there.
std::string DescribeMissing(const CLI::Option& option) {
  const std::string& name = option.get_positional()
                                ? option.get_name(/*positional=*/true)
                                : option.get_name();
  return option.get_envname().empty()
             ? absl::StrCat(name, " is missing")
             : absl::StrCat("neither ", name, " nor $", option.get_envname(),
                            " is set");
}

std::string Describe(const CLI::ParseError& error, const CLI::App& program,
                     const CLI::App& command) {
  // What is not understood explains what is missing.
  const std::vector<std::string> extras = command.remaining();
  if (!extras.empty()) return DescribeExtras(program, command, extras);
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    for (const CLI::Option* option : command.get_options()) {
      if (option->get_required() && option->count() == 0) {
        return DescribeMissing(*option);
      }
    }
  }
  return error.what();
}

ExitCode FailUsage(const CLI::App& command, absl::string_view message) {
  const std::string name = FullName(command);
  const absl::string_view behind_program =
      absl::string_view(name).substr(std::min(name.find(' '), name.size()));
  return Fail(ExitCode::kUsageError,
              absl::StrCat(absl::StripAsciiWhitespace(behind_program),
                           behind_program.empty() ? "" : ": ", message,
                           "; see ", name, " --help"));
}

}  // namespace

std::unique_ptr<CLI::App> MakeProgram(Action* action) {
  auto program = std::make_unique<CLI::App>(
      "shows and changes the circuit breakers of a process that has the "
      "grpc_breaker admin service",
      "breakerctl");
  // Of a flag that is given again, as behind an alias, the last one counts.
  program->option_defaults()->multi_option_policy(
      CLI::MultiOptionPolicy::TakeLast);
  program->set_help_flag("-h,--help", "this text");
  program->set_version_flag("--version", "breakerctl " BREAKERCTL_VERSION,
                            "the version of this program");
  program->require_subcommand(0, 1);
  AddCommands(*program, action);
  // Commands made later would have it, too.
  program->footer("breakerctl COMMAND --help tells of the command's flags.");
  return program;
}

ExitCode RunProgram(const std::vector<std::string>& words) {
  Action action;
  const std::unique_ptr<CLI::App> program = MakeProgram(&action);
  std::vector<std::string> reversed =
      CommandFirst(*program, WithEmptyValues(*program, words));
  std::reverse(reversed.begin(), reversed.end());  // As CLI11 takes them.
  try {
    program->parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    return Print(HelpText(ChosenCommand(*program)));
  } catch (const CLI::CallForVersion& version) {
    return Print(absl::StrCat(version.what(), "\n"));
  } catch (const CLI::ParseError& error) {
    const CLI::App& command = ChosenCommand(*program);
    return FailUsage(command, Describe(error, *program, command));
  }
  if (action == nullptr) {
    return FailUsage(ChosenCommand(*program), "a command is missing");
  }
  return action();
}

}  // namespace grpc_breaker::breakerctl
