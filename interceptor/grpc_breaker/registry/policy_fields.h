#ifndef GRPC_BREAKER_REGISTRY_POLICY_FIELDS_H_
#define GRPC_BREAKER_REGISTRY_POLICY_FIELDS_H_

// As base/option_fields.h, for the structs of policy.h.
//
// Thread-compatible: plain values.

#include "grpc_breaker/breaker/breaker_fields.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/retry/retry_fields.h"

namespace grpc_breaker::internal {

#define GRPC_BREAKER_CLASS_OVERRIDE(FIELD) \
  FIELD(category), FIELD(severity), FIELD(outcome), FIELD(retryable)

#define GRPC_BREAKER_FALLBACK(FIELD)                              \
  FIELD(function), FIELD(on_exhaustion), FIELD(on_not_retryable), \
      FIELD(on_rejection)

#define GRPC_BREAKER_POLICY(FIELD)                                         \
  FIELD(retry), FIELD(breaker), FIELD(classification), FIELD(idempotency), \
      FIELD(timeout), FIELD(attempt_timeout), FIELD(fallback),             \
      FIELD(on_final_failure), FIELD(wait_when_rejected),                  \
      FIELD(wait_for_ready), FIELD(authority)

GRPC_BREAKER_OPTION_TABLE(ClassOverride, GRPC_BREAKER_CLASS_OVERRIDE)
GRPC_BREAKER_OPTION_TABLE(Fallback, GRPC_BREAKER_FALLBACK)
GRPC_BREAKER_OPTION_TABLE(Policy, GRPC_BREAKER_POLICY)

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_REGISTRY_POLICY_FIELDS_H_
