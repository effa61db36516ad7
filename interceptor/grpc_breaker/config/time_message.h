#ifndef GRPC_BREAKER_CONFIG_TIME_MESSAGE_H_
#define GRPC_BREAKER_CONFIG_TIME_MESSAGE_H_

// Times as messages, clamped to the ranges of these: the longest duration that
// a message can hold stands for an endless one.
//
// Thread-safe: pure functions over values.

#include <optional>

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

GRPC_BREAKER_EXPORT google::protobuf::Duration ToMessage(
    absl::Duration duration);
GRPC_BREAKER_EXPORT google::protobuf::Timestamp ToMessage(absl::Time time);

// Nothing if the message is out of its range, or its signs differ.
GRPC_BREAKER_EXPORT std::optional<absl::Duration> FromMessage(
    const google::protobuf::Duration& message);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_CONFIG_TIME_MESSAGE_H_
