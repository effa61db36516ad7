#include "grpc_breaker/fleet/timeline.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace grpc_breaker::internal {
namespace {

// What is the same whenever the event is asked for.
std::string KeyOf(const FleetEvent& event) {
  admin::v1::Event what = event.event;
  if (what.has_transition()) what.mutable_transition()->clear_age();
  if (what.has_audit()) what.mutable_audit()->clear_age();
  return absl::StrCat(event.process, " ", what.SerializeAsString());
}

bool IsEarlier(const std::shared_ptr<const FleetEvent>& a,
               const std::shared_ptr<const FleetEvent>& b) {
  return a->time < b->time;
}

}  // namespace

void Timeline::Add(std::vector<FleetEvent> events) {
  const size_t before = events_.size();
  for (FleetEvent& event : events) {
    if (!keys_.insert(KeyOf(event)).second) continue;
    events_.push_back(std::make_shared<const FleetEvent>(std::move(event)));
  }
  const auto added = events_.begin() + static_cast<ptrdiff_t>(before);
  std::stable_sort(added, events_.end(), IsEarlier);
  std::inplace_merge(events_.begin(), added, events_.end(), IsEarlier);
  if (events_.size() <= most_) return;
  const auto kept = events_.end() - static_cast<ptrdiff_t>(most_);
  for (auto event = events_.begin(); event != kept; ++event) {
    keys_.erase(KeyOf(**event));
  }
  events_.erase(events_.begin(), kept);
}

}  // namespace grpc_breaker::internal
