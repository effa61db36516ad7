#include "grpc_breaker/breaker/open_duration.h"

#include <algorithm>
#include <cmath>

namespace grpc_breaker::internal {
namespace {

constexpr absl::Duration kLeastOpenDuration = absl::Milliseconds(1);

}  // namespace

absl::Duration OpenDuration(const BreakerOptions& options, int reopened,
                            double uniform,
                            std::optional<absl::Duration> server_delay) {
  const absl::Duration cap =
      std::max(options.max_open_duration, options.open_duration);
  if (options.use_server_delay && server_delay) {
    const absl::Duration floor =
        std::max(options.open_duration / 10, kLeastOpenDuration);
    return std::clamp(*server_delay, floor, cap);
  }
  // Grows step by step and stops at the cap, so that it cannot overflow.
  absl::Duration duration = options.open_duration;
  for (int i = 0; i < reopened && options.open_multiplier > 1; ++i) {
    duration *= options.open_multiplier;
    if (duration >= cap) break;
  }
  duration = std::min(duration, cap);
  if (options.open_jitter > 0) {
    duration *= 1 + options.open_jitter * (2 * uniform - 1);
  }
  return std::clamp(duration, kLeastOpenDuration, cap);
}

}  // namespace grpc_breaker::internal
