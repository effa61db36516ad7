#ifndef GRPC_BREAKER_BREAKER_EVENTS_H_
#define GRPC_BREAKER_BREAKER_EVENTS_H_

// What a circuit breaker counts, and the events that listeners hear.
//
// Thread-compatible: plain values.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpc_breaker/breaker_state.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/rejection.h"

namespace grpc_breaker {

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

// One change of state. Listeners hear each once and in order; `from` and `to`
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

// Calls that were refused; at most one such event per rejection_event_interval.
// Each refused call is counted by exactly one event, or was refused after the
// last one.
struct BreakerRejections {
  std::string breaker;
  std::string channel;
  RejectionReason last_reason = RejectionReason::kOpen;
  uint64_t rejections = 0;  // Since the last event.
  MonotonicTime at;
  absl::Time wall_time;  // When this is told.
};

// A counted call that took slow_call or longer.
struct BreakerSlowCall {
  std::string breaker;
  std::string channel;
  absl::Duration took;  // Until its response began, where that was noted.
  bool failed = false;
  MonotonicTime at;
};

// A rule for opening the breaker is met: a transition follows, unless the
// breaker is METRICS_ONLY.
struct BreakerThreshold {
  std::string breaker;
  std::string channel;
  TripRule rule = TripRule::kConsecutiveFailures;
  WindowCounts counts;
  MonotonicTime at;
};

// Events that were dropped, because the listener was too slow and too many
// waited: other events first, changes of state last.
struct BreakerEventsDropped {
  std::string breaker;
  std::string channel;
  uint64_t dropped = 0;  // Since the last event of this kind.
  MonotonicTime at;
  absl::Time wall_time;
};

// Something that a policy asks for and will not get: the channel's listeners
// hear it once, on the thread that creates the channel or gives it other
// policies.
struct PolicyWarning {
  std::string channel;  // Empty if there is none yet.
  std::string field;    // "methods[/pkg.Service/Method].retry.max_retries"
  std::string message;  // For people.
  absl::Time wall_time;
};

// A change of breakers that somebody has asked the admin service for, whether
// it was made or refused. Texts from outside have at most 256 bytes each, which
// may be any, and names of methods and channels as many as those have.
struct BreakerAudit {
  std::string rpc;  // "ForceOpen", ...
  // Of which breakers: one of the first two is set; an empty channel is all.
  std::string method;
  std::string method_prefix;
  std::string channel;
  std::string reason;
  std::string actor;
  // The authorizer has said that it was the actor; else the request has.
  bool authenticated = false;
  std::string peer;  // Where it came from: "ipv4:10.1.2.3:40000", "unix:", ...
  absl::Duration time_to_live = absl::InfiniteDuration();
  absl::Status status;  // OK: made; else why not.
  int changed = 0;      // So many breakers.
  // How the policy of the first of them differs, "retry.max_retries: 2 -> 5",
  // for at most 16 fields.
  std::vector<std::string> policy_changes;
  MonotonicTime at;
  absl::Time wall_time;
};

// What a channel's policy source (policy_source.h) says has changed: the
// channel's listeners hear whether that is in force.
struct PolicyReload {
  std::string channel;
  std::string source;  // A path.
  std::string hash;    // Of what is in force now, if there is no error.
  std::string error;   // Why policies stay as they were; empty: they do not.
  absl::Time wall_time;
};

// Hears what breakers do: one event at a time per breaker and in their order,
// after all locks are released. May call the breaker, and destroy it.
//
// An event comes on the thread of the call that caused it, unless another event
// of that breaker waits or is being delivered; then it comes on a thread of the
// environment. So a listener that blocks delays the call that caused the event,
// and the events after it. At most 256 events of a breaker wait; see
// BreakerEventsDropped.
//
// Should not throw. An event at which the listener throws is not repeated; the
// breaker counts it (BreakerSnapshot::events_failed), and goes on.
class GRPC_BREAKER_EXPORT BreakerListener {
 public:
  virtual ~BreakerListener() = default;
  virtual void OnTransition(const BreakerTransition& /*transition*/) {}
  virtual void OnRejections(const BreakerRejections& /*rejections*/) {}
  virtual void OnSlowCall(const BreakerSlowCall& /*call*/) {}
  virtual void OnThreshold(const BreakerThreshold& /*threshold*/) {}
  virtual void OnEventsDropped(const BreakerEventsDropped& /*dropped*/) {}
  virtual void OnPolicyWarning(const PolicyWarning& /*warning*/) {}
  // For listeners of an admin service (AdminServiceOptions): before the answer,
  // on a thread of the environment; several may come at the same time.
  virtual void OnAudit(const BreakerAudit& /*audit*/) {}
  virtual void OnPolicyReload(const PolicyReload& /*reload*/) {}
};

// "CONSECUTIVE_FAILURES", ...
GRPC_BREAKER_EXPORT absl::string_view ToString(TripRule rule);

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_BREAKER_EVENTS_H_
