#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_FRAME_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_FRAME_H_

// A screen full of text before it is on a terminal.
//
// Thread-safe: values, and pure functions over them.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "grpc_breaker/fleet/fleet_snapshot.h"
#include "tools/breakerctl/text.h"

namespace grpc_breaker::breakerctl {

struct Piece {
  std::string text;  // UTF-8, without control characters.
  std::optional<Color> color;
  // Light and dark change places: a heading, or what is chosen.
  bool reverse = false;
};

// A line is as wide as its pieces, the first one on the left.
using FrameLine = std::vector<Piece>;
using Frame = std::vector<FrameLine>;

size_t Width(const FrameLine& line);

// No wider than `width`.
FrameLine Cropped(FrameLine line, size_t width);

// The lines without blanks at their ends, with colours where the style has
// them.
std::string ToText(const Frame& frame, const Style& style);

// Calls per second over time, a character each: how many of the most that there
// were in an eighth, and as colours whether any failed or were rejected, or
// half of them. Without `unicode` the characters are ASCII.
FrameLine Sparkline(absl::Span<const internal::FleetRates> rates, bool unicode);

// `text` with a '?' for each character that is not ASCII, unless `unicode`.
std::string Writable(absl::string_view text, bool unicode);

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_FRAME_H_
