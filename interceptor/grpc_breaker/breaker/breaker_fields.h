#ifndef GRPC_BREAKER_BREAKER_BREAKER_FIELDS_H_
#define GRPC_BREAKER_BREAKER_BREAKER_FIELDS_H_

// As base/option_fields.h, for the structs of breaker_options.h.
//
// Thread-compatible: plain values.

#include "grpc_breaker/base/option_fields.h"
#include "grpc_breaker/breaker_options.h"

namespace grpc_breaker::internal {

#define GRPC_BREAKER_BREAKER_OPTIONS(FIELD)                                 \
  FIELD(enabled), FIELD(consecutive_failures), FIELD(last_calls),           \
      FIELD(last_calls_failures), FIELD(failure_rate), FIELD(slow_rate),    \
      FIELD(slow_call), FIELD(window), FIELD(minimum_calls),                \
      FIELD(critical_weight), FIELD(open_on_critical), FIELD(throttle_k),   \
      FIELD(max_concurrent_calls), FIELD(open_duration),                    \
      FIELD(open_multiplier), FIELD(max_open_duration), FIELD(open_jitter), \
      FIELD(use_server_delay), FIELD(half_open_permits),                    \
      FIELD(half_open_successes), FIELD(half_open_failure_rate),            \
      FIELD(half_open_max_wait), FIELD(permit_lease), FIELD(ramp),          \
      FIELD(ramp_step), FIELD(rejection_event_interval)

GRPC_BREAKER_OPTION_TABLE(BreakerOptions, GRPC_BREAKER_BREAKER_OPTIONS)

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_BREAKER_FIELDS_H_
