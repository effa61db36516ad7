#include "grpc_breaker/breaker_options.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "grpc_breaker/breaker/breaker_fields.h"

namespace grpc_breaker {
namespace {

constexpr int kMaxLastCalls = 4096;
constexpr int kMaxRampSteps = 16;

absl::Status Invalid(absl::string_view field, absl::string_view rule,
                     absl::string_view value) {
  return absl::InvalidArgumentError(
      absl::StrCat("breaker.", field, ": must be ", rule, ", got ", value));
}

absl::Status CheckDuration(absl::string_view field, absl::Duration value,
                           absl::Duration at_least, absl::Duration at_most) {
  if (value >= at_least && value <= at_most) return absl::OkStatus();
  const std::string least = absl::FormatDuration(at_least);
  return Invalid(
      field,
      at_most == absl::InfiniteDuration()
          ? absl::StrCat("at least ", least)
          : absl::StrCat("from ", least, " to ", absl::FormatDuration(at_most)),
      absl::FormatDuration(value));
}

absl::Status CheckCount(absl::string_view field, int value, int at_least,
                        int at_most) {
  if (value >= at_least && value <= at_most) return absl::OkStatus();
  return Invalid(field, absl::StrCat("from ", at_least, " to ", at_most),
                 absl::StrCat(value));
}

// Written so that NaN fails.
absl::Status CheckNumber(absl::string_view field, double value, double at_least,
                         double at_most) {
  if (value >= at_least && value <= at_most) return absl::OkStatus();
  return Invalid(field, absl::StrCat("from ", at_least, " to ", at_most),
                 absl::StrCat(value));
}

absl::Status CheckThrottle(double k) {
  if (k == 0 || (k >= 1 && k <= 1000)) return absl::OkStatus();
  return Invalid("throttle_k", "0 or from 1 to 1000", absl::StrCat(k));
}

absl::Status CheckRamp(const std::vector<double>& ramp) {
  if (ramp.size() > kMaxRampSteps) {
    return Invalid("ramp", absl::StrCat("at most ", kMaxRampSteps, " steps"),
                   absl::StrCat(ramp.size()));
  }
  for (double share : ramp) {
    if (!(share > 0 && share <= 1)) {
      return Invalid("ramp", "shares greater than 0 and at most 1",
                     absl::StrCat(share));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status BreakerOptions::Validate() const {
  // Durations are counted in nanoseconds; those that calls wait for are too
  // short to be meant below a millisecond.
  const absl::Duration ns = absl::Nanoseconds(1);
  const absl::Duration ms = absl::Milliseconds(1);
  const absl::Duration day = absl::Hours(24);
  const absl::Duration ever = absl::InfiniteDuration();
  for (const absl::Status& status : {
           CheckCount("consecutive_failures", consecutive_failures, 0, 1000000),
           CheckCount("last_calls", last_calls, 0, kMaxLastCalls),
           last_calls > 0 ? CheckCount("last_calls_failures",
                                       last_calls_failures, 1, last_calls)
                          : absl::OkStatus(),
           CheckNumber("failure_rate", failure_rate, 0, 1),
           CheckNumber("slow_rate", slow_rate, 0, 1),
           CheckDuration("slow_call", slow_call, ns, ever),
           CheckDuration("window", window, absl::Milliseconds(100),
                         absl::Hours(1)),
           CheckCount("minimum_calls", minimum_calls, 1, 1000000),
           CheckCount("critical_weight", critical_weight, 1, 1000),
           CheckThrottle(throttle_k),
           CheckCount("max_concurrent_calls", max_concurrent_calls, 0, 1000000),
           CheckDuration("open_duration", open_duration, ms, day),
           CheckNumber("open_multiplier", open_multiplier, 1, 100),
           CheckDuration("max_open_duration", max_open_duration, ms, day),
           CheckNumber("open_jitter", open_jitter, 0, 1),
           CheckCount("half_open_permits", half_open_permits, 1, 1000),
           CheckCount("half_open_successes", half_open_successes, 1, 1000),
           CheckNumber("half_open_failure_rate", half_open_failure_rate, 0, 1),
           CheckDuration("half_open_max_wait", half_open_max_wait, ms, ever),
           CheckDuration("permit_lease", permit_lease, ms, day),
           CheckRamp(ramp),
           CheckDuration("ramp_step", ramp_step, ms, day),
           CheckDuration("rejection_event_interval", rejection_event_interval,
                         ns, day),
       }) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

bool operator==(const BreakerOptions& a, const BreakerOptions& b) {
  return internal::AllFieldsEqual(a, b);
}

}  // namespace grpc_breaker
