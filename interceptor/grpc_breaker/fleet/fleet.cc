#include "grpc_breaker/fleet/fleet.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "grpc_breaker/base/option_fields.h"
#include "grpc_breaker/base/option_ranges.h"
#include "grpc_breaker/fleet/process_poller.h"
#include "grpc_breaker/fleet/timeline.h"
#include "grpc_breaker/mutex_lock.h"

namespace grpc_breaker::internal {

#define FLEET_OPTIONS(FIELD)                                            \
  FIELD(filter, AnyValue{}),                                            \
      FIELD(interval, From{absl::Milliseconds(10), absl::Hours(24)}),   \
      FIELD(timeout, From{absl::Milliseconds(1), absl::Hours(24)}),     \
      FIELD(points, From{1, 100'000}), FIELD(events, From{1, 100'000}), \
      FIELD(environment, AnyValue{})
GRPC_BREAKER_OPTION_TABLE(FleetOptions, FLEET_OPTIONS)
#undef FLEET_OPTIONS

absl::Status FleetOptions::Validate() const { return CheckFields("", *this); }

absl::StatusOr<std::unique_ptr<Fleet>> Fleet::Start(
    std::vector<FleetProcess> processes, FleetOptions options) {
  if (absl::Status status = options.Validate(); !status.ok()) return status;
  if (processes.empty()) {
    return absl::InvalidArgumentError("processes: must be at least 1, got 0");
  }
  absl::flat_hash_set<std::string> names;
  for (const FleetProcess& process : processes) {
    if (!names.insert(process.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("processes: must have different names, got \"",
                       process.name, "\" again"));
    }
    if (process.channel == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("processes: must have channels, got none for \"",
                       process.name, "\""));
    }
  }
  if (options.environment == nullptr) {
    options.environment = &Environment::Default();
  }
  return std::unique_ptr<Fleet>(new Fleet(std::move(processes), options));
}

Fleet::Fleet(std::vector<FleetProcess> processes, const FleetOptions& options)
    : timeline_(
          std::make_unique<Timeline>(static_cast<size_t>(options.events))) {
  auto snapshot = std::make_shared<FleetSnapshot>();
  for (const FleetProcess& process : processes) {
    auto view = std::make_shared<FleetProcessView>();
    view->name = process.name;
    snapshot->processes.push_back(std::move(view));
  }
  {
    MutexLock lock(mutex_);
    snapshot_ = std::move(snapshot);
  }
  for (FleetProcess& process : processes) {
    const size_t index = pollers_.size();
    pollers_.push_back(std::make_unique<ProcessPoller>(
        std::move(process), options,
        [this, index](std::shared_ptr<const FleetProcessView> view,
                      std::vector<FleetEvent> events) {
          Publish(index, std::move(view), std::move(events));
        }));
  }
}

Fleet::~Fleet() {
  // All at once, and not one after the other.
  for (const auto& poller : pollers_) poller->Stop();
}

std::shared_ptr<const FleetSnapshot> Fleet::snapshot() const {
  MutexLock lock(mutex_);
  return snapshot_;
}

std::shared_ptr<const FleetSnapshot> Fleet::WaitForChange(
    uint64_t version, absl::Duration timeout) const {
  const auto changed = [this, version]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return snapshot_->version != version;
  };
  MutexLock lock(mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&changed), timeout);
  return snapshot_;
}

void Fleet::Refresh() {
  for (const auto& poller : pollers_) poller->Ring();
}

void Fleet::Publish(size_t process,
                    std::shared_ptr<const FleetProcessView> view,
                    std::vector<FleetEvent> events) {
  for (FleetEvent& event : events) event.process = process;
  std::shared_ptr<const FleetSnapshot> before;  // Ends without the lock.
  MutexLock lock(mutex_);
  auto snapshot = std::make_shared<FleetSnapshot>(*snapshot_);
  ++snapshot->version;
  snapshot->processes[process] = std::move(view);
  if (!events.empty()) {
    timeline_->Add(std::move(events));
    snapshot->events = timeline_->events();
  }
  before = std::exchange(snapshot_, std::move(snapshot));
}

}  // namespace grpc_breaker::internal
