#ifndef GRPC_BREAKER_DASHBOARD_VIEW_JSON_H_
#define GRPC_BREAKER_DASHBOARD_VIEW_JSON_H_

// What the page is told: all that there is to show, or what is new since it was
// told before. page.js reads it.
//
// Thread-safe: a pure function over values that do not change.

#include <string>

#include "absl/strings/string_view.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/fleet/fleet_snapshot.h"

namespace grpc_breaker::internal {

// {"changed": true, "epoch": ..., "version": ..., "full": ...,
//  "processes": [...],  all of them
//  "rows": [...],       breakers that are new or not as they were
//  "gone": [...],       [process, channel, method] of those that are no more
//  "events": [...]}     new ones, the oldest first
//
// Times are ages at `now` in ms, durations are in ms; processes are named by
// their index. A row has those points of its history only that `before` does
// not have. Null: there was none, and "full" is true.
std::string ViewJson(const FleetSnapshot* before, const FleetSnapshot& after,
                     absl::string_view epoch, MonotonicTime now);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_DASHBOARD_VIEW_JSON_H_
