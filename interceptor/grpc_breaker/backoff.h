#ifndef GRPC_BREAKER_BACKOFF_H_
#define GRPC_BREAKER_BACKOFF_H_

// The delays between the attempts of one call: exponential, capped, jittered.
// Sources: gRFC A6 for the exponential form, "Exponential Backoff And Jitter"
// (AWS Architecture Blog, 2015) for full, equal and decorrelated jitter.
//
// Thread-compatible: one Backoff belongs to one call.

#include "absl/time/time.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/retry_options.h"

namespace grpc_breaker {

class Backoff {
 public:
  // `options` must be valid.
  Backoff(const RetryOptions& options, Environment& environment);

  // The delay before the next attempt, in [0, max_delay]; each call moves on
  // to the next step.
  absl::Duration Next();

  // The next delay is that of the first retry again, as after a pushback from
  // the server (gRFC A6).
  void Reset();

 private:
  // Copied: a live policy may be replaced while the call runs.
  RetryOptions options_;
  Environment& environment_;
  absl::Duration exponential_;
  absl::Duration previous_;
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_BACKOFF_H_
