#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_TEXT_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_TEXT_H_

// Text for people: what fits into a terminal, in columns and in colour.
//
// Thread-safe: pure functions over values.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace grpc_breaker::breakerctl {

// What the output is made for.
struct Style {
  // How many columns there are to fit into; 0: any number.
  int width = 0;
  // Whether escape sequences are understood.
  bool color = false;
};

// Those that every terminal has, by its user's theme.
enum class Color { kRed, kGreen, kYellow, kMagenta, kCyan, kBold, kDim };

// `text`, which is UTF-8, with its control characters as "\x1b": what comes
// from elsewhere cannot steer the terminal.
std::string Printable(absl::string_view text);

// `text` in that colour, where the style has colours.
std::string Painted(absl::string_view text, Color color, const Style& style);

// How many columns `text` takes: a character, which is in UTF-8, takes one, and
// what Painted() adds none.
size_t Width(absl::string_view text);

// Its first characters, `width` columns wide. `text` is not painted.
std::string Beginning(absl::string_view text, size_t width);

// "begin...end", `width` columns wide, where that is shorter. `width` >= 3, and
// `text` is not painted.
std::string Shortened(const std::string& text, size_t width);

// "1 call", "2 calls".
std::string Count(int64_t number, absl::string_view noun);

using Row = std::vector<std::string>;

struct Layout {
  // Before each line.
  std::string indent;
  // The columns of names: they are shortened, the widest first, where the lines
  // are wider than the style is.
  std::vector<size_t> names;
};

// A line for each row, in columns two blanks apart.
std::string Align(std::vector<Row> rows, const Style& style = {},
                  const Layout& layout = {});

// `text` in lines of at most `width` columns, as far as its words allow; each
// but the first behind `indent` blanks, which count. Line breaks in it stay.
std::string Wrap(absl::string_view text, size_t indent, size_t width);

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_TEXT_H_
