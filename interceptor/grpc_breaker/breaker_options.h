#ifndef GRPC_BREAKER_BREAKER_OPTIONS_H_
#define GRPC_BREAKER_BREAKER_OPTIONS_H_

// What a user sets for a circuit breaker. Free of gRPC.
//
// The defaults open a breaker after 5 failures in a row, or when half of at
// least 20 calls in 10 s failed, keep it open for a minute and close it after
// two probes succeeded. All else is off until it is asked for. Rules combine:
// the first one that holds opens the breaker.
//
// Validate() names the field and the value of the first thing that is wrong,
// in an absl::InvalidArgumentError such as
//   "breaker.open_duration: must be from 1ms to 24h, got -1s".
//
// Thread-compatible: plain values.

#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker {

// When a breaker opens and how it closes again.
struct GRPC_BREAKER_EXPORT BreakerOptions {
  // False lets every call pass and counts nothing: FORCED_CLOSED. Only
  // max_concurrent_calls still holds.
  bool enabled = true;

  // --- When it opens ---

  // After this many failures in a row; 0 turns the rule off.
  int consecutive_failures = 5;

  // When `last_calls_failures` of the last `last_calls` calls failed, however
  // long ago they were. 0 calls turn the rule off; at most 4096.
  int last_calls = 0;
  int last_calls_failures = 0;

  // When at least this share of the calls in the last `window` failed, once
  // there were `minimum_calls` of them. In (0, 1]; 0 turns the rule off.
  double failure_rate = 0.5;
  // When at least this share of them took `slow_call` or longer, whether they
  // failed or not. In (0, 1]; 0 turns the rule off.
  double slow_rate = 0;
  absl::Duration slow_call = absl::InfiniteDuration();  // >= 1 ns
  // From 100 ms to 1 h; counted in tenths, so that the oldest calls are
  // forgotten a tenth of the window at a time.
  absl::Duration window = absl::Seconds(10);
  int minimum_calls = 20;

  // A failure of severity CRITICAL counts as this many failed calls ...
  int critical_weight = 1;
  // ... or opens the breaker at once.
  bool open_on_critical = false;

  // Adaptive throttling after "Handling Overload" in Site Reliability
  // Engineering (Beyer et al., 2016): while CLOSED, refuses a call with the
  // probability max(0, (requests - k * accepts) / (requests + 1)), over the
  // window, where the accepts are the successes and the requests all calls,
  // refused ones included. >= 1; the book has 2; 0 turns it off. Set the rules
  // above to 0 to have the throttle alone.
  double throttle_k = 0;

  // At most this many calls under way at once, whatever the state: also by hand
  // and with `enabled` false, while METRICS_ONLY counts what it would refuse. 0
  // means no bound.
  int max_concurrent_calls = 0;

  // --- How it recovers ---

  // How long the breaker stays OPEN before it lets probes through. When the
  // probes fail, the next time is `open_multiplier` (from 1 to 100) times as
  // long, up to `max_open_duration` or `open_duration`, whichever is longer;
  // once closed, it starts afresh. Both from 1 ms to 24 h.
  absl::Duration open_duration = absl::Seconds(60);
  double open_multiplier = 1;
  absl::Duration max_open_duration = absl::Minutes(10);
  // Spreads the open duration over [1 - j, 1 + j) times its value, so that many
  // clients do not probe at once. In [0, 1]. The cap holds after it, and 1 ms
  // is the least that is left.
  double open_jitter = 0;
  // Whether a server that says how long it wants to be left alone (pushback,
  // google.rpc.RetryInfo) sets the open duration when its failure opens the
  // breaker: capped as above, not jittered, and at least a tenth of
  // open_duration, so that no server can switch its breakers off.
  bool use_server_delay = false;

  // HALF_OPEN: how many probes may be under way at once, and how many of them
  // must succeed before the breaker closes. One failure opens it again.
  int half_open_permits = 3;
  int half_open_successes = 2;
  // If > 0: half_open_permits outcomes are awaited; the breaker opens if at
  // least this share of them failed, else it closes.
  double half_open_failure_rate = 0;
  // Opens again if the probes came to no decision after this long; >= 1 ms.
  absl::Duration half_open_max_wait = absl::InfiniteDuration();
  // Probes that have not reported after this long no longer hold their places.
  // What they report later counts all the same. From 1 ms to 24 h.
  absl::Duration permit_lease = absl::Seconds(60);

  // After HALF_OPEN has closed the breaker, admits these shares of the calls,
  // each for `ramp_step`, before it admits all: {0.1, 0.25, 0.5} against the
  // thundering herd. Each in (0, 1]; at most 16; empty turns it off. A step
  // takes from 1 ms to 24 h.
  std::vector<double> ramp;
  absl::Duration ramp_step = absl::Seconds(10);

  // --- What it tells ---

  // Listeners hear of rejections at most once per this time, with their number.
  // From 1 ns to 24 h.
  absl::Duration rejection_event_interval = absl::Seconds(1);

  absl::Status Validate() const;
};

GRPC_BREAKER_EXPORT bool operator==(const BreakerOptions& a,
                                    const BreakerOptions& b);
inline bool operator!=(const BreakerOptions& a, const BreakerOptions& b) {
  return !(a == b);
}

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_BREAKER_OPTIONS_H_
