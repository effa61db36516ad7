#ifndef GRPC_BREAKER_FLEET_FLEET_GROUP_H_
#define GRPC_BREAKER_FLEET_FLEET_GROUP_H_

// The breakers of several processes as if they were one: those of the same
// channel and method taken together. And in which order breakers need somebody.
//
// Thread-safe: pure functions over values.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/fleet/fleet_snapshot.h"

namespace grpc_breaker::internal {

// How bad a state is, from 0: UNSPECIFIED, CLOSED, METRICS_ONLY, FORCED_CLOSED,
// HALF_OPEN, FORCED_OPEN, OPEN.
int Severity(admin::v1::State state);

// All states, the worst first.
absl::Span<const admin::v1::State> StatesFromTheWorst();

// A breaker, and the index of the process that has it.
struct FleetMember {
  size_t process = 0;
  std::shared_ptr<const FleetRow> row;  // Not null.
};

struct FleetGroup {
  std::string channel;
  std::string method;

  // The worst of them.
  admin::v1::State state = admin::v1::STATE_UNSPECIFIED;

  // Sums: of the last interval.
  FleetRates rates;
  // Of the breakers' windows.
  int64_t window_calls = 0;
  int64_t window_failures = 0;
  // Of the last minute: calls, those whose status was not OK, and those that
  // the breaker refused.
  uint64_t recent_calls = 0;
  uint64_t recent_failures = 0;
  uint64_t recent_rejected = 0;
  // Since the breakers were made: attempts refused.
  uint64_t rejections = 0;

  // In the order of the processes; not empty.
  std::vector<FleetMember> members;
};

// By channel and then method, with what is stale as well.
std::vector<FleetGroup> GroupBreakers(absl::Span<const FleetMember> members);
std::vector<FleetGroup> GroupFleet(const FleetSnapshot& snapshot);

// Each breaker as a group of its own, by process, channel, method.
std::vector<FleetGroup> SingleGroups(const FleetSnapshot& snapshot);

// Whether `a` needs somebody more than `b` does: by the severity of the state;
// then by the share of calls that fail times how many there are, which is the
// number of failures in the last minute; then by rejections in the last minute;
// then by channel, method and process. A strict weak ordering, in which no two
// groups of one list are equal.
bool MoreTrouble(const FleetGroup& a, const FleetGroup& b);

// The rates of the members together in `count` steps, of which the last one
// ends at `end`: what a point counts is spread evenly over its interval.
// `step` > 0.
std::vector<FleetRates> RatesOver(absl::Span<const FleetMember> members,
                                  MonotonicTime end, absl::Duration step,
                                  size_t count);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_FLEET_FLEET_GROUP_H_
