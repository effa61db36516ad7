#include "grpc_breaker/fleet/fleet_group.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/string_view.h"

namespace grpc_breaker::internal {
namespace {

constexpr admin::v1::State kFromTheWorst[] = {
    admin::v1::STATE_OPEN,         admin::v1::STATE_FORCED_OPEN,
    admin::v1::STATE_HALF_OPEN,    admin::v1::STATE_FORCED_CLOSED,
    admin::v1::STATE_METRICS_ONLY, admin::v1::STATE_CLOSED,
    admin::v1::STATE_UNSPECIFIED};

void Add(FleetMember member, FleetGroup& group) {
  const FleetRow& row = *member.row;
  const admin::v1::Breaker& breaker = row.breaker;
  if (Severity(breaker.state()) > Severity(group.state)) {
    group.state = breaker.state();
  }
  group.rates.calls += row.rates.calls;
  group.rates.failures += row.rates.failures;
  group.rates.rejections += row.rates.rejections;
  group.window_calls +=
      breaker.window().successes() + breaker.window().failures();
  group.window_failures += breaker.window().failures();
  group.recent_calls += breaker.recent().calls();
  group.recent_failures += breaker.recent().failures();
  group.recent_rejected += breaker.recent().rejected();
  group.rejections += breaker.rejections();
  group.members.push_back(std::move(member));
}

FleetGroup GroupOf(FleetMember member) {
  FleetGroup group;
  group.channel = member.row->breaker.channel();
  group.method = member.row->breaker.method();
  Add(std::move(member), group);
  return group;
}

std::vector<FleetMember> MembersOf(const FleetSnapshot& snapshot) {
  std::vector<FleetMember> members;
  for (size_t i = 0; i < snapshot.processes.size(); ++i) {
    for (const auto& row : snapshot.processes[i]->rows) {
      members.push_back({i, row});
    }
  }
  return members;
}

using Name = std::pair<absl::string_view, absl::string_view>;

Name NameOf(const FleetMember& member) {
  return {member.row->breaker.channel(), member.row->breaker.method()};
}

}  // namespace

int Severity(admin::v1::State state) {
  const auto place =
      std::find(std::begin(kFromTheWorst), std::end(kFromTheWorst), state);
  return std::max(
      static_cast<int>(std::distance(place, std::end(kFromTheWorst))) - 1, 0);
}

absl::Span<const admin::v1::State> StatesFromTheWorst() {
  return kFromTheWorst;
}

std::vector<FleetGroup> GroupBreakers(absl::Span<const FleetMember> members) {
  std::map<Name, FleetGroup> groups;
  for (const FleetMember& member : members) {
    const auto found = groups.find(NameOf(member));
    if (found == groups.end()) {
      groups.emplace(NameOf(member), GroupOf(member));
    } else {
      Add(member, found->second);
    }
  }
  std::vector<FleetGroup> result;
  result.reserve(groups.size());
  for (auto& [name, group] : groups) result.push_back(std::move(group));
  return result;
}

std::vector<FleetGroup> GroupFleet(const FleetSnapshot& snapshot) {
  return GroupBreakers(MembersOf(snapshot));
}

std::vector<FleetGroup> SingleGroups(const FleetSnapshot& snapshot) {
  std::vector<FleetGroup> groups;
  for (FleetMember& member : MembersOf(snapshot)) {
    groups.push_back(GroupOf(std::move(member)));
  }
  return groups;
}

bool MoreTrouble(const FleetGroup& a, const FleetGroup& b) {
  const auto key = [](const FleetGroup& group) {
    return std::tuple(
        -Severity(group.state), -static_cast<double>(group.recent_failures),
        -static_cast<double>(group.recent_rejected),
        absl::string_view(group.channel), absl::string_view(group.method),
        group.members.front().process);
  };
  return key(a) < key(b);
}

std::vector<FleetRates> RatesOver(absl::Span<const FleetMember> members,
                                  MonotonicTime end, absl::Duration step,
                                  size_t count) {
  std::vector<FleetRates> rates(count);
  const absl::Duration whole = step * static_cast<double>(count);
  for (const FleetMember& member : members) {
    for (const FleetPoint& point : member.row->history.points()) {
      // From the beginning of the first step.
      const absl::Duration to = whole - absl::FromChrono(end - point.time);
      const absl::Duration from = to - point.length;
      const double first = absl::FDivDuration(from, step);
      const double last = absl::FDivDuration(to, step);
      const double seconds = absl::ToDoubleSeconds(point.length);
      for (size_t i = static_cast<size_t>(std::max(first, 0.0));
           i < count && static_cast<double>(i) < last; ++i) {
        const double at = static_cast<double>(i);
        const double share =
            (std::min(last, at + 1) - std::max(first, at)) / seconds;
        rates[i].calls += share * static_cast<double>(point.calls);
        rates[i].failures += share * static_cast<double>(point.failures);
        rates[i].rejections += share * static_cast<double>(point.rejections);
      }
    }
  }
  return rates;
}

}  // namespace grpc_breaker::internal
