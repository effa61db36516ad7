#ifndef GRPC_BREAKER_EXAMPLES_DEMO_PROCESS_H_
#define GRPC_BREAKER_EXAMPLES_DEMO_PROCESS_H_

// A child process, whose stdin and stdout are pipes to this one.
//
// Thread-compatible.

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace demo {

class Process {
 public:
  // `command` is a path and its arguments.
  static absl::StatusOr<std::unique_ptr<Process>> Start(
      std::vector<std::string> command);

  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();  // Ends it, if it still runs.

  pid_t pid() const { return pid_; }

  // Up to the end of a line, or of the output.
  std::string ReadLine();

  // Its exit code, or 128 and the signal that ended it. Read its output first.
  int Wait();

 private:
  Process(pid_t pid, int input, int output)
      : pid_(pid), input_(input), output_(output) {}

  pid_t pid_;
  int input_;
  int output_;
  bool ended_ = false;
};

}  // namespace demo

#endif  // GRPC_BREAKER_EXAMPLES_DEMO_PROCESS_H_
