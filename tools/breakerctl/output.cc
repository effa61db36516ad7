#include "tools/breakerctl/output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tools/breakerctl/json.h"

namespace grpc_breaker::breakerctl {
namespace {

// The value of a variable of the environment; "" if it is not set.
absl::string_view Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int TerminalWidth() {
  int width = 0;
  if (absl::SimpleAtoi(Variable("COLUMNS"), &width) && width > 0) return width;
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

bool TerminalHasColors() {
  const absl::string_view terminal = Variable("TERM");
  return Variable("NO_COLOR").empty() && !terminal.empty() &&
         terminal != "dumb";
}

}  // namespace

std::string ExitStatusHelp() {
  return "  0  done\n"
         "  1  the process could not be reached, or failed; a file is wrong\n"
         "  2  the command line is wrong\n"
         "  3  there is no such breaker\n"
         "  4  more breakers are meant than may be: choose by --channel, or "
         "raise\n"
         "     --max-breakers\n"
         "  5  config diff: something would change\n"
         "  6  the process does not allow it\n";
}

ExitCode Fail(ExitCode code, absl::string_view message) {
  Note(message);
  return code;
}

void Note(absl::string_view message) {
  std::fflush(stdout);
  std::fprintf(stderr, "breakerctl: %s\n", Printable(message).c_str());
}

ExitCode FailUsage(absl::string_view message) {
  return Fail(ExitCode::kUsageError,
              absl::StrCat(message, "; see breakerctl --help"));
}

ExitCode Print(absl::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() ||
      std::fflush(stdout) != 0) {
    return Fail(ExitCode::kFailed, "cannot write to standard output");
  }
  return ExitCode::kDone;
}

ExitCode PrintJson(const google::protobuf::Message& message, bool on_one_line) {
  const absl::StatusOr<std::string> json = ToJson(message, on_one_line);
  if (!json.ok()) return Fail(ExitCode::kFailed, json.status().message());
  return Print(*json);
}

Style OutputStyle(const OutputFlags& flags) {
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  Style style;
  if (terminal && !flags.wide) style.width = TerminalWidth();
  style.color = flags.color == OutputFlags::When::kAlways ||
                (flags.color == OutputFlags::When::kAuto && terminal &&
                 TerminalHasColors());
  return style;
}

}  // namespace grpc_breaker::breakerctl
