#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_FORMAT_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_FORMAT_H_

// How breakerctl shows breakers to people. What comes from the server is
// written without control characters, so that it cannot steer the terminal.
//
// Thread-safe: pure functions over values.

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "grpc_breaker/admin/v1/admin.pb.h"

namespace grpc_breaker {
namespace breakerctl {

// `text`, which is UTF-8, with its control characters as "\x1b".
std::string Printable(absl::string_view text);

// One line per breaker, in aligned columns, below a heading. Where that is more
// than `width` columns, long names are shortened in the middle; 0: never.
std::string FormatTable(
    const google::protobuf::RepeatedPtrField<admin::v1::Breaker>& breakers,
    int width);

// All of one breaker, on several lines. `width` is for the table of its
// history.
std::string FormatBreaker(const admin::v1::Breaker& breaker, int width);

// One line; empty for what is of no interest to people. `now` is the wall
// clock, for what does not say when it was.
std::string FormatEvent(const admin::v1::WatchBreakersResponse& event,
                        absl::Time now);

// `json`, a message as written by protobuf, with its 64-bit integers as numbers
// and not as strings of digits: programs compare them as what they are.
std::string WithNumbers(absl::string_view json,
                        const google::protobuf::Descriptor& type);

}  // namespace breakerctl
}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_FORMAT_H_
