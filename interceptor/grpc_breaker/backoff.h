#ifndef GRPC_BREAKER_BACKOFF_H_
#define GRPC_BREAKER_BACKOFF_H_

// The delays between the attempts of one call: exponential, capped, jittered.
// Sources: gRFC A6 for the exponential form, "Exponential Backoff And Jitter"
// (AWS Architecture Blog, 2015) for full, equal and decorrelated jitter.
//
// Thread-compatible: one Backoff belongs to one call.

#include "absl/time/time.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/retry_options.h"

namespace grpc_breaker {

class GRPC_BREAKER_EXPORT Backoff {
 public:
  // `options` must be valid.
  Backoff(const RetryOptions& options, Environment& environment);

  // The delay before the next attempt, in [0, max_delay]; each call moves on
  // to the next step.
  absl::Duration Next();

  // The same where the server asked for a wait of at least `least`: the result
  // is at least that, even beyond max_delay, and later delays grow from it.
  absl::Duration NextAtLeast(absl::Duration least);

  // The next delay is that of the first retry again, as after a pushback from
  // the server (gRFC A6).
  void Reset();

 private:
  absl::Duration Jittered();
  void GrowFrom(absl::Duration delay);

  // Copied: a live policy may be replaced while the call runs.
  RetryOptions options_;
  Environment& environment_;
  absl::Duration exponential_;  // The next delay before jitter.
  absl::Duration previous_;     // The last delay, for kDecorrelated.
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_BACKOFF_H_
