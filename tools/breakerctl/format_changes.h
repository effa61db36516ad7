#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_FORMAT_CHANGES_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_FORMAT_CHANGES_H_

// How breakerctl shows people what was changed, and what has happened. What
// comes from the server is written without control characters.
//
// Thread-safe: pure functions over values.

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "tools/breakerctl/text.h"

namespace grpc_breaker::breakerctl {

// A line per breaker that was changed, or with `dry_run` would be, below a
// heading, and how many there are.
std::string FormatChanges(const admin::v1::ChangeResponse& response,
                          bool dry_run, const Style& style);

// When it was.
absl::Time TimeOf(const admin::v1::Event& event);

// One line: a change of state, or a change that somebody asked for.
std::string FormatEvent(const admin::v1::Event& event, const Style& style);

// What to say where events are not kept any more.
std::string FormatMissed(int64_t events);

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_FORMAT_CHANGES_H_
