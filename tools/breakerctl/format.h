#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_FORMAT_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_FORMAT_H_

// How breakerctl shows breakers to people. What comes from the server is
// written without control characters, so that it cannot steer the terminal.
//
// Thread-safe: pure functions over values.

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "tools/breakerctl/text.h"

namespace grpc_breaker::breakerctl {

// One line per breaker, in aligned columns, below a heading. Where that does
// not fit, long names are shortened in the middle.
std::string FormatTable(
    const google::protobuf::RepeatedPtrField<admin::v1::Breaker>& breakers,
    const Style& style);

// The same for several processes, with a column that names them.
struct BreakersOfProcess {
  std::string process;
  const google::protobuf::RepeatedPtrField<admin::v1::Breaker>* breakers;
};
std::string FormatTable(const std::vector<BreakersOfProcess>& processes,
                        const Style& style);

// One line per channel, likewise.
std::string FormatChannels(
    const google::protobuf::RepeatedPtrField<admin::v1::Channel>& channels,
    const Style& style);

// The same for several processes.
struct ChannelsOfProcess {
  std::string process;
  const google::protobuf::RepeatedPtrField<admin::v1::Channel>* channels;
};
std::string FormatChannels(const std::vector<ChannelsOfProcess>& processes,
                           const Style& style);

// All of one breaker, on several lines, of which only its history is made to
// fit.
std::string FormatBreaker(const admin::v1::Breaker& breaker,
                          const Style& style);

// One line; empty for what is of no interest to people. `now` is the wall
// clock, for what does not say when it was.
std::string FormatEvent(const admin::v1::WatchBreakersResponse& event,
                        absl::Time now, const Style& style);

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_FORMAT_H_
