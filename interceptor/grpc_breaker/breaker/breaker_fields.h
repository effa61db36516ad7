#ifndef GRPC_BREAKER_BREAKER_BREAKER_FIELDS_H_
#define GRPC_BREAKER_BREAKER_BREAKER_FIELDS_H_

// As base/option_fields.h, for the structs of breaker_options.h.
//
// Thread-compatible: plain values.

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "grpc_breaker/base/option_fields.h"
#include "grpc_breaker/breaker_options.h"

namespace grpc_breaker::internal {

// Durations are counted in nanoseconds.
inline constexpr absl::Duration kNanosecond = absl::Nanoseconds(1);
// Those that calls wait for are too short to be meant below a millisecond.
inline constexpr absl::Duration kMillisecond = absl::Milliseconds(1);
inline constexpr absl::Duration kDay = absl::Hours(24);

struct UpToLastCalls {
  int last_calls;  // 0: they are not looked at.

  std::string Text() const { return "from 1 to last_calls"; }
  std::string Complaint(int value) const {
    return last_calls > 0 ? From{1, last_calls}.Complaint(value) : "";
  }
};

struct AtMostSteps {
  size_t most;

  std::string Text() const { return absl::StrCat("at most ", most, " steps"); }
  std::string Complaint(const std::vector<double>& steps) const {
    return steps.size() <= most ? "" : Refusal(Text(), steps.size());
  }
};

struct Shares {
  std::string Text() const { return "shares greater than 0 and at most 1"; }
  std::string Complaint(const std::vector<double>& shares) const {
    for (const double share : shares) {
      // Negated, so that NaN is refused too.
      if (!(share > 0 && share <= 1)) return Refusal(Text(), share);
    }
    return "";
  }
};

// clang-format off
#define GRPC_BREAKER_BREAKER_OPTIONS(FIELD)                           \
  FIELD(enabled, AnyValue{}),                                         \
  FIELD(consecutive_failures, From{0, 1000000}),                      \
  FIELD(last_calls, From{0, 4096}),                                   \
  FIELD(last_calls_failures, UpToLastCalls{options.last_calls}),      \
  FIELD(failure_rate, From{0, 1}),                                    \
  FIELD(slow_rate, From{0, 1}),                                       \
  FIELD(slow_call, AtLeast{kNanosecond}),                             \
  FIELD(window, From{absl::Milliseconds(100), absl::Hours(1)}),       \
  FIELD(minimum_calls, From{1, 1000000}),                             \
  FIELD(critical_weight, From{1, 1000}),                              \
  FIELD(open_on_critical, AnyValue{}),                                \
  FIELD(throttle_k, ZeroOr{From{1, 1000}}),                           \
  FIELD(max_concurrent_calls, From{0, 1000000}),                      \
  FIELD(open_duration, From{kMillisecond, kDay}),                     \
  FIELD(open_multiplier, From{1, 100}),                               \
  FIELD(max_open_duration, From{kMillisecond, kDay}),                 \
  FIELD(open_jitter, From{0, 1}),                                     \
  FIELD(use_server_delay, AnyValue{}),                                \
  FIELD(half_open_permits, From{1, 1000}),                            \
  FIELD(half_open_successes, From{1, 1000}),                          \
  FIELD(half_open_failure_rate, From{0, 1}),                          \
  FIELD(half_open_max_wait, AtLeast{kMillisecond}),                   \
  FIELD(permit_lease, From{kMillisecond, kDay}),                      \
  FIELD(ramp, Both{AtMostSteps{16}, Shares{}}),                       \
  FIELD(ramp_step, From{kMillisecond, kDay}),                         \
  FIELD(rejection_event_interval, From{kNanosecond, kDay})
// clang-format on

GRPC_BREAKER_OPTION_TABLE(BreakerOptions, GRPC_BREAKER_BREAKER_OPTIONS)

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_BREAKER_FIELDS_H_
