#ifndef GRPC_BREAKER_STOP_REASON_H_
#define GRPC_BREAKER_STOP_REASON_H_

// Why a call made no further attempt.
//
// Thread-safe: pure functions over values.

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker {

enum class StopReason : uint8_t {
  kSucceeded,
  kExhausted,      // All attempts that there may be were made.
  kBudget,         // The retry budget was empty.
  kDeadline,       // Another one would not have ended before the deadline.
  kPushback,       // The server asked not to retry.
  kNotRetryable,   // Another one would not have helped.
  kNotRepeatable,  // The server may have seen it, and repeating is not safe.
  kBreakerOpen,    // The breaker refused.
  kCommitted,      // The application had seen something of the answer.
  kCancelled,      // By the application.
};
inline constexpr size_t kStopReasons = 10;

// "EXHAUSTED", "NOT_REPEATABLE", ...
GRPC_BREAKER_EXPORT absl::string_view ToString(StopReason reason);

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_STOP_REASON_H_
