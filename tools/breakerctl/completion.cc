#include "tools/breakerctl/completion.h"

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "tools/breakerctl/flags.h"
#include "tools/breakerctl/help_text.h"

namespace grpc_breaker::breakerctl {
namespace {

// What the value of a flag, or an argument, may be.
struct Values {
  std::vector<std::string> words;
  bool files = false;
};

// `type` is as in flags.h.
Values ValuesOf(const std::string& type, const CLI::App& program) {
  if (absl::StartsWith(type, kStateType)) return {StateNames(), false};
  if (type == kWhenType) return {{"auto", "always", "never"}, false};
  if (type == kShellType) return {ShellNames(), false};
  if (type == kCommandType) {
    std::vector<std::string> names;
    for (const CLI::App* command : CommandsOf(program)) {
      names.push_back(command->get_name());
    }
    return {names, false};
  }
  // That of a process may be in a file, or is a socket.
  return {{}, type == kFileType || type == kAddressType};
}

bool TakesValue(const CLI::Option& flag) {
  return flag.get_items_expected_max() > 0;
}

std::vector<const CLI::Option*> FlagsOf(const CLI::App& command) {
  std::vector<const CLI::Option*> flags;
  for (const OptionGroup& group : OptionsOf(command)) {
    for (const CLI::Option* option : group.options) {
      if (!option->get_positional()) flags.push_back(option);
    }
  }
  return flags;
}

std::vector<const CLI::Option*> ArgumentsOf(const CLI::App& command) {
  std::vector<const CLI::Option*> arguments;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_positional()) arguments.push_back(option);
  }
  return arguments;
}

// "-f", "--follow".
std::vector<std::string> NamesOf(const CLI::Option& flag) {
  std::vector<std::string> names;
  for (const std::string& name : flag.get_snames()) names.push_back("-" + name);
  for (const std::string& name : flag.get_lnames()) {
    names.push_back("--" + name);
  }
  return names;
}

