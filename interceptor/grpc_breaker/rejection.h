#ifndef GRPC_BREAKER_REJECTION_H_
#define GRPC_BREAKER_REJECTION_H_

// Why a circuit breaker refuses an attempt, and the absl::Status that says so;
// grpc_status.h has the same for grpc::Status.
//
// Thread-safe: pure functions over values.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpc_breaker/breaker_state.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker {

enum class RejectionReason : uint8_t {
  kOpen,           // The breaker is OPEN.
  kHalfOpenLimit,  // HALF_OPEN, and all probes are under way.
  kForcedOpen,     // Somebody holds the breaker open.
  kThrottled,      // The adaptive throttle sheds load.
  kRamp,           // Just closed, and not yet admitting all calls again.
  kBulkhead,       // As many calls as allowed are under way.
};
inline constexpr size_t kRejectionReasons = 6;

struct Rejection {
  RejectionReason reason = RejectionReason::kOpen;
  BreakerState state = BreakerState::kOpen;
  // How long the refusal is known to last, from the time of asking; >= 0, and
  // 0 where that depends on other calls.
  absl::Duration retry_after;
};

// The status of a call that was refused: UNAVAILABLE, with a message for people
// and payloads by which IsBreakerRejection tells it from a server's word.
GRPC_BREAKER_EXPORT std::string RejectionMessage(absl::string_view breaker,
                                                 const Rejection& rejection);
GRPC_BREAKER_EXPORT absl::Status RejectionStatus(absl::string_view breaker,
                                                 const Rejection& rejection);
GRPC_BREAKER_EXPORT bool IsBreakerRejection(const absl::Status& status);
// The retry-after of such a status; nothing for any other.
GRPC_BREAKER_EXPORT std::optional<absl::Duration> RejectionRetryAfter(
    const absl::Status& status);
// The payload's type URL.
inline constexpr absl::string_view kBreakerRejectionTypeUrl =
    "type.googleapis.com/grpc_breaker.v1.BreakerRejection";
// Beside it lies the retry-after under this name, as text, so that it can be
// read without protobuf. It never comes from a server.
inline constexpr absl::string_view kRejectionRetryAfterPayload =
    "grpc_breaker/retry-after";

// "OPEN", "HALF_OPEN_LIMIT", ...
GRPC_BREAKER_EXPORT absl::string_view ToString(RejectionReason reason);

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_REJECTION_H_
