#ifndef GRPC_BREAKER_TESTS_BREAKERCTL_FIXTURE_H_
#define GRPC_BREAKER_TESTS_BREAKERCTL_FIXTURE_H_

// Runs the real breakerctl against a real server.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "grpc_breaker/admin_server.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"
#include "tests/fragile_channel.h"

namespace grpc_breaker {

// One run of breakerctl.
class Process {
 public:
  struct Surroundings {
    std::vector<std::string> environment;  // "NAME=value"
    // Standard output is a terminal with so many columns; 0: a pipe.
    int terminal_columns = 0;
  };

  Process(const std::vector<std::string>& arguments,
          const Surroundings& surroundings) {
    int out[2];
    int err[2];
    if (pipe2(err, O_CLOEXEC) != 0) abort();
    if (surroundings.terminal_columns > 0) {
      OpenTerminal(surroundings.terminal_columns, out);
    } else if (pipe2(out, O_CLOEXEC) != 0) {
      abort();
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
    std::vector<std::string> words = {BREAKERCTL};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<std::string> variables = surroundings.environment;
    // For a build with sanitizers: what is known, see lsan.supp.
    if (const char* options = getenv("LSAN_OPTIONS")) {
      variables.push_back(absl::StrCat("LSAN_OPTIONS=", options));
    }
    started_ =
        posix_spawn(&pid_, BREAKERCTL, &actions, nullptr,
                    Pointers(words).data(), Pointers(variables).data()) == 0;
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(err[1]);
    out_ = fdopen(out[0], "r");
    err_ = fdopen(err[0], "r");
    EXPECT_TRUE(started_) << "cannot run " << BREAKERCTL;
  }
  Process(const std::vector<std::string>& arguments,
          const std::string& address_in_environment)
      : Process(arguments, Surroundings{{absl::StrCat("BREAKERCTL_ADDRESS=",
                                                      address_in_environment)},
                                        0}) {}
  ~Process() {
    Stop();
    fclose(out_);
    fclose(err_);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // The next line of the output, without its end; "" at the end of it.
  std::string ReadLine() {
    std::string line;
    for (int c; (c = fgetc(out_)) != EOF && c != '\n';) line += char(c);
    return line;
  }

  std::string ReadOutput() { return ReadAll(out_); }
  std::string ReadErrors() { return ReadAll(err_); }

  // Waits for the end; -1 if there was no exit status.
  int Wait() {
    int status = 0;
    if (!started_ || waitpid(pid_, &status, 0) != pid_) return -1;
    started_ = false;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  // As Wait(), for one that is asked to end by a signal.
  int End(int signal) {
    kill(pid_, signal);
    return Wait();
  }

  // It stands still until Resume().
  void Pause() {
    kill(pid_, SIGSTOP);
    waitpid(pid_, nullptr, WUNTRACED);
  }
  void Resume() { kill(pid_, SIGCONT); }

  void Stop() {
    if (!started_) return;
    kill(pid_, SIGTERM);
    Wait();
  }

 private:
  static std::string ReadAll(FILE* file) {
    std::string text;
    for (int c; (c = fgetc(file)) != EOF;) {
      if (c != '\r') text += char(c);  // Terminals add them.
    }
    return text;
  }

  static std::vector<char*> Pointers(std::vector<std::string>& words) {
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(&word[0]);
    pointers.push_back(nullptr);
    return pointers;
  }

  // Where what is written to fds[1] is read from fds[0].
  static void OpenTerminal(int columns, int fds[2]) {
    fds[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fds[0] < 0 || grantpt(fds[0]) != 0 || unlockpt(fds[0]) != 0) abort();
    fds[1] = open(ptsname(fds[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
    winsize size{};
    size.ws_row = 24;
    size.ws_col = static_cast<unsigned short>(columns);
    if (fds[1] < 0 || ioctl(fds[1], TIOCSWINSZ, &size) != 0) abort();
  }

  bool started_ = false;
  pid_t pid_ = 0;
  FILE* out_ = nullptr;
  FILE* err_ = nullptr;
};

struct Result {
  int code;
  std::string output;
  std::string errors;
  std::vector<std::string> lines() const {
    return absl::StrSplit(output, '\n', absl::SkipEmpty());
  }
};

class BreakerctlFixture : public ::testing::Test {
 protected:
  BreakerctlFixture() {
    std::string name = "/tmp/breakerctl_test.XXXXXX";
    if (mkdtemp(&name[0]) != nullptr) path_ = name;
    server_ = Serve("unix:" + path_ + "/s");
  }

  std::unique_ptr<AdminServer> Serve(
      const std::string& address,
      AdminServerOptions options = AdminServerOptions()) {
    options.directory = &directory_;
    return *AdminServer::Start(address, std::move(options));
  }

  ~BreakerctlFixture() override {
    server_.reset();
    std::filesystem::remove_all(path_);
  }

  // With the server's address in the environment, and time enough.
  Result Run(std::vector<std::string> arguments) {
    arguments.push_back("--timeout=60s");
    return RunAsIs(arguments, server_->address());
  }

  static Result RunAsIs(const std::vector<std::string>& arguments,
                        const std::string& address = "") {
    return RunAsIs(arguments,
                   Process::Surroundings{
                       {absl::StrCat("BREAKERCTL_ADDRESS=", address)}, 0});
  }

  static Result RunAsIs(const std::vector<std::string>& arguments,
                        const Process::Surroundings& surroundings) {
    Process process(arguments, surroundings);
    Result result;
    result.output = process.ReadOutput();
    result.errors = process.ReadErrors();
    result.code = process.Wait();
    return result;
  }

  std::shared_ptr<Registry> MakeChannel(const std::string& name) {
    return MakeFragileChannel(name, &directory_);
  }

  // With the default policy changed, and the time in the test's hands.
  std::shared_ptr<Registry> MakeManualChannel(const std::string& name,
                                              const Policy& policy) {
    Options options;
    options.channel_name = name;
    options.directory = &directory_;
    options.environment = &environment_;
    options.default_policy = policy;
    return *Registry::Create(options);
  }

  static void Open(Method& method) { RecordOutcome(method, Outcome::kFailure); }
  void Fail(Method& method, int times = 1) {
    for (int i = 0; i < times; ++i) {
      method.breaker()
          .TryAcquire(environment_.Now())
          .Record(Outcome::kFailure, environment_.Now());
    }
  }

  // What get says behind "LABEL:"; "" if there is no such line.
  std::string Got(const std::string& method, const std::string& label) {
    const Result result = Run({"get", method});
    EXPECT_EQ(result.code, 0) << result.errors;
    for (const std::string& line : result.lines()) {
      absl::string_view text = line;
      if (absl::ConsumePrefix(&text, label + ":")) {
        return std::string(absl::StripAsciiWhitespace(text));
      }
    }
    return "";
  }

  ManualEnvironment environment_;
  std::string path_;
  Directory directory_;
  std::unique_ptr<AdminServer> server_;
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_TESTS_BREAKERCTL_FIXTURE_H_
