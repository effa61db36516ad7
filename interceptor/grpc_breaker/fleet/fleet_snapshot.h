#ifndef GRPC_BREAKER_FLEET_FLEET_SNAPSHOT_H_
#define GRPC_BREAKER_FLEET_FLEET_SNAPSHOT_H_

// What is known of the breakers of several processes at one moment.
//
// Thread-safe: values that do not change any more. Parts that are the same in
// the next snapshot are shared with it.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/fleet/fleet_history.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker::internal {

// Per second.
struct FleetRates {
  double calls = 0;
  double failures = 0;    // Calls whose status was not OK.
  double rejections = 0;  // Attempts that the breaker refused.
};

// A breaker of one process.
struct FleetRow {
  // As ListBreakers gives it: without policy and history.
  admin::v1::Breaker breaker;

  // In the last interval; 0 in the first one, and in the first one after the
  // process was restarted or the channel was made anew.
  FleetRates rates;

  // Also from before a restart of the process. Nothing is added for an interval
  // whose rates are not known.
  FleetHistory history;
};

// What is known of one process.
struct FleetProcessView {
  std::string name;

  // By channel and then method; those of the last answer.
  std::vector<std::shared_ptr<const FleetRow>> rows;

  // How it went with the last request, and since when it has gone wrong if it
  // has: the rows are old then.
  grpc::Status status;
  std::optional<MonotonicTime> failing_since;
  bool stale() const { return failing_since.has_value(); }

  // When it answered last. Unset: never yet; with a good status it has not been
  // asked to the end yet.
  std::optional<MonotonicTime> answered;

  // How many intervals have ended with an answer. There are rates from 2 on.
  int64_t intervals = 0;

  // How often its admin service was seen to be another one, as that of a
  // process which was restarted is.
  int64_t restarts = 0;

  // Events that it did not keep until they were asked for.
  uint64_t missed_events = 0;

  // Whether it tells of changes as they happen; else they are seen at the next
  // interval.
  bool watched = false;
};

// A change of state, or a change that somebody asked for.
struct FleetEvent {
  size_t process = 0;  // Its index.

  // When it happened by the clock of who asks, as exactly as it is known.
  MonotonicTime time;

  // `age` in it is as of the time when it was received.
  admin::v1::Event event;
};

struct FleetSnapshot {
  // Greater than those of the snapshots before.
  uint64_t version = 0;

  // In the order in which they were given; always all of them.
  std::vector<std::shared_ptr<const FleetProcessView>> processes;

  // Of all processes, by time, the newest last: the last ones of them.
  std::vector<std::shared_ptr<const FleetEvent>> events;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_FLEET_FLEET_SNAPSHOT_H_
