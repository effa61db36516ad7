#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_VALUES_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_VALUES_H_

// How single values of the admin service are written for people.
//
// Thread-safe: pure functions over values.

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "tools/breakerctl/text.h"

namespace grpc_breaker::breakerctl {

absl::Duration ToDuration(const google::protobuf::Duration& message);
absl::Time ToTime(const google::protobuf::Timestamp& message);

// Exactly: "1.5s".
std::string FormatDuration(const google::protobuf::Duration& message);

// Rounded to what one cares for: "250ms", "12s", "3h5m".
std::string Rough(absl::Duration duration);
std::string Rough(const google::protobuf::Duration& message);

// "2026-11-25T09:38:54.897Z".
std::string Stamp(absl::Time time);

// To three digits: "1.25ms", "340us".
std::string FormatLatency(const google::protobuf::Duration& message);

// The name of an enumerator without its enum's prefix.
std::string Short(std::string name, absl::string_view prefix);

// By which a state is told: what refuses calls, what may, what somebody did.
Color StateColor(admin::v1::State state);

// "HALF_OPEN"; in colour, where the style has colours.
std::string StateName(admin::v1::State state);
std::string FormatState(admin::v1::State state, const Style& style);

// The names of columns.
Row Heading(Row names, const Style& style);

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_VALUES_H_
