#include "grpc_breaker/config/time_message.h"

#include <algorithm>
#include <cstdint>

namespace grpc_breaker::internal {
namespace {

constexpr absl::Duration kLongestDuration = absl::Seconds(315576000000);
constexpr int64_t kFirstTimestamp = -62135596800;
constexpr int64_t kLastTimestamp = 253402300799;

}  // namespace

google::protobuf::Duration ToMessage(absl::Duration duration) {
  duration = std::clamp(duration, -kLongestDuration, kLongestDuration);
  google::protobuf::Duration message;
  message.set_seconds(
      absl::IDivDuration(duration, absl::Seconds(1), &duration));
  message.set_nanos(static_cast<int32_t>(
      absl::IDivDuration(duration, absl::Nanoseconds(1), &duration)));
  return message;
}

google::protobuf::Timestamp ToMessage(absl::Time time) {
  time = std::clamp(time, absl::FromUnixSeconds(kFirstTimestamp),
                    absl::FromUnixSeconds(kLastTimestamp));
  google::protobuf::Timestamp message;
  message.set_seconds(absl::ToUnixSeconds(time));
  message.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(
      time - absl::FromUnixSeconds(message.seconds()))));
  return message;
}

std::optional<absl::Duration> FromMessage(
    const google::protobuf::Duration& message) {
  constexpr int32_t kSecond = 1'000'000'000;
  const int64_t seconds = message.seconds();
  const int32_t nanos = message.nanos();
  if (nanos <= -kSecond || nanos >= kSecond || (seconds > 0 && nanos < 0) ||
      (seconds < 0 && nanos > 0)) {
    return std::nullopt;
  }
  const absl::Duration duration =
      absl::Seconds(seconds) + absl::Nanoseconds(nanos);
  if (absl::AbsDuration(duration) > kLongestDuration) return std::nullopt;
  if (duration == kLongestDuration) return absl::InfiniteDuration();
  return duration;
}

}  // namespace grpc_breaker::internal
