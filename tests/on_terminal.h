#ifndef GRPC_BREAKER_TESTS_ON_TERMINAL_H_
#define GRPC_BREAKER_TESTS_ON_TERMINAL_H_

// Runs the real breakerctl on a terminal.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace grpc_breaker {

// breakerctl as the leader of a session that has a terminal of its own.
class OnTerminal {
 public:
  OnTerminal(std::vector<std::string> words,
             std::vector<std::string> environment) {
    master_ = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master_ < 0 || grantpt(master_) != 0 || unlockpt(master_) != 0) abort();
    const std::string name = ptsname(master_);
    // Keeps it open, so that what is written at the end can be read.
    terminal_ = open(name.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
    Resize(120, 24);
    tcgetattr(terminal_, &before_);

    words.insert(words.begin(), BREAKERCTL);
    if (const char* options = getenv("LSAN_OPTIONS")) {
      environment.push_back(absl::StrCat("LSAN_OPTIONS=", options));
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    // The first terminal that a leader opens is its session's.
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, name.c_str(),
                                     O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDERR_FILENO);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    EXPECT_EQ(posix_spawn(&pid_, BREAKERCTL, &actions, &attributes,
                          Pointers(words).data(), Pointers(environment).data()),
              0);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
  }
  ~OnTerminal() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    HangUp();
  }
  OnTerminal(const OnTerminal&) = delete;
  OnTerminal& operator=(const OnTerminal&) = delete;

  void Type(const std::string& keys) {
    EXPECT_EQ(write(master_, keys.data(), keys.size()),
              static_cast<ssize_t>(keys.size()));
  }
  void Signal(int signal) { kill(pid_, signal); }
  void Resize(unsigned short columns, unsigned short rows) {
    winsize size{};
    size.ws_col = columns;
    size.ws_row = rows;
    EXPECT_EQ(ioctl(master_, TIOCSWINSZ, &size), 0);
  }

  // Whether `text`, a word, is on the screen at last: all of that is written
  // anew as long as it is not.
  bool Shows(const std::string& text) {
    written_.clear();
    const auto give_up =
        std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::chrono::steady_clock::now() < give_up) {
      while (Read(/*milliseconds=*/20)) {
      }
      if (absl::StrContains(written_, text)) return true;
      Type("\x0c");
    }
    ADD_FAILURE() << "no \"" << text << "\" in " << written_;
    return false;
  }
  // All that was written since Shows() was called last.
  const std::string& written() const { return written_; }

  // How it ended, as waitpid() tells it; and reads what it has written.
  int Wait() {
    int status = 0;
    while (waitpid(pid_, &status, WNOHANG) == 0) Read(/*milliseconds=*/10);
    pid_ = 0;
    while (Read(/*milliseconds=*/0)) {
    }
    return status;
  }

  // The terminal is as it was.
  bool IsRestored() const {
    termios now{};
    tcgetattr(terminal_, &now);
    return now.c_iflag == before_.c_iflag && now.c_oflag == before_.c_oflag &&
           now.c_lflag == before_.c_lflag && LeftItsScreen();
  }

  // Nobody is at the terminal any more.
  void HangUp() {
    if (master_ < 0) return;
    close(terminal_);
    close(master_);
    master_ = -1;
  }

 private:
  static std::vector<char*> Pointers(std::vector<std::string>& words) {
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(&word[0]);
    pointers.push_back(nullptr);
    return pointers;
  }

  // The sequence by which xterm goes back to the screen that it had before.
  bool LeftItsScreen() const {
    const size_t entered = written_.rfind("\x1b[?1049h");
    const size_t left = written_.rfind("\x1b[?1049l");
    return left != std::string::npos &&
           (entered == std::string::npos || entered < left);
  }

  // What is there, or comes within that time. False: nothing.
  bool Read(int milliseconds) {
    pollfd ready = {master_, POLLIN, 0};
    if (poll(&ready, 1, milliseconds) <= 0 || (ready.revents & POLLIN) == 0) {
      return false;
    }
    char bytes[4096];
    const ssize_t size = read(master_, bytes, sizeof(bytes));
    if (size <= 0) return false;
    written_.append(bytes, static_cast<size_t>(size));
    return true;
  }

  pid_t pid_ = 0;
  int master_ = -1;
  int terminal_ = -1;
  termios before_{};
  std::string written_;
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_TESTS_ON_TERMINAL_H_
