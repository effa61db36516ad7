#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_AGGREGATE_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_AGGREGATE_H_

// The breakers of several processes as if they were one: those of the same
// channel and method taken together.
//
// Thread-safe: pure functions over values.

#include <cstddef>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/fleet/fleet_group.h"
#include "tools/breakerctl/processes.h"
#include "tools/breakerctl/text.h"

namespace grpc_breaker::breakerctl {

// Of each process, in the order in which they are shown.
using Lists = std::vector<Answer<admin::v1::ListBreakersResponse>>;

// A line per breaker: the worst state, the sums, and a column for each process
// with the state there: "-" where it has no such breaker, "?" where it does not
// answer. Where these columns do not fit, how many processes are in which state
// instead.
std::string FormatAggregate(const Lists& lists, const Style& style);

// {"processes": [{"address", "error"}...], "breakers": [{"channel", "method",
// "state", "calls", "failures", "rejections", "states": {"ADDRESS": ...}}...]}
std::string AggregateToJson(const Lists& lists);

// How many breakers are in which state, the worst first, and how many processes
// do not answer: "1 OPEN, 19 CLOSED, 1 ?".
std::string FormatStateCounts(absl::Span<const admin::v1::State> states,
                              size_t lost);

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_AGGREGATE_H_
