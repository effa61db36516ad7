#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_TOP_TABLE_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_TOP_TABLE_H_

// The table of breakerctl top: its rows from what is known of the processes,
// their order, and how they fit into a width.
//
// Thread-safe: pure functions over values; TopLayout is one.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "google/protobuf/duration.pb.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/fleet/fleet_group.h"
#include "grpc_breaker/fleet/fleet_snapshot.h"
#include "tools/breakerctl/frame.h"

namespace grpc_breaker::breakerctl {

// A breaker of one process, or of all of them together.
struct TopRow {
  internal::FleetGroup group;

  // Of one process, its name; of all, how many are in which state.
  std::string processes;

  // No process that has it answers.
  bool stale = false;

  // Of the last minute: the share of calls that failed, in [0, 1], and the
  // longest of the processes' latencies. Unset: there were no calls.
  double failed = 0;
  std::optional<google::protobuf::Duration> p50;
  std::optional<google::protobuf::Duration> p95;
  std::optional<google::protobuf::Duration> p99;

  // For how long the one that is longest in the group's state has been so.
  absl::Duration in_state;

  // Why it is in that state, or else what failed last.
  std::string cause;

  // Until when there are points of all processes that answer.
  MonotonicTime points_end;
};

// In no order to speak of.
std::vector<TopRow> TopRows(const internal::FleetSnapshot& snapshot,
                            bool together, MonotonicTime now);

// Whether any text of the row has `text` in it, upper and lower case alike.
bool Matches(const TopRow& row, absl::string_view text);

// By what rows are in order: numbers from the greatest, names from A.
enum class TopOrder {
  kTrouble,
  kState,
  kMethod,
  kChannel,
  kCalls,
  kFailed,
  kRejected,
  kP50,
  kP95,
  kP99,
  kInState,
};
absl::string_view NameOf(TopOrder order);
// The one behind it, and behind the last the first.
TopOrder Next(TopOrder order);

// Of equal ones, the one in more trouble comes first in any case.
void Sort(TopOrder order, bool reverse, std::vector<TopRow>* rows);

struct TopLook {
  bool unicode = false;
  TopOrder order = TopOrder::kTrouble;
  bool reverse = false;
  // There are several processes, and they are taken together.
  bool several = false;
  bool together = false;
  // Of a character of the history.
  absl::Duration step = absl::Seconds(1);
};

// Where the columns are, so that all rows fit: names are shortened, and then
// columns left out that one can best do without.
class TopLayout {
 public:
  // `width` 0: any.
  TopLayout(absl::Span<const TopRow> rows, const TopLook& look, size_t width);

  FrameLine Heading() const;
  FrameLine Line(const TopRow& row, bool chosen) const;

 private:
  struct Column {
    size_t index;  // Among all that there are.
    size_t width;
  };

  std::string Title(size_t index) const;

  const TopLook look_;
  std::vector<Column> columns_;
};

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_TOP_TABLE_H_
