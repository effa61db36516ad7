#include "tools/breakerctl/help_text.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/breakerctl/output.h"
#include "tools/breakerctl/text.h"

namespace grpc_breaker::breakerctl {
namespace {

// What a terminal is taken for that does not tell, and what is read with ease.
constexpr int kDefaultWidth = 80;
constexpr int kGreatestWidth = 100;

constexpr size_t kIndent = 2;
// Where descriptions begin.
constexpr size_t kDescriptionColumn = 24;

// "  NAME        what it is", from its second line on behind that column.
std::string Entry(const std::string& name, absl::string_view description,
                  size_t width) {
  std::string text = absl::StrCat(std::string(kIndent, ' '), name);
  if (text.size() + 2 > kDescriptionColumn) {
    text += '\n';
    text.append(kDescriptionColumn, ' ');
  } else {
    text.append(kDescriptionColumn - text.size(), ' ');
  }
  absl::StrAppend(&text, Wrap(description, kDescriptionColumn, width), "\n");
  return text;
}

bool IsFlag(const CLI::Option& option) { return !option.get_positional(); }

// "METHOD", "[FILE...]".
std::string SynopsisOfArgument(const CLI::Option& option) {
  const std::string name =
      absl::StrCat(option.get_name(/*positional=*/true),
                   option.get_items_expected_max() > 1 ? "..." : "");
  return option.get_required() ? name : absl::StrCat("[", name, "]");
}

std::string Sentence(std::string text) {
  if (!text.empty()) text[0] = absl::ascii_toupper(text[0]);
  return text + ".";
}

}  // namespace

std::vector<const CLI::App*> CommandsOf(const CLI::App& command) {
  return command.get_subcommands(
      [](const CLI::App* child) { return !child->get_group().empty(); });
}

const CLI::App* FindCommand(const CLI::App& command, absl::string_view name) {
  const auto found = command.get_subcommands(
      [name](const CLI::App* child) { return child->get_name() == name; });
  return found.empty() ? nullptr : found[0];
}

std::string FullName(const CLI::App& command) {
  return command.get_parent() == nullptr
             ? command.get_name()
             : absl::StrCat(FullName(*command.get_parent()), " ",
                            command.get_name());
}

std::vector<OptionGroup> OptionsOf(const CLI::App& command) {
  // As CLI11 calls the group of those that name none, of which --help is one.
  const std::string& general = command.get_help_ptr()->get_group();
  std::vector<OptionGroup> groups = {{"Arguments", {}}, {"Flags", {}}};
  for (const CLI::Option* option : command.get_options()) {
    const std::string heading = option->get_positional() ? "Arguments"
                                : option->get_group() == general
                                    ? "Flags"
                                    : option->get_group();
    if (heading.empty()) continue;
    auto group = std::find_if(
        groups.begin(), groups.end(),
        [&](const OptionGroup& other) { return other.heading == heading; });
    if (group == groups.end()) {
      group = groups.insert(groups.end(), {heading, {}});
    }
    group->options.push_back(option);
  }
  groups.erase(std::remove_if(groups.begin(), groups.end(),
                              [](const OptionGroup& group) {
                                return group.options.empty();
                              }),
               groups.end());
  return groups;
}

std::string Synopsis(const CLI::Option& option) {
  if (!IsFlag(option)) return SynopsisOfArgument(option);
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) {
    names.push_back(absl::StrCat("-", name));
  }
  for (const std::string& name : option.get_lnames()) {
    names.push_back(absl::StrCat("--", name));
  }
  std::string text = absl::StrJoin(names, ", ");
  if (option.get_items_expected_max() > 0) {
    absl::StrAppend(&text, " ", option.get_type_name());
  }
  return text;
}

std::string Description(const CLI::Option& option) {
  std::string text = option.get_description();
  if (!option.get_envname().empty()) {
    absl::StrAppend(&text, "; or else $", option.get_envname());
  }
  if (!option.get_default_str().empty()) {
    absl::StrAppend(&text, " (default ", option.get_default_str(), ")");
  }
  return text;
}

std::string Usage(const CLI::App& command) {
  std::string text = FullName(command);
  if (!CommandsOf(command).empty()) absl::StrAppend(&text, " COMMAND");
  absl::StrAppend(&text, " [FLAG...]");
  for (const CLI::Option* option : command.get_options()) {
    if (!IsFlag(*option))
      absl::StrAppend(&text, " ", SynopsisOfArgument(*option));
  }
  return text;
}

std::string HelpText(const CLI::App& command) {
  const int terminal = OutputStyle({}).width;
  const size_t width =
      std::min(terminal > 0 ? std::max<int>(terminal, 2 * kDescriptionColumn)
                            : kDefaultWidth,
               kGreatestWidth);
  std::string text =
      absl::StrCat("Usage: ", Usage(command), "\n\n",
                   Wrap(Sentence(command.get_description()), 0, width), "\n");
  const auto commands = CommandsOf(command);
  if (!commands.empty()) absl::StrAppend(&text, "\nCommands:\n");
  for (const CLI::App* child : commands) {
    absl::StrAppend(&text,
                    Entry(child->get_name(), child->get_description(), width));
  }
  for (const OptionGroup& group : OptionsOf(command)) {
    absl::StrAppend(&text, "\n", group.heading, ":\n");
    for (const CLI::Option* option : group.options) {
      absl::StrAppend(&text,
                      Entry(Synopsis(*option), Description(*option), width));
    }
  }
  if (!command.get_footer().empty()) {
    absl::StrAppend(&text, "\n", Wrap(command.get_footer(), 0, width), "\n");
  }
  if (command.get_parent() == nullptr) {
    absl::StrAppend(&text, "\nExit status:\n", ExitStatusHelp());
  }
  return text;
}

}  // namespace grpc_breaker::breakerctl
