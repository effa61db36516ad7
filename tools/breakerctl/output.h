#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_OUTPUT_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_OUTPUT_H_

// What breakerctl leaves behind: text on standard output, messages on standard
// error, an exit status.
//
// Thread-safe.

#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "tools/breakerctl/text.h"

namespace grpc_breaker::breakerctl {

// Documented by ExitStatusHelp(): scripts go by these.
enum class ExitCode {
  kDone = 0,
  kFailed = 1,
  kUsageError = 2,
  kNotFound = 3,
  kAmbiguous = 4,
  kDifferent = 5,
  kNotAllowed = 6,
};

// A line for each.
std::string ExitStatusHelp();

// Says why on standard error, behind what was written before.
ExitCode Fail(ExitCode code, absl::string_view message);

// Says something on standard error that is no failure.
void Note(absl::string_view message);

// As Fail() does, for a wrong command line.
ExitCode FailUsage(absl::string_view message);

// Writes at once, for who reads through a pipe.
ExitCode Print(absl::string_view text);

// Writes a message as JSON: see ToJson().
ExitCode PrintJson(const google::protobuf::Message& message, bool on_one_line);

// What flags say of the output, for those commands that write the like.
struct OutputFlags {
  enum class When { kAuto, kAlways, kNever };

  bool json = false;
  bool wide = false;
  When color = When::kAuto;
};

// What standard output is made for: the width of a terminal, which $COLUMNS
// overrides, and colours, if it is a terminal that has them and $NO_COLOR is
// empty (no-color.org); as far as the flags say nothing else.
Style OutputStyle(const OutputFlags& flags);

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_OUTPUT_H_
