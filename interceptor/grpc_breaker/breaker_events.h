#ifndef GRPC_BREAKER_BREAKER_EVENTS_H_
#define GRPC_BREAKER_BREAKER_EVENTS_H_

// The words in which a circuit breaker speaks: its states, why it refuses, what
// it counted, and the events that listeners hear.
//
// Thread-compatible: plain values.

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker {

enum class BreakerState : uint8_t {
  kClosed,    // Calls pass and are counted.
  kOpen,      // Calls are refused until the open duration is over.
  kHalfOpen,  // A few probes pass, and their outcomes decide.
  // By hand, until reset or until their time is over:
  kForcedOpen,    // Calls are refused, whatever the time.
  kForcedClosed,  // Calls pass, but for the bulkhead; nothing is counted.
  kMetricsOnly,   // Calls pass; what would have been refused is counted.
};

enum class RejectionReason : uint8_t {
  kOpen,           // The breaker is OPEN.
  kHalfOpenLimit,  // HALF_OPEN, and all probes are under way.
  kForcedOpen,     // Somebody holds the breaker open.
  kThrottled,      // The adaptive throttle sheds load.
  kRamp,           // Just closed, and not yet admitting all calls again.
  kBulkhead,       // As many calls as allowed are under way.
};

struct Rejection {
  RejectionReason reason = RejectionReason::kOpen;
  BreakerState state = BreakerState::kOpen;
  // How long the refusal is known to last, from the time of asking; >= 0, and
  // 0 where that depends on other calls.
  absl::Duration retry_after;
};

// The counts of the window at one moment.
struct GRPC_BREAKER_EXPORT WindowCounts {
  int64_t successes = 0;
  int64_t failures = 0;
  int64_t slow = 0;  // Of the calls; a slow call succeeded or failed as well.

  int64_t calls() const { return successes + failures; }
  // In [0, 1]; 0 without calls.
  double failure_rate() const;
  double slow_rate() const;
};

// By which rule of BreakerOptions a breaker opens.
enum class TripRule : uint8_t {
  kConsecutiveFailures,
  kLastCalls,
  kFailureRate,
  kSlowRate,
  kCriticalFailure,
};

// One change of state, told to listeners once and in order; `from` and `to`
// differ.
struct BreakerTransition {
  std::string breaker;  // The breaker's name.
  // In which channel, as its registry names it; empty for a breaker of one's
  // own and in its History().
  std::string channel;
  BreakerState from = BreakerState::kClosed;
  BreakerState to = BreakerState::kClosed;
  std::string cause;    // For people: "5 consecutive failures", ...
  WindowCounts counts;  // At the moment of the change.
  MonotonicTime at;     // Never before an earlier one's.
  absl::Time wall_time;
};

// Calls that were refused; told at most once per rejection_event_interval. Each
// refused call is in the number of exactly one event, or was refused after the
// last one.
struct BreakerRejections {
  std::string breaker;
  std::string channel;
  RejectionReason last_reason = RejectionReason::kOpen;
  uint64_t rejections = 0;  // Since the last event.
  MonotonicTime at;
};

// A counted call that took slow_call or longer.
struct BreakerSlowCall {
  std::string breaker;
  std::string channel;
  absl::Duration took;  // Until its response began, where that was noted.
  bool failed = false;
  MonotonicTime at;
};

// A rule has found what opens the breaker: a transition follows, unless the
// breaker is METRICS_ONLY.
struct BreakerThreshold {
  std::string breaker;
  std::string channel;
  TripRule rule = TripRule::kConsecutiveFailures;
  WindowCounts counts;
  MonotonicTime at;
};

// Events that are not told, because the listener was too slow and too many
// waited: other events first, changes of state last.
struct BreakerEventsDropped {
  std::string breaker;
  std::string channel;
  uint64_t dropped = 0;  // Since the last event of this kind.
  MonotonicTime at;
  absl::Time wall_time;
};

// Hears what breakers do: one event at a time per breaker and in their order,
// after all locks are released. May call the breaker, and destroy it.
//
// A call tells what it caused itself on its own thread, unless another event of
// that breaker is being told; the others come on a thread of the environment.
// So a listener that blocks delays the call that caused the event, and the
// events after it. At most 256 events of a breaker wait; see
// BreakerEventsDropped.
//
// Should not throw. An event whose listener throws counts as told; the breaker
// counts it (BreakerSnapshot::events_failed), and everything else goes on.
class GRPC_BREAKER_EXPORT BreakerListener {
 public:
  virtual ~BreakerListener() = default;
  virtual void OnTransition(const BreakerTransition& /*transition*/) {}
  virtual void OnRejections(const BreakerRejections& /*rejections*/) {}
  virtual void OnSlowCall(const BreakerSlowCall& /*call*/) {}
  virtual void OnThreshold(const BreakerThreshold& /*threshold*/) {}
  virtual void OnEventsDropped(const BreakerEventsDropped& /*dropped*/) {}
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

// "CLOSED", "OPEN", "HALF_OPEN", "FORCED_OPEN", ...
GRPC_BREAKER_EXPORT absl::string_view ToString(BreakerState state);
// "OPEN", "HALF_OPEN_LIMIT", ...
GRPC_BREAKER_EXPORT absl::string_view ToString(RejectionReason reason);
// "CONSECUTIVE_FAILURES", ...
GRPC_BREAKER_EXPORT absl::string_view ToString(TripRule rule);

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_BREAKER_EVENTS_H_
