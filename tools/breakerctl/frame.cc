#include "tools/breakerctl/frame.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace grpc_breaker::breakerctl {
namespace {

// From nothing to as many as there were.
constexpr absl::string_view kBlocks[] = {" ", "▁", "▂", "▃", "▄",
                                         "▅", "▆", "▇", "█"};
constexpr absl::string_view kAscii[] = {" ", ".", ",", "-", "~",
                                        "+", "*", "%", "#"};
constexpr double kSteps = 8;

// How high the column is: anything can be seen.
size_t HeightOf(double value, double most) {
  if (value <= 0) return 0;
  return static_cast<size_t>(
      std::clamp(std::ceil(kSteps * value / most), 1.0, kSteps));
}

std::optional<Color> ColorOf(const internal::FleetRates& rates) {
  // What was rejected has failed, too, where all of a call was.
  const double bad = std::max(rates.failures, rates.rejections);
  if (bad <= 0) return Color::kGreen;
  return 2 * bad < rates.calls ? Color::kYellow : Color::kRed;
}

bool LooksLike(const Piece& a, const Piece& b) {
  return a.color == b.color && a.reverse == b.reverse;
}

}  // namespace

size_t Width(const FrameLine& line) {
  size_t width = 0;
  for (const Piece& piece : line) width += Width(piece.text);
  return width;
}

FrameLine Cropped(FrameLine line, size_t width) {
  FrameLine cropped;
  for (Piece& piece : line) {
    const size_t length = Width(piece.text);
    if (length > width) piece.text = Beginning(piece.text, width);
    width -= std::min(length, width);
    if (!piece.text.empty()) cropped.push_back(std::move(piece));
  }
  return cropped;
}

std::string ToText(const Frame& frame, const Style& style) {
  std::string text;
  for (const FrameLine& line : frame) {
    std::string painted;
    for (const Piece& piece : line) {
      const bool is_blank = absl::StripAsciiWhitespace(piece.text).empty();
      absl::StrAppend(&painted, piece.color && !is_blank
                                    ? Painted(piece.text, *piece.color, style)
                                    : piece.text);
    }
    absl::StrAppend(&text, absl::StripTrailingAsciiWhitespace(painted), "\n");
  }
  return text;
}

FrameLine Sparkline(absl::Span<const internal::FleetRates> rates,
                    bool unicode) {
  double most = 0;
  for (const internal::FleetRates& rate : rates) {
    most = std::max({most, rate.calls, rate.rejections});
  }
  FrameLine line;
  for (const internal::FleetRates& rate : rates) {
    const size_t height = HeightOf(std::max(rate.calls, rate.rejections), most);
    Piece piece{std::string((unicode ? kBlocks : kAscii)[height]),
                height == 0 ? std::nullopt : ColorOf(rate)};
    if (!line.empty() && LooksLike(line.back(), piece)) {
      line.back().text += piece.text;
    } else {
      line.push_back(std::move(piece));
    }
  }
  return line;
}

std::string Writable(absl::string_view text, bool unicode) {
  std::string result = Printable(text);
  if (unicode) return result;
  std::string ascii;
  for (const char c : result) {
    if (absl::ascii_isascii(c)) {
      ascii += c;
    } else if ((static_cast<unsigned char>(c) & 0xC0) == 0xC0) {
      ascii += '?';  // Where a character begins.
    }
  }
  return ascii;
}

}  // namespace grpc_breaker::breakerctl
