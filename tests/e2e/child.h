#ifndef GRPC_BREAKER_TESTS_E2E_CHILD_H_
#define GRPC_BREAKER_TESTS_E2E_CHILD_H_

// The other process of some tests: helper_main.cc, whose path is E2E_HELPER, or
// any program.
//
// Thread-compatible.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "tests/e2e/wait.h"

extern char** environ;

namespace grpc_breaker::e2e {

// A program, found as a shell finds it, with pipes to its standard input and
// output.
class ChildProgram {
 public:
  // `with_errors`: what it writes to standard error is read with its output.
  explicit ChildProgram(std::vector<std::string> command,
                        bool with_errors = false) {
    int input[2], output[2];
    if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0) {
      std::abort();
    }
    std::vector<char*> argv;
    for (std::string& argument : command) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
    if (with_errors) {
      posix_spawn_file_actions_adddup2(&actions, output[1], STDERR_FILENO);
    }
    if (posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ) !=
        0) {
      std::abort();
    }
    posix_spawn_file_actions_destroy(&actions);
    close(input[0]);
    close(output[1]);
    input_ = input[1];
    output_ = output[0];
  }

  ~ChildProgram() {
    if (pid_ != 0) Kill();
    EndInput();
    close(output_);
  }
  ChildProgram(const ChildProgram&) = delete;
  ChildProgram& operator=(const ChildProgram&) = delete;

  void Write(absl::string_view text) {
    while (!text.empty()) {
      const ssize_t written = write(input_, text.data(), text.size());
      if (written < 0) std::abort();
      text.remove_prefix(static_cast<size_t>(written));
    }
  }

  void EndInput() {
    if (input_ >= 0) close(std::exchange(input_, -1));
  }

  void Kill() {
    Send(SIGKILL);
    Wait();
  }

  void Send(int signal) { kill(pid_, signal); }

  // Its exit code, or minus the number of the signal that ended it.
  int Wait() {
    int status = 0;
    const pid_t pid = std::exchange(pid_, 0);
    WaitUntil([&] { return waitpid(pid, &status, WNOHANG) == pid; },
              "the child process to end");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  std::string ReadLine() {
    std::string line;
    char c;
    while (read(output_, &c, 1) == 1 && c != '\n') line += c;
    return line;
  }

  std::string ReadAll() {
    std::string text;
    char c;
    while (read(output_, &c, 1) == 1) text += c;
    return text;
  }

 private:
  pid_t pid_ = 0;
  int input_ = -1;
  int output_ = -1;
};

// Whether a shell finds it.
inline bool IsInstalled(const std::string& program) {
  return ChildProgram({"sh", "-c", "command -v " + program}).Wait() == 0;
}

#ifdef E2E_HELPER
class Child : public ChildProgram {
 public:
  explicit Child(std::vector<std::string> arguments)
      : ChildProgram(Command(std::move(arguments))) {}

 private:
  static std::vector<std::string> Command(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), E2E_HELPER);
    return arguments;
  }
};
#endif

}  // namespace grpc_breaker::e2e

#endif  // GRPC_BREAKER_TESTS_E2E_CHILD_H_
