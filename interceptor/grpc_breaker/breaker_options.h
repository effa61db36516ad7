#ifndef GRPC_BREAKER_BREAKER_OPTIONS_H_
#define GRPC_BREAKER_BREAKER_OPTIONS_H_

// What a user sets for a circuit breaker. Free of gRPC.
//
// Validate() names the field and the value of the first thing that is wrong,
// in an absl::InvalidArgumentError such as
//   "retry.base_delay: must be greater than 0, got -1s".
//
// Thread-compatible: plain values.

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace grpc_breaker {

// When a breaker opens and how it closes again.
struct BreakerOptions {
  // False lets every call pass and counts nothing.
  bool enabled = true;

  // Opens after this many failures in a row; 0 turns the rule off.
  int consecutive_failures = 5;

  // Opens when at least this share of the calls in the last `window` failed,
  // once there were `minimum_calls` of them. In (0, 1]; 0 turns the rule off.
  double failure_rate = 0.5;
  absl::Duration window = absl::Seconds(10);
  int minimum_calls = 20;

  // How long the breaker stays OPEN before it lets probes through.
  absl::Duration open_duration = absl::Seconds(60);

  // HALF_OPEN: how many probes may be under way at once, and how many of them
  // must succeed before the breaker closes. One failure opens it again.
  int half_open_permits = 3;
  int half_open_successes = 2;
  // A probe that has not reported after this long no longer holds its permit.
  absl::Duration permit_lease = absl::Seconds(60);

  absl::Status Validate() const;
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_BREAKER_OPTIONS_H_
