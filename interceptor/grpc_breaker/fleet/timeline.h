#ifndef GRPC_BREAKER_FLEET_TIMELINE_H_
#define GRPC_BREAKER_FLEET_TIMELINE_H_

// The last events of several processes, by time, each once, also where a
// process gives one again.
//
// Thread-compatible.

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "grpc_breaker/fleet/fleet_snapshot.h"

namespace grpc_breaker::internal {

class Timeline {
 public:
  // At most so many.
  explicit Timeline(size_t most) : most_(most) {}

  // Of events of the same time, those that were there before come first.
  void Add(std::vector<FleetEvent> events);

  // The newest last.
  const std::vector<std::shared_ptr<const FleetEvent>>& events() const {
    return events_;
  }

 private:
  const size_t most_;
  std::vector<std::shared_ptr<const FleetEvent>> events_;
  absl::flat_hash_set<std::string> keys_;  // Of each of them.
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_FLEET_TIMELINE_H_
