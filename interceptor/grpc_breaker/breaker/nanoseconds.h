#ifndef GRPC_BREAKER_BREAKER_NANOSECONDS_H_
#define GRPC_BREAKER_BREAKER_NANOSECONDS_H_

// Times of the monotonic clock as numbers that fit an atomic.
//
// Thread-safe: pure functions.

#include <chrono>
#include <cstdint>
#include <limits>

#include "grpc_breaker/environment.h"

namespace grpc_breaker::internal {

inline constexpr int64_t kNeverNs = std::numeric_limits<int64_t>::max();

inline int64_t Nanoseconds(MonotonicTime time) {
  return time.time_since_epoch().count();
}

inline MonotonicTime AtNanoseconds(int64_t ns) {
  return MonotonicTime(std::chrono::nanoseconds(ns));
}

// The end of a duration that starts at `now_ns`; kNeverNs if it is infinite.
inline int64_t AddSaturated(int64_t now_ns, int64_t duration_ns) {
  return duration_ns > kNeverNs - now_ns ? kNeverNs : now_ns + duration_ns;
}

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_NANOSECONDS_H_
