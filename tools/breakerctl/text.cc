#include "tools/breakerctl/text.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace grpc_breaker::breakerctl {
namespace {

// No name is made shorter than this to fit.
constexpr size_t kLeastWidth = 12;

constexpr char kEscape = '\x1b';

// Whether a character of UTF-8 begins with this byte.
bool BeginsCharacter(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
}

// Where character number `n` begins.
size_t ByteOf(absl::string_view text, size_t n) {
  size_t at = 0;
  for (; at < text.size(); ++at) {
    if (BeginsCharacter(text[at]) && n-- == 0) break;
  }
  return at;
}

absl::string_view CodeOf(Color color) {
  switch (color) {
    case Color::kRed:
      return "31";
    case Color::kGreen:
      return "32";
    case Color::kYellow:
      return "33";
    case Color::kMagenta:
      return "35";
    case Color::kCyan:
      return "36";
    case Color::kBold:
      return "1";
    case Color::kDim:
      return "2";
  }
  return "";
}

}  // namespace

std::string Printable(absl::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = [text](size_t at) -> unsigned char {
      return at < text.size() ? text[at] : 0;
    };
    // U+0080 to U+009F steer terminals, too.
    const bool c1 = byte(i) == 0xC2 && byte(i + 1) < 0xA0;
    const bool after_c1 = i > 0 && byte(i - 1) == 0xC2 && byte(i) < 0xA0;
    if (absl::ascii_iscntrl(byte(i)) || c1 || after_c1) {
      absl::StrAppendFormat(&result, "\\x%02x", byte(i));
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string Painted(absl::string_view text, Color color, const Style& style) {
  if (!style.color) return std::string(text);
  return absl::StrFormat("%c[%sm%s%c[0m", kEscape, CodeOf(color), text,
                         kEscape);
}

size_t Width(absl::string_view text) {
  size_t width = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == kEscape) {
      i = std::min(text.find('m', i), text.size());
    } else if (BeginsCharacter(text[i])) {
      ++width;
    }
  }
  return width;
}

std::string Beginning(absl::string_view text, size_t width) {
  return std::string(text.substr(0, ByteOf(text, width)));
}

std::string Shortened(const std::string& text, size_t width) {
  constexpr absl::string_view kGap = "...";
  const size_t length = Width(text);
  if (length <= width) return text;
  const size_t kept = width - kGap.size();
  return absl::StrCat(text.substr(0, ByteOf(text, kept / 2)), kGap,
                      text.substr(ByteOf(text, length - (kept - kept / 2))));
}

std::string Count(int64_t number, absl::string_view noun) {
  return absl::StrCat(number, " ", noun, number == 1 ? "" : "s");
}

std::string Align(std::vector<Row> rows, const Style& style,
                  const Layout& layout) {
  const std::vector<size_t>& names = layout.names;
  std::vector<size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], Width(row[i]));
    }
  }
  size_t total = layout.indent.size() + 2 * (widths.size() - 1);
  for (const size_t column : widths) total += column;
  while (style.width > 0 && !names.empty() &&
         total > static_cast<size_t>(style.width)) {
    const size_t widest = *std::max_element(
        names.begin(), names.end(),
        [&](size_t a, size_t b) { return widths[a] < widths[b]; });
    if (widths[widest] <= kLeastWidth) break;
    --widths[widest];
    --total;
  }
  for (const size_t name : names) {
    for (Row& row : rows) row[name] = Shortened(row[name], widths[name]);
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line(layout.indent);
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&line, row[i],
                      std::string(widths[i] + 2 - Width(row[i]), ' '));
    }
    absl::StrAppend(&text, absl::StripTrailingAsciiWhitespace(line), "\n");
  }
  return text;
}

std::string Wrap(absl::string_view text, size_t indent, size_t width) {
  std::string result;
  size_t column = indent;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (line.data() != text.data()) {
      absl::StrAppend(&result, "\n", std::string(indent, ' '));
      column = indent;
    }
    for (const absl::string_view word :
         absl::StrSplit(line, ' ', absl::SkipEmpty())) {
      const size_t length = Width(word);
      if (column > indent && column + 1 + length > width) {
        absl::StrAppend(&result, "\n", std::string(indent, ' '));
        column = indent;
      }
      if (column > indent) {
        result += ' ';
        ++column;
      }
      absl::StrAppend(&result, word);
      column += length;
    }
  }
  return result;
}

}  // namespace grpc_breaker::breakerctl
