#include "tools/breakerctl/manual.h"

#include <algorithm>
#include <map>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "tools/breakerctl/help_text.h"
#include "tools/breakerctl/output.h"

namespace grpc_breaker::breakerctl {
namespace {

// On a line of its own, which must not begin like a request of roff's.
std::string Escaped(absl::string_view text) {
  const std::string escaped =
      absl::StrReplaceAll(text, {{"\\", "\\e"}, {"-", "\\-"}});
  return absl::StartsWith(escaped, ".") || absl::StartsWith(escaped, "'")
             ? absl::StrCat("\\&", escaped)
             : escaped;
}

std::string Sentence(std::string text) {
  if (!text.empty()) text[0] = absl::ascii_toupper(text[0]);
  return absl::StrCat(Escaped(text), ".\n");
}

void AppendOption(const CLI::Option& option, std::string* page) {
  absl::StrAppend(page, ".TP\n\\fB", Escaped(Synopsis(option)), "\\fR\n",
                  Sentence(Description(option)));
}

// What groups of all commands have that are under headings of their own, the
// first one of each name.
using SharedGroups = std::vector<OptionGroup>;

bool IsShared(const OptionGroup& group) {
  return group.heading != "Arguments" && group.heading != "Flags";
}

void AppendCommand(const CLI::App& command, SharedGroups* shared,
                   std::string* page) {
  absl::StrAppend(page, ".SS ", Escaped(Usage(command)), "\n",
                  Sentence(command.get_description()));
  for (const OptionGroup& group : OptionsOf(command)) {
    if (!IsShared(group)) {
      for (const CLI::Option* option : group.options) {
        // That of every command is told of once.
        if (option != command.get_help_ptr()) AppendOption(*option, page);
      }
      continue;
    }
    const auto found = std::find_if(shared->begin(), shared->end(),
                                    [&](const OptionGroup& other) {
                                      return other.heading == group.heading;
                                    });
    if (found == shared->end()) {
      shared->push_back(group);
      continue;
    }
    for (const CLI::Option* option : group.options) {
      const bool is_known =
          std::any_of(found->options.begin(), found->options.end(),
                      [&](const CLI::Option* other) {
                        return other->get_name() == option->get_name();
                      });
      if (!is_known) found->options.push_back(option);
    }
  }
  if (!command.get_footer().empty()) {
    absl::StrAppend(page, ".PP\n", Escaped(command.get_footer()), "\n");
  }
  for (const CLI::App* child : CommandsOf(command)) {
    AppendCommand(*child, shared, page);
  }
}

}  // namespace

std::string ManualPage(const CLI::App& program) {
  const std::string name = program.get_name();
  std::string page = absl::StrCat(
      ".TH ", absl::AsciiStrToUpper(name), " 1 \"\" \"", name,
      " " BREAKERCTL_VERSION "\" \"User Commands\"\n.SH NAME\n", name, " \\- ",
      Escaped(program.get_description()), "\n.SH SYNOPSIS\n.B ",
      Escaped(Usage(program)), "\n.SH DESCRIPTION\n",
      Sentence(program.get_description()), ".SH OPTIONS\n");
  for (const OptionGroup& group : OptionsOf(program)) {
    for (const CLI::Option* option : group.options)
      AppendOption(*option, &page);
  }
  absl::StrAppend(&page, ".SH COMMANDS\n");
  SharedGroups shared;
  for (const CLI::App* command : CommandsOf(program)) {
    AppendCommand(*command, &shared, &page);
  }
  std::map<std::string, std::string> variables;
  for (const OptionGroup& group : shared) {
    absl::StrAppend(&page, ".SH ",
                    absl::AsciiStrToUpper(Escaped(group.heading)),
                    " FLAGS\nThose of the commands that have them.\n");
    for (const CLI::Option* option : group.options) {
      AppendOption(*option, &page);
      if (!option->get_envname().empty()) {
        variables[option->get_envname()] = option->get_name();
      }
    }
  }
  absl::StrAppend(&page, ".SH ENVIRONMENT\n");
  for (const auto& [variable, flag] : variables) {
    absl::StrAppend(&page, ".TP\n.B ", variable, "\nIn the place of ",
                    Escaped(flag), ".\n");
  }
  absl::StrAppend(&page,
                  ".TP\n.B NO_COLOR\nIf it is not empty, there are no colours "
                  "unless by \\-\\-color.\n"
                  ".TP\n.B COLUMNS\nThe width of the terminal.\n"
                  ".SH EXIT STATUS\n");
  // "  0  done", and lines that go on behind more blanks.
  for (const absl::string_view line :
       absl::StrSplit(ExitStatusHelp(), '\n', absl::SkipEmpty())) {
    const absl::string_view text = absl::StripAsciiWhitespace(line);
    if (absl::ascii_isdigit(text[0]) && text[1] == ' ') {
      absl::StrAppend(&page, ".TP\n.B ", text.substr(0, 1), "\n",
                      Escaped(absl::StripAsciiWhitespace(text.substr(1))),
                      "\n");
    } else {
      absl::StrAppend(&page, Escaped(text), "\n");
    }
  }
  return page;
}

}  // namespace grpc_breaker::breakerctl
