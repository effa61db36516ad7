#ifndef GRPC_BREAKER_INTERNAL_OPTION_FIELDS_H_
#define GRPC_BREAKER_INTERNAL_OPTION_FIELDS_H_

// The fields of the structs of options, one table for each: what is done to all
// fields goes through it, so that a new one cannot be forgotten. A table that
// lacks a field of its struct does not compile.
//
//   ForEachField(options, [](const auto& field) { Use(field.name, field.value);
//   });
//
// The values are const if the options are.
//
// Thread-compatible: plain values.

#include <tuple>
#include <type_traits>

#include "absl/strings/string_view.h"
#include "grpc_breaker/breaker_options.h"
#include "grpc_breaker/retry_options.h"

namespace grpc_breaker::internal {

template <typename T>
struct OptionField {
  absl::string_view name;  // As in the struct.
  T& value;
};

template <typename T>
OptionField<T> MakeOptionField(absl::string_view name, T& value) {
  return {name, value};
}

#define GRPC_BREAKER_FIELD_NAME(field) field
#define GRPC_BREAKER_FIELD(field) MakeOptionField(#field, options.field)

// Defined for each struct below; Fields() makes a tuple of OptionFields.
template <typename Struct>
struct OptionTable;

// The structured binding does not compile unless there are as many names as
// fields.
#define GRPC_BREAKER_OPTION_TABLE(Struct, TABLE)                         \
  template <>                                                            \
  struct OptionTable<Struct> {                                           \
    template <typename Options>                                          \
    static auto Fields(Options& options) {                               \
      [[maybe_unused]] auto& [TABLE(GRPC_BREAKER_FIELD_NAME)] = options; \
      return std::make_tuple(TABLE(GRPC_BREAKER_FIELD));                 \
    }                                                                    \
  };

#define GRPC_BREAKER_RETRY_OPTIONS(FIELD)                  \
  FIELD(max_retries), FIELD(base_delay), FIELD(max_delay), \
      FIELD(exponential_base), FIELD(jitter)

#define GRPC_BREAKER_RETRY_BUDGET_OPTIONS(FIELD) \
  FIELD(max_tokens), FIELD(token_ratio)

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

GRPC_BREAKER_OPTION_TABLE(RetryOptions, GRPC_BREAKER_RETRY_OPTIONS)
GRPC_BREAKER_OPTION_TABLE(RetryBudgetOptions, GRPC_BREAKER_RETRY_BUDGET_OPTIONS)
GRPC_BREAKER_OPTION_TABLE(BreakerOptions, GRPC_BREAKER_BREAKER_OPTIONS)

template <typename Options>
auto FieldsOf(Options& options) {
  return OptionTable<std::remove_const_t<Options>>::Fields(options);
}

template <typename Options, typename Visit>
void ForEachField(Options& options, Visit visit) {
  std::apply([&visit](const auto&... fields) { (visit(fields), ...); },
             FieldsOf(options));
}

template <typename Options>
bool AllFieldsEqual(const Options& a, const Options& b) {
  return std::apply(
      [&b](const auto&... of_a) {
        return std::apply(
            [&](const auto&... of_b) {
              return ((of_a.value == of_b.value) && ...);
            },
            FieldsOf(b));
      },
      FieldsOf(a));
}

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_INTERNAL_OPTION_FIELDS_H_
