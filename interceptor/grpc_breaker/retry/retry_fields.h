#ifndef GRPC_BREAKER_RETRY_RETRY_FIELDS_H_
#define GRPC_BREAKER_RETRY_RETRY_FIELDS_H_

// As base/option_fields.h, for the structs of retry_options.h.
//
// Thread-compatible: plain values.

#include "grpc_breaker/base/option_fields.h"
#include "grpc_breaker/retry_options.h"

namespace grpc_breaker::internal {

#define GRPC_BREAKER_RETRY_OPTIONS(FIELD)                  \
  FIELD(max_retries), FIELD(base_delay), FIELD(max_delay), \
      FIELD(exponential_base), FIELD(jitter)

#define GRPC_BREAKER_RETRY_BUDGET_OPTIONS(FIELD) \
  FIELD(max_tokens), FIELD(token_ratio)

GRPC_BREAKER_OPTION_TABLE(RetryOptions, GRPC_BREAKER_RETRY_OPTIONS)
GRPC_BREAKER_OPTION_TABLE(RetryBudgetOptions, GRPC_BREAKER_RETRY_BUDGET_OPTIONS)

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RETRY_RETRY_FIELDS_H_
