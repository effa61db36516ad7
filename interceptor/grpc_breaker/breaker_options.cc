#include "grpc_breaker/breaker_options.h"

#include "absl/strings/str_cat.h"

namespace grpc_breaker {
namespace {

absl::Status Invalid(absl::string_view field, absl::string_view rule,
                     absl::string_view value) {
  return absl::InvalidArgumentError(
      absl::StrCat("breaker.", field, ": must be ", rule, ", got ", value));
}

absl::Status CheckDuration(absl::string_view field, absl::Duration value,
                           absl::Duration at_most) {
  if (value > absl::ZeroDuration() && value <= at_most) {
    return absl::OkStatus();
  }
  return Invalid(field,
                 absl::StrCat("greater than 0 and at most ",
                              absl::FormatDuration(at_most)),
                 absl::FormatDuration(value));
}

absl::Status CheckCount(absl::string_view field, int value, int at_least,
                        int at_most) {
  if (value >= at_least && value <= at_most) return absl::OkStatus();
  return Invalid(field, absl::StrCat("from ", at_least, " to ", at_most),
                 absl::StrCat(value));
}

absl::Status CheckShare(absl::string_view field, double value) {
  // Written so that NaN fails.
  if (value >= 0 && value <= 1) return absl::OkStatus();
  return Invalid(field, "from 0 to 1", absl::StrCat(value));
}

}  // namespace

absl::Status BreakerOptions::Validate() const {
  for (const absl::Status& status : {
           CheckCount("consecutive_failures", consecutive_failures, 0, 1000000),
           CheckShare("failure_rate", failure_rate),
           CheckDuration("window", window, absl::Hours(1)),
           CheckCount("minimum_calls", minimum_calls, 1, 1000000),
           CheckDuration("open_duration", open_duration, absl::Hours(24)),
           CheckCount("half_open_permits", half_open_permits, 1, 1000),
           CheckCount("half_open_successes", half_open_successes, 1, 1000),
           CheckDuration("permit_lease", permit_lease, absl::Hours(24)),
       }) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace grpc_breaker
