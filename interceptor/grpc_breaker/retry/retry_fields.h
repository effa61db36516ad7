#ifndef GRPC_BREAKER_RETRY_RETRY_FIELDS_H_
#define GRPC_BREAKER_RETRY_RETRY_FIELDS_H_

// As base/option_fields.h, for the structs of retry_options.h.
//
// Thread-compatible: plain values.

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "grpc_breaker/base/option_fields.h"
#include "grpc_breaker/retry_options.h"

namespace grpc_breaker::internal {

struct AtLeastBaseDelay {
  absl::Duration base_delay;

  std::string Text() const { return "at least retry.base_delay"; }
  std::string Complaint(absl::Duration value) const {
    if (value >= base_delay) return "";
    return Refusal(absl::StrCat(Text(), " (", ValueText(base_delay), ")"),
                   value);
  }
};

// Less than a nanosecond would be no delay at all, by clocks that count these.
//
// clang-format off
#define GRPC_BREAKER_RETRY_OPTIONS(FIELD)                                      \
  FIELD(max_retries, From{0, 100}),                                            \
  FIELD(base_delay, Both{AtLeast{absl::Nanoseconds(1)}, FiniteDuration{}}),    \
  FIELD(max_delay,                                                             \
        Both{AtLeastBaseDelay{options.base_delay}, FiniteDuration{}}),         \
  FIELD(exponential_base, FiniteAbove{0}),                                     \
  FIELD(jitter, OneOf{Jitter::kGrpcA6, "one of the kinds of Jitter"})

#define GRPC_BREAKER_HEDGING_OPTIONS(FIELD)                                    \
  FIELD(max_hedges, From{0, 100}),                                             \
  FIELD(delay, Both{AtLeast{absl::ZeroDuration()}, FiniteDuration{}}),         \
  FIELD(delay_percentile, From{0.0, 100.0})

#define GRPC_BREAKER_STREAM_RETRY_OPTIONS(FIELD)                               \
  FIELD(enabled, AnyValue{}),                                                  \
  FIELD(replay_buffer_bytes, From{1, 1 << 30})

#define GRPC_BREAKER_RETRY_BUDGET_OPTIONS(FIELD)                               \
  FIELD(max_tokens, ZeroOr{From{0.001, 1000.0}, ", or "}),                     \
  FIELD(token_ratio, OnlyIf{options.max_tokens != 0, From{0.001, 1000.0}}),    \
  FIELD(ratio, From{0.0, 1.0}),                                                \
  FIELD(window, OnlyIf{options.ratio != 0,                                     \
                       From{absl::Milliseconds(100), absl::Hours(1)}}),        \
  FIELD(min_retries_per_second, OnlyIf{options.ratio != 0, From{0.0, 1e6}}),   \
  FIELD(per_channel, AnyValue{})
// clang-format on

GRPC_BREAKER_OPTION_TABLE(RetryOptions, GRPC_BREAKER_RETRY_OPTIONS)
GRPC_BREAKER_OPTION_TABLE(HedgingOptions, GRPC_BREAKER_HEDGING_OPTIONS)
GRPC_BREAKER_OPTION_TABLE(StreamRetryOptions, GRPC_BREAKER_STREAM_RETRY_OPTIONS)
GRPC_BREAKER_OPTION_TABLE(RetryBudgetOptions, GRPC_BREAKER_RETRY_BUDGET_OPTIONS)

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RETRY_RETRY_FIELDS_H_
