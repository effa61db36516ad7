// Completes command lines in real shells by what the real breakerctl says.

#include <stdio.h>
#include <stdlib.h>

#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/breakerctl/command.h"
#include "tools/breakerctl/completion.h"
#include "tools/breakerctl/help_text.h"
#include "tools/breakerctl/manual.h"
#include "tools/breakerctl/program.h"

namespace grpc_breaker::breakerctl {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;

// What a shell writes, and its status, behind "bash -c" and the like.
std::string Shell(const std::string& shell, const std::string& script,
                  int* status) {
  setenv("SCRIPT", script.c_str(), /*overwrite=*/1);
  FILE* pipe = popen(absl::StrCat(shell, " -c \"$SCRIPT\" 2>&1").c_str(), "r");
  std::string output;
  for (int c; (c = fgetc(pipe)) != EOF;) output += static_cast<char>(c);
  *status = pclose(pipe);
  return output;
}

bool Has(const std::string& program) {
  return system(absl::StrCat("command -v ", program, " >/dev/null").c_str()) ==
         0;
}

class BreakerctlCompletionTest : public ::testing::Test {
 protected:
  // What bash offers for the last of the words.
  std::vector<std::string> Complete(const std::vector<std::string>& words) {
    std::vector<std::string> quoted;
    for (const std::string& word : words) quoted.push_back("'" + word + "'");
    int status = 0;
    const std::string output = Shell(
        "bash",
        absl::StrCat(CompletionScript(*program_, "bash"),
                     "COMP_WORDS=(breakerctl ", absl::StrJoin(quoted, " "),
                     ")\nCOMP_CWORD=", words.size(),
                     "\n_breakerctl\nprintf '%s\\n' \"${COMPREPLY[@]}\""),
        &status);
    EXPECT_EQ(status, 0) << output;
    return absl::StrSplit(output, '\n', absl::SkipEmpty());
  }

  Action action_;
  const std::unique_ptr<CLI::App> program_ = MakeProgram(&action_);
};

TEST_F(BreakerctlCompletionTest, OffersTheCommands) {
  std::vector<std::string> names;
  for (const CLI::App* command : CommandsOf(*program_)) {
    names.push_back(command->get_name());
  }
  EXPECT_THAT(Complete({""}), IsSupersetOf(names));
  EXPECT_THAT(Complete({""}), Not(Contains("manual"))) << "it is hidden";
  EXPECT_THAT(Complete({"wa"}), ElementsAre("watch"));
}

TEST_F(BreakerctlCompletionTest, OffersTheFlagsOfTheCommand) {
  EXPECT_THAT(Complete({"list", "--agg"}), ElementsAre("--aggregate"));
  EXPECT_THAT(Complete({"get", "--agg"}), IsEmpty());
  EXPECT_THAT(Complete({"list", "--state", "OPEN", "--agg"}),
              ElementsAre("--aggregate"));
}

TEST_F(BreakerctlCompletionTest, OffersWhatAValueMayBe) {
  EXPECT_THAT(Complete({"list", "--state", "F"}),
              ElementsAre("FORCED_OPEN", "FORCED_CLOSED"));
  EXPECT_THAT(Complete({"list", "--color", "="}),
              ElementsAre("auto", "always", "never"));
  EXPECT_THAT(Complete({"list", "--color", "=", "n"}), ElementsAre("never"));
  EXPECT_THAT(Complete({"list", "--cacert", "/etc/pass"}),
              Contains("/etc/passwd"));
  EXPECT_THAT(Complete({"list", "--channel", ""}), IsEmpty());
  EXPECT_THAT(Complete({"completion", "z"}), ElementsAre("zsh"));
  EXPECT_THAT(Complete({"help", "eve"}), ElementsAre("events"));
}

TEST_F(BreakerctlCompletionTest, OffersCommandsOfCommands) {
  EXPECT_THAT(Complete({"config", "che"}), ElementsAre("check"));
  EXPECT_THAT(Complete({"config", "check", "/etc/pass"}),
              Contains("/etc/passwd"));
}

TEST_F(BreakerctlCompletionTest, OtherShellsUnderstandTheirScripts) {
  for (const char* shell : {"zsh", "fish"}) {
    if (!Has(shell)) continue;
    int status = 0;
    const std::string output =
        Shell(absl::StrCat(shell, " -n"), CompletionScript(*program_, shell),
              &status);
    EXPECT_EQ(status, 0) << shell << ": " << output;
  }
  if (Has("fish")) {
    int status = 0;
    const std::string output =
        Shell("fish",
              absl::StrCat(CompletionScript(*program_, "fish"),
                           "complete -C 'breakerctl list --agg'\n"
                           "complete -C 'breakerctl config che'\n"),
              &status);
    EXPECT_THAT(output, HasSubstr("--aggregate"));
    EXPECT_THAT(output, HasSubstr("check"));
  }
}

void ExpectInManual(const CLI::App& command, const std::string& manual) {
  const auto escaped = [](std::string text) {
    return absl::StrReplaceAll(text, {{"-", "\\-"}});
  };
  EXPECT_THAT(manual, HasSubstr(escaped(Usage(command))));
  for (const OptionGroup& group : OptionsOf(command)) {
    for (const CLI::Option* option : group.options) {
      EXPECT_THAT(manual, HasSubstr(escaped(Synopsis(*option))));
    }
  }
  for (const CLI::App* child : CommandsOf(command)) {
    ExpectInManual(*child, manual);
  }
}

TEST_F(BreakerctlCompletionTest, TheManualHasAllCommandsFlagsAndVariables) {
  const std::string manual = ManualPage(*program_);
  ExpectInManual(*program_, manual);
  EXPECT_THAT(manual, HasSubstr("BREAKERCTL_ADDRESS\n"));
  EXPECT_THAT(manual, HasSubstr("BREAKERCTL_TOKEN_FILE\n"));
  EXPECT_THAT(manual, HasSubstr("NO_COLOR\n"));
  EXPECT_THAT(manual, HasSubstr(".TP\n.B 6\nthe process does not allow it\n"));
  if (Has("mandoc")) {
    int status = 0;
    const std::string output = Shell(
        "sh", absl::StrCat("mandoc -Tlint -Werror <<'END'\n", manual, "END\n"),
        &status);
    EXPECT_EQ(status, 0) << output;
  }
}

}  // namespace
}  // namespace grpc_breaker::breakerctl
