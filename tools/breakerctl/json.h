#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_JSON_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_JSON_H_

// Messages as JSON, for programs.
//
// Thread-safe: pure functions over values.

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace grpc_breaker::breakerctl {

// `message` with its zeros, too, so that scripts need not know the defaults,
// and its counts as numbers; ends with a line break.
absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message,
                                   bool on_one_line);

// `text`, which is UTF-8, as a string of JSON.
std::string JsonString(absl::string_view text);

// `json`, a message as written by protobuf, with its 64-bit integers as numbers
// and not as strings of digits: programs compare them as what they are.
std::string WithNumbers(absl::string_view json,
                        const google::protobuf::Descriptor& type);

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_JSON_H_
