#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_TERMINAL_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_TERMINAL_H_

// The terminal of this process, all of its screen, by ncurses: a build without
// that has none.
//
// What the terminal was before comes back when this ends. Until then SIGINT,
// SIGTERM and SIGHUP do not end the process, but are told of.
//
// Thread-compatible; one at a time.

#include <cstddef>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tools/breakerctl/frame.h"
#include "tools/breakerctl/top_screen.h"

namespace grpc_breaker::breakerctl {

class Terminal {
 public:
  // Fails if this build has no ncurses, or ncurses does not know the terminal.
  static absl::StatusOr<std::unique_ptr<Terminal>> Open(bool color);
  // Whether this build can.
  static bool IsSupported();
  // Whether characters that are not ASCII can be shown, by the locale of the
  // environment; numbers are written as ever.
  static bool IsUnicode();

  virtual ~Terminal() = default;

  // What it has now.
  virtual size_t width() const = 0;
  virtual size_t height() const = 0;

  virtual void Show(const Frame& frame) = 0;

  // The next key; nothing after `timeout`, or when something else than a key
  // has come, such as another size.
  virtual std::optional<Key> ReadKey(absl::Duration timeout) = 0;

  // The signal that has come to end all of this, or SIGHUP where nobody is at
  // the terminal any more; 0: none.
  virtual int signal() const = 0;
};

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_TERMINAL_H_
