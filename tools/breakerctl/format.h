#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_FORMAT_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_FORMAT_H_

// How breakerctl shows breakers to people. What comes from the server is
// written without control characters, so that it cannot steer the terminal.
//
// Thread-safe: pure functions over values.

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "grpc_breaker/admin/v1/admin.pb.h"

namespace grpc_breaker {
namespace breakerctl {

// `text`, which is UTF-8, with its control characters as "\x1b".
std::string Printable(absl::string_view text);

// One line per breaker, in aligned columns, below a heading. `now` is the wall
// clock, to which times are shown.
std::string FormatTable(
    const google::protobuf::RepeatedPtrField<admin::v1::Breaker>& breakers,
    absl::Time now);

// All of one breaker, on several lines.
std::string FormatBreaker(const admin::v1::Breaker& breaker, absl::Time now);

// One line; empty for what is of no interest to people.
std::string FormatEvent(const admin::v1::WatchBreakersResponse& event,
                        absl::Time now);

}  // namespace breakerctl
}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_FORMAT_H_
