#ifndef GRPC_BREAKER_RETRY_OPTIONS_H_
#define GRPC_BREAKER_RETRY_OPTIONS_H_

// What a user sets for retries, hedges and the retry budget. Free of gRPC.
//
// Validate() names the field and the value of the first thing that is wrong,
// in an absl::InvalidArgumentError such as
//   "retry.base_delay: must be at least 1ns, got -1s".
//
// Thread-compatible: plain values.

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker {

// How a backoff is randomised. d is the exponential delay
// min(base_delay * exponential_base^n, max_delay); whatever the kind, the
// result is capped by max_delay again.
enum class Jitter {
  kNone,           // d
  kPlusMinusHalf,  // d * U[0.5, 1.5)
  kFull,           // U[0, d)                 (AWS, "full jitter")
  kEqual,          // d / 2 + U[0, d / 2)     (AWS, "equal jitter")
  kDecorrelated,   // U[base_delay, 3 * previous delay)  (AWS)
  kGrpcA6,         // d * U[0.8, 1.2)         (gRFC A6)
};

struct GRPC_BREAKER_EXPORT RetryOptions {
  // Attempts after the first one, 0 to 100; 0 turns retries off.
  int max_retries = 3;
  // Backoff before the first retry. >= 1 ns, finite.
  absl::Duration base_delay = absl::Seconds(1);
  // No backoff is longer, jitter included. >= base_delay, finite.
  absl::Duration max_delay = absl::Seconds(60);
  // Growth from one backoff to the next; 1 keeps them the same. > 0, finite.
  double exponential_base = 2.0;
  Jitter jitter = Jitter::kPlusMinusHalf;

  absl::Status Validate() const;
};

// Attempts beside those under way, off by default (gRFC A6, "Hedging Policy";
// Dean and Barroso, "The Tail at Scale"): if a call has no answer after a
// delay, it is made once more, and whichever attempt is answered first is the
// call's. Its other attempts are cancelled then. One that fails in a way which
// could be retried has the next one made at once, or when the server asks for
// it; one that fails otherwise ends the call. There is no backoff: for calls
// that are hedged, RetryOptions say nothing. Unary calls only.
struct GRPC_BREAKER_EXPORT HedgingOptions {
  // Attempts after the first one, 0 to 100; 0 turns hedging off.
  int max_hedges = 0;
  // From one attempt to the next. 0 makes all of them at once. >= 0, finite.
  absl::Duration delay = absl::Milliseconds(100);
  // Takes for the delay what this share of the method's successful attempts in
  // the last minute took at most, once there were ten. From 0 to 100, such as
  // 95; 0 turns it off.
  double delay_percentile = 0;

  // Whether there is hedging.
  bool on() const { return max_hedges > 0; }

  absl::Status Validate() const;
};

// Retries of streaming calls, off by default. What a call sends is kept for
// further attempts until it commits: once the application is shown a message or
// the server's initial metadata, or the buffer is full. How often and how soon
// it is retried, RetryOptions say.
struct GRPC_BREAKER_EXPORT StreamRetryOptions {
  bool enabled = false;
  // What one call keeps, from 1 to 2^30 bytes, some 60 for each message
  // included.
  int64_t replay_buffer_bytes = 256 * 1024;

  absl::Status Validate() const;
};

// What all streaming calls of the process keep together; one that finds no room
// commits. 64 MiB unless set. Thread-safe; holds for what is kept from now on.
GRPC_BREAKER_EXPORT void SetReplayBytesOfProcess(int64_t bytes);

// What bounds the retries of all calls together, in either of two ways or in
// both; without one there is no budget.
//
// Tokens are gRFC A6's retry throttling: each failure that could be retried
// takes one token, each success gives token_ratio back, and there are no
// retries while half of the tokens or fewer are left.
//
// The ratio is that of Finagle and Envoy: retries are at most this share of the
// calls in the last `window`, but may always be min_retries_per_second, so that
// a client with few calls can retry at all.
struct GRPC_BREAKER_EXPORT RetryBudgetOptions {
  // From 0.001 to 1000; 0 turns tokens off. Three decimals count.
  double max_tokens = 0;
  // From 0.001 to 1000; three decimals count.
  double token_ratio = 0.1;

  // From 0 to 1; 0 turns the ratio off.
  double ratio = 0;
  // From 100 ms to an hour; exact to a sixteenth of it.
  absl::Duration window = absl::Seconds(10);
  // From 0 to 10^6, added up over the window: 3 a second are 30 in 10 s,
  // whenever in that time they come.
  double min_retries_per_second = 10;

  // Whether a channel has a budget of its own, instead of one that it shares
  // with all channels to the same server name.
  bool per_channel = false;

  // Whether there is a budget.
  bool on() const { return max_tokens != 0 || ratio != 0; }

  absl::Status Validate() const;
};

GRPC_BREAKER_EXPORT bool operator==(const RetryOptions& a,
                                    const RetryOptions& b);
inline bool operator!=(const RetryOptions& a, const RetryOptions& b) {
  return !(a == b);
}

GRPC_BREAKER_EXPORT bool operator==(const HedgingOptions& a,
                                    const HedgingOptions& b);
inline bool operator!=(const HedgingOptions& a, const HedgingOptions& b) {
  return !(a == b);
}

GRPC_BREAKER_EXPORT bool operator==(const StreamRetryOptions& a,
                                    const StreamRetryOptions& b);
inline bool operator!=(const StreamRetryOptions& a,
                       const StreamRetryOptions& b) {
  return !(a == b);
}

GRPC_BREAKER_EXPORT bool operator==(const RetryBudgetOptions& a,
                                    const RetryBudgetOptions& b);
inline bool operator!=(const RetryBudgetOptions& a,
                       const RetryBudgetOptions& b) {
  return !(a == b);
}

// "NONE", "PLUS_MINUS_HALF", ...
GRPC_BREAKER_EXPORT absl::string_view ToString(Jitter jitter);

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_RETRY_OPTIONS_H_