// As a word of a shell.
std::string Quoted(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

// " config check": the words behind the program's name.
std::string PathOf(const CLI::App& command) {
  const std::string name = FullName(command);
  const size_t blank = name.find(' ');
  return blank == std::string::npos ? "" : name.substr(blank);
}

// --- bash ---

void AppendBashPaths(const CLI::App& command, std::vector<std::string>* paths) {
  for (const CLI::App* child : CommandsOf(command)) {
    paths->push_back(Quoted(PathOf(*child)));
    AppendBashPaths(*child, paths);
  }
}

// What to complete by: the words, or files.
std::string BashReply(const Values& values) {
  return absl::StrCat("words=", Quoted(absl::StrJoin(values.words, " ")),
                      " files=", values.files ? "1" : "");
}

void AppendBash(const CLI::App& command, const CLI::App& program,
                std::string* script) {
  absl::StrAppend(script, "    ", Quoted(PathOf(command)),
                  ")\n      case $previous in\n");
  Values rest;
  for (const CLI::Option* flag : FlagsOf(command)) {
    const std::vector<std::string> names = NamesOf(*flag);
    rest.words.insert(rest.words.end(), names.begin(), names.end());
    if (!TakesValue(*flag)) continue;
    absl::StrAppend(script, "        ", absl::StrJoin(names, " | "), ") ",
                    BashReply(ValuesOf(flag->get_type_name(), program)),
                    " ;;\n");
  }
  for (const CLI::App* child : CommandsOf(command)) {
    rest.words.push_back(child->get_name());
  }
  for (const CLI::Option* argument : ArgumentsOf(command)) {
    const Values values =
        ValuesOf(argument->get_name(/*positional=*/true), program);
    rest.words.insert(rest.words.end(), values.words.begin(),
                      values.words.end());
    rest.files = rest.files || values.files;
  }
  absl::StrAppend(script, "        *) ", BashReply(rest),
                  " ;;\n      esac ;;\n");
  for (const CLI::App* child : CommandsOf(command)) {
    AppendBash(*child, program, script);
  }
}

std::string BashScript(const CLI::App& program) {
  std::vector<std::string> paths;
  AppendBashPaths(program, &paths);
  // Readline takes '=' for a word of its own.
  std::string script = absl::StrCat(
      "# Completion of breakerctl for bash.\n"
      "_breakerctl() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]}\n"
      "  local previous=${COMP_WORDS[COMP_CWORD-1]}\n"
      "  local path= words= files= i\n"
      "  if [[ $current == = ]]; then\n"
      "    current=\n"
      "  elif [[ $previous == = ]]; then\n"
      "    previous=${COMP_WORDS[COMP_CWORD-2]}\n"
      "  fi\n"
      "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
      "    case \"$path ${COMP_WORDS[i]}\" in\n"
      "      ",
      absl::StrJoin(paths, " | "),
      ") path+=\" ${COMP_WORDS[i]}\" ;;\n"
      "    esac\n"
      "  done\n"
      "  case $path in\n");
  AppendBash(program, program, &script);
  absl::StrAppend(&script,
                  "  esac\n"
                  "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
                  "  if [[ $files && $current != -* ]]; then\n"
                  "    compopt -o filenames 2>/dev/null\n"
                  "    mapfile -t -O ${#COMPREPLY[@]} COMPREPLY "
                  "< <(compgen -f -- \"$current\")\n"
                  "  fi\n"
                  "}\n"
                  "complete -F _breakerctl breakerctl\n");
  return script;
}

// --- zsh ---

std::string ZshEscaped(absl::string_view text) {
  return absl::StrReplaceAll(
      text, {{"\\", "\\\\"}, {"[", "\\["}, {"]", "\\]"}, {":", "\\:"}});
}

// ":message:action" of _arguments.
std::string ZshAction(const std::string& type, const CLI::App& program) {
  const Values values = ValuesOf(type, program);
  return absl::StrCat(
      ":", ZshEscaped(type), ":",
      values.files ? "_files"
      : values.words.empty()
          ? " "
          : absl::StrCat("(", absl::StrJoin(values.words, " "), ")"));
}

std::string ZshFunction(const CLI::App& command) {
  return absl::StrReplaceAll(absl::StrCat("_breakerctl", PathOf(command)),
                             {{" ", "_"}, {"-", "_"}});
}

void AppendZsh(const CLI::App& command, const CLI::App& program,
               std::string* script) {
  const auto children = CommandsOf(command);
  for (const CLI::App* child : children) AppendZsh(*child, program, script);
  absl::StrAppend(script, ZshFunction(command),
                  "() {\n"
                  "  local curcontext=$curcontext state line ret=1\n"
                  "  typeset -A opt_args\n"
                  "  _arguments -C");
  for (const CLI::Option* flag : FlagsOf(command)) {
    for (const std::string& name : NamesOf(*flag)) {
      const bool with_equals =
          TakesValue(*flag) && absl::StartsWith(name, "--");
      absl::StrAppend(
          script, " \\\n    ",
          Quoted(absl::StrCat("*", name, with_equals ? "=" : "", "[",
                              ZshEscaped(flag->get_description()), "]",
                              TakesValue(*flag)
                                  ? ZshAction(flag->get_type_name(), program)
                                  : "")));
    }
  }
  if (!children.empty()) {
    absl::StrAppend(script, " \\\n    '1: :->command' '*:: :->rest'");
  }
  for (const CLI::Option* argument : ArgumentsOf(command)) {
    absl::StrAppend(
        script, " \\\n    ",
        Quoted(absl::StrCat(
            argument->get_items_expected_max() > 1 ? "*" : "",
            ZshAction(argument->get_name(/*positional=*/true), program))));
  }
  absl::StrAppend(script, " && ret=0\n");
  if (!children.empty()) {
    absl::StrAppend(script,
                    "  case $state in\n    command)\n"
                    "      local -a commands=(");
    for (const CLI::App* child : children) {
      absl::StrAppend(script, "\n        ",
                      Quoted(absl::StrCat(child->get_name(), ":",
                                          child->get_description())));
    }
    absl::StrAppend(script,
                    ")\n      _describe command commands && ret=0 ;;\n"
                    "    rest)\n      case $line[1] in\n");
    for (const CLI::App* child : children) {
      absl::StrAppend(script, "        ", child->get_name(), ") ",
                      ZshFunction(*child), " && ret=0 ;;\n");
    }
    absl::StrAppend(script, "      esac ;;\n  esac\n");
  }
  absl::StrAppend(script, "  return ret\n}\n");
}

std::string ZshScript(const CLI::App& program) {
  std::string script =
      "#compdef breakerctl\n# Completion of breakerctl for zsh.\n";
  AppendZsh(program, program, &script);
  // Whether it is read by autoload, or by source.
  absl::StrAppend(&script,
                  "if [[ $funcstack[1] == _breakerctl ]]; then\n"
                  "  _breakerctl \"$@\"\n"
                  "else\n"
                  "  compdef _breakerctl breakerctl\n"
                  "fi\n");
  return script;
}

// --- fish ---

// When the command has been typed, and none of its own.
std::string FishCondition(const CLI::App& command) {
  std::string condition;
  for (const CLI::App* app = &command; app->get_parent() != nullptr;
       app = app->get_parent()) {
    condition = absl::StrCat("__fish_seen_subcommand_from ", app->get_name(),
                             condition.empty() ? "" : "; and ", condition);
  }
  if (condition.empty()) return "__fish_use_subcommand";
  std::vector<std::string> names;
  for (const CLI::App* child : CommandsOf(command)) {
    names.push_back(child->get_name());
  }
  if (!names.empty()) {
    absl::StrAppend(&condition, "; and not __fish_seen_subcommand_from ",
                    absl::StrJoin(names, " "));
  }
  return condition;
}

std::string FishQuoted(absl::string_view text) {
  return absl::StrCat(
      "'", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

void AppendFish(const CLI::App& command, const CLI::App& program,
                std::string* script) {
  const std::string begin = absl::StrCat("complete -c breakerctl -n ",
                                         FishQuoted(FishCondition(command)));
  const auto words = [](const Values& values) {
    return values.words.empty()
               ? ""
               : absl::StrCat(" -a ",
                              FishQuoted(absl::StrJoin(values.words, " ")));
  };
  for (const CLI::App* child : CommandsOf(command)) {
    absl::StrAppend(script, begin, " -a ", child->get_name(), " -d ",
                    FishQuoted(child->get_description()), "\n");
  }
  for (const CLI::Option* flag : FlagsOf(command)) {
    absl::StrAppend(script, begin);
    for (const std::string& name : flag->get_snames()) {
      absl::StrAppend(script, " -s ", name);
    }
    for (const std::string& name : flag->get_lnames()) {
      absl::StrAppend(script, " -l ", name);
    }
    if (TakesValue(*flag)) {
      const Values values = ValuesOf(flag->get_type_name(), program);
      absl::StrAppend(script, values.files ? " -r -F" : " -x", words(values));
    }
    absl::StrAppend(script, " -d ", FishQuoted(flag->get_description()), "\n");
  }
  for (const CLI::Option* argument : ArgumentsOf(command)) {
    const Values values =
        ValuesOf(argument->get_name(/*positional=*/true), program);
    if (!values.files && values.words.empty()) continue;
    absl::StrAppend(script, begin, values.files ? " -F" : "", words(values),
                    "\n");
  }
  for (const CLI::App* child : CommandsOf(command)) {
    AppendFish(*child, program, script);
  }
}

std::string FishScript(const CLI::App& program) {
  std::string script =
      "# Completion of breakerctl for fish.\ncomplete -c breakerctl -f\n";
  AppendFish(program, program, &script);
  return script;
}

}  // namespace

std::vector<std::string> ShellNames() { return {"bash", "zsh", "fish"}; }

std::string CompletionScript(const CLI::App& program,
                             const std::string& shell) {
  if (shell == "bash") return BashScript(program);
  if (shell == "zsh") return ZshScript(program);
  if (shell == "fish") return FishScript(program);
  return "";
}

}  // namespace grpc_breaker::breakerctl
