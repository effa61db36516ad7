#include "tools/breakerctl/terminal.h"

#include <langinfo.h>

#include <clocale>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#ifdef BREAKERCTL_NCURSES

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <utility>

#define NCURSES_NOMACROS
#define NCURSES_WIDECHAR 1
#include <curses.h>

#include "absl/strings/str_cat.h"

#endif

namespace grpc_breaker::breakerctl {

bool Terminal::IsUnicode() {
  std::setlocale(LC_CTYPE, "");
  return absl::string_view(nl_langinfo(CODESET)) == "UTF-8";
}

#ifndef BREAKERCTL_NCURSES

bool Terminal::IsSupported() { return false; }

absl::StatusOr<std::unique_ptr<Terminal>> Terminal::Open(bool) {
  return absl::UnimplementedError(
      "this build has no ncurses: use list, watch, or top --once");
}

#else

namespace {

// Set by a handler, which may do nothing else.
volatile sig_atomic_t last_signal = 0;

void NoteSignal(int signal) { last_signal = signal; }

// Notes these instead of what they would do, until its end.
class Signals {
 public:
  Signals() {
    last_signal = 0;
    struct sigaction action = {};
    action.sa_handler = NoteSignal;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < kSignals.size(); ++i) {
      sigaction(kSignals[i], &action, &before_[i]);
    }
  }
  ~Signals() {
    for (size_t i = 0; i < kSignals.size(); ++i) {
      sigaction(kSignals[i], &before_[i], nullptr);
    }
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  static constexpr std::array<int, 3> kSignals = {SIGINT, SIGTERM, SIGHUP};
  std::array<struct sigaction, 3> before_;
};

constexpr wint_t kControlL = 12;

// Pairs of colours, by their numbers.
short PairOf(Color color) {
  switch (color) {
    case Color::kRed:
      return COLOR_RED;
    case Color::kGreen:
      return COLOR_GREEN;
    case Color::kYellow:
      return COLOR_YELLOW;
    case Color::kMagenta:
      return COLOR_MAGENTA;
    case Color::kCyan:
      return COLOR_CYAN;
    default:
      return 0;
  }
}

std::string ToMultibyte(wint_t character) {
  char bytes[MB_LEN_MAX];
  std::mbstate_t state = {};
  const size_t size =
      std::wcrtomb(bytes, static_cast<wchar_t>(character), &state);
  return size == static_cast<size_t>(-1) ? "" : std::string(bytes, size);
}

std::optional<Key> ToKey(wint_t code) {
  switch (code) {
    case KEY_UP:
      return Key{Key::kUp, ""};
    case KEY_DOWN:
      return Key{Key::kDown, ""};
    case KEY_PPAGE:
      return Key{Key::kPageUp, ""};
    case KEY_NPAGE:
      return Key{Key::kPageDown, ""};
    case KEY_HOME:
      return Key{Key::kHome, ""};
    case KEY_END:
      return Key{Key::kEnd, ""};
    case KEY_ENTER:
      return Key{Key::kEnter, ""};
    case KEY_BACKSPACE:
      return Key{Key::kBackspace, ""};
    default:
      return std::nullopt;
  }
}

std::optional<Key> ToTextKey(wint_t character) {
  switch (character) {
    case '\r':
    case '\n':
      return Key{Key::kEnter, ""};
    case '\x1b':
      return Key{Key::kEscape, ""};
    case '\b':
    case '\x7f':
      return Key{Key::kBackspace, ""};
    default:
      break;
  }
  if (character < ' ') return std::nullopt;
  std::string text = ToMultibyte(character);
  if (text.empty()) return std::nullopt;
  return Key{Key::kText, std::move(text)};
}

class CursesTerminal final : public Terminal {
 public:
  // Of a screen that has just been made, and is the current one.
  CursesTerminal(std::unique_ptr<Signals> signals, SCREEN* screen, bool color)
      : signals_(std::move(signals)), screen_(screen) {
    // Keys come one by one and are not echoed; those of several bytes are put
    // together, for which Escape waits so long.
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    set_escdelay(25);
    curs_set(0);
    // What is shown is there at once, and nothing is asked here.
    wtimeout(stdscr, 0);
    if (color && has_colors() && start_color() == OK) {
      color_ = true;
      const short background = use_default_colors() == OK ? -1 : COLOR_BLACK;
      for (const Color each : {Color::kRed, Color::kGreen, Color::kYellow,
                               Color::kMagenta, Color::kCyan}) {
        init_pair(PairOf(each), PairOf(each), background);
      }
    }
  }

  ~CursesTerminal() override {
    endwin();
    delscreen(screen_);
  }

  size_t width() const override { return static_cast<size_t>(getmaxx(stdscr)); }
  size_t height() const override {
    return static_cast<size_t>(getmaxy(stdscr));
  }

  void Show(const Frame& frame) override {
    werase(stdscr);
    for (size_t i = 0; i < frame.size() && i < height(); ++i) {
      wmove(stdscr, static_cast<int>(i), 0);
      for (const Piece& piece : frame[i]) {
        wattrset(stdscr, static_cast<int>(AttributesOf(piece)));
        waddnstr(stdscr, piece.text.data(),
                 static_cast<int>(piece.text.size()));
      }
    }
    wattrset(stdscr, A_NORMAL);
    wrefresh(stdscr);
  }

  std::optional<Key> ReadKey(absl::Duration timeout) override {
    std::optional<Key> key = ReadNow();
    if (key || signal() != 0) return key;
    pollfd input = {STDIN_FILENO, POLLIN, 0};
    poll(&input, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout)));
    if ((input.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0 &&
        (input.revents & POLLIN) == 0) {
      hung_up_ = true;
    }
    return ReadNow();
  }

  int signal() const override { return hung_up_ ? SIGHUP : last_signal; }

 private:
  static std::optional<Key> ReadNow() {
    wint_t character = 0;
    switch (wget_wch(stdscr, &character)) {
      case OK:
        // All of it anew, after somebody else has written to the terminal.
        if (character == kControlL) wrefresh(curscr);
        return ToTextKey(character);
      case KEY_CODE_YES:
        return ToKey(character);
      default:
        return std::nullopt;
    }
  }

  attr_t AttributesOf(const Piece& piece) const {
    attr_t attributes = piece.reverse ? A_REVERSE : A_NORMAL;
    if (!piece.color) return attributes;
    if (*piece.color == Color::kBold) return attributes | A_BOLD;
    if (*piece.color == Color::kDim) return attributes | A_DIM;
    if (color_) {
      attributes |= static_cast<attr_t>(COLOR_PAIR(PairOf(*piece.color)));
    }
    return attributes;
  }

  const std::unique_ptr<Signals> signals_;
  SCREEN* const screen_;
  bool color_ = false;
  bool hung_up_ = false;
};

}  // namespace

bool Terminal::IsSupported() { return true; }

absl::StatusOr<std::unique_ptr<Terminal>> Terminal::Open(bool color) {
  std::setlocale(LC_CTYPE, "");
  // First, since ncurses sees to those that nobody else does.
  auto signals = std::make_unique<Signals>();
  SCREEN* const screen = newterm(nullptr, stdout, stdin);
  if (screen == nullptr) {
    const char* name = std::getenv("TERM");
    return absl::FailedPreconditionError(
        absl::StrCat("the terminal \"", name == nullptr ? "" : name,
                     "\" ($TERM) is not known, or cannot do it: use list, "
                     "watch, or top --once"));
  }
  return std::make_unique<CursesTerminal>(std::move(signals), screen, color);
}

#endif

}  // namespace grpc_breaker::breakerctl
