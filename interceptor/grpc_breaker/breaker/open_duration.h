#ifndef GRPC_BREAKER_BREAKER_OPEN_DURATION_H_
#define GRPC_BREAKER_BREAKER_OPEN_DURATION_H_

#include <optional>

#include "absl/time/time.h"
#include "grpc_breaker/breaker_options.h"

namespace grpc_breaker::internal {

// How long a breaker stays OPEN that has opened `reopened` times since it last
// was CLOSED without closing in between (0 for the first time). `uniform` is in
// [0, 1). Thread-safe: a pure function.
absl::Duration OpenDuration(const BreakerOptions& options, int reopened,
                            double uniform,
                            std::optional<absl::Duration> server_delay);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_OPEN_DURATION_H_
