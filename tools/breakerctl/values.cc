#include "tools/breakerctl/values.h"

#include <algorithm>
#include <utility>

#include "absl/strings/strip.h"

namespace grpc_breaker::breakerctl {

Color StateColor(admin::v1::State state) {
  switch (state) {
    case admin::v1::STATE_CLOSED:
      return Color::kGreen;
    case admin::v1::STATE_OPEN:
      return Color::kRed;
    case admin::v1::STATE_HALF_OPEN:
      return Color::kYellow;
    case admin::v1::STATE_METRICS_ONLY:
      return Color::kCyan;
    default:
      return Color::kMagenta;
  }
}

absl::Duration ToDuration(const google::protobuf::Duration& message) {
  return absl::Seconds(message.seconds()) + absl::Nanoseconds(message.nanos());
}

absl::Time ToTime(const google::protobuf::Timestamp& message) {
  return absl::FromUnixSeconds(message.seconds()) +
         absl::Nanoseconds(message.nanos());
}

std::string FormatDuration(const google::protobuf::Duration& message) {
  return absl::FormatDuration(ToDuration(message));
}

std::string Stamp(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

std::string Rough(absl::Duration duration) {
  const absl::Duration unit = duration < absl::Seconds(1)
                                  ? absl::Milliseconds(1)
                              : duration < absl::Hours(1) ? absl::Seconds(1)
                                                          : absl::Minutes(1);
  return absl::FormatDuration(
      absl::Trunc(std::max(duration, absl::ZeroDuration()), unit));
}

std::string Rough(const google::protobuf::Duration& message) {
  return Rough(ToDuration(message));
}

std::string FormatLatency(const google::protobuf::Duration& message) {
  const absl::Duration latency = ToDuration(message);
  absl::Duration unit = absl::Nanoseconds(1);
  while (latency >= 1000 * unit) unit *= 10;
  return absl::FormatDuration(absl::Trunc(latency, unit));
}

std::string Short(std::string name, absl::string_view prefix) {
  return std::string(absl::StripPrefix(name, prefix));
}

std::string StateName(admin::v1::State state) {
  return Short(admin::v1::State_Name(state), "STATE_");
}

std::string FormatState(admin::v1::State state, const Style& style) {
  return Painted(StateName(state), StateColor(state), style);
}

Row Heading(Row names, const Style& style) {
  for (std::string& name : names) name = Painted(name, Color::kBold, style);
  return names;
}

}  // namespace grpc_breaker::breakerctl
