#include "tools/breakerctl/aggregate.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "grpc_breaker/fleet/fleet_snapshot.h"
#include "tools/breakerctl/json.h"
#include "tools/breakerctl/values.h"

namespace grpc_breaker::breakerctl {
namespace {

using admin::v1::State;
using internal::FleetGroup;
using internal::FleetMember;

std::vector<FleetGroup> Aggregated(const Lists& lists) {
  std::vector<FleetMember> members;
  for (size_t i = 0; i < lists.size(); ++i) {
    for (const admin::v1::Breaker& breaker : lists[i].response.breakers()) {
      auto row = std::make_shared<internal::FleetRow>();
      row->breaker = breaker;
      members.push_back({i, std::move(row)});
    }
  }
  return internal::GroupBreakers(members);
}

std::string StateIn(const Lists& lists, size_t process, const FleetGroup& group,
                    const Style& style) {
  if (!lists[process].status.ok()) return Painted("?", Color::kRed, style);
  for (const FleetMember& member : group.members) {
    if (member.process == process) {
      return FormatState(member.row->breaker.state(), style);
    }
  }
  return "-";
}

std::string CountsOf(const Lists& lists, const FleetGroup& group) {
  std::vector<State> states;
  for (const FleetMember& member : group.members) {
    states.push_back(member.row->breaker.state());
  }
  const auto lost =
      std::count_if(lists.begin(), lists.end(),
                    [](const auto& list) { return !list.status.ok(); });
  return FormatStateCounts(states, static_cast<size_t>(lost));
}

Row SumsOf(const FleetGroup& group, const Style& style) {
  const double failed = static_cast<double>(group.window_failures);
  return {Printable(group.channel),
          Printable(group.method),
          FormatState(group.state, style),
          absl::StrCat(group.window_calls),
          absl::StrCat(group.window_failures),
          absl::StrFormat("%.1f%%", group.window_calls == 0
                                        ? 0.0
                                        : 100.0 * failed / group.window_calls),
          absl::StrCat(group.rejections)};
}

size_t WidestLine(absl::string_view text) {
  size_t widest = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    widest = std::max(widest, Width(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return widest;
}

}  // namespace

std::string FormatStateCounts(absl::Span<const State> states, size_t lost) {
  std::vector<std::string> parts;
  for (const State state : internal::StatesFromTheWorst()) {
    const auto count = std::count(states.begin(), states.end(), state);
    if (count > 0) parts.push_back(absl::StrCat(count, " ", StateName(state)));
  }
  if (lost > 0) parts.push_back(absl::StrCat(lost, " ?"));
  return absl::StrJoin(parts, ", ");
}

std::string FormatAggregate(const Lists& lists, const Style& style) {
  const Row names = {"CHANNEL", "METHOD", "STATE",   "CALLS",
                     "FAILED",  "RATE",   "REJECTED"};
  Row heading = names;
  for (const auto& list : lists) heading.push_back(Printable(list.address));
  std::vector<Row> by_process = {Heading(std::move(heading), style)};
  heading = names;
  heading.push_back("PROCESSES");
  std::vector<Row> by_count = {Heading(std::move(heading), style)};
  for (const FleetGroup& group : Aggregated(lists)) {
    Row row = SumsOf(group, style);
    by_count.push_back(row);
    by_count.back().push_back(CountsOf(lists, group));
    for (size_t i = 0; i < lists.size(); ++i) {
      row.push_back(StateIn(lists, i, group, style));
    }
    by_process.push_back(std::move(row));
  }
  const Layout layout = {"", {0, 1}};
  const std::string wide = Align(std::move(by_process), style, layout);
  return style.width == 0 ||
                 WidestLine(wide) <= static_cast<size_t>(style.width)
             ? wide
             : Align(std::move(by_count), style, layout);
}

std::string AggregateToJson(const Lists& lists) {
  std::vector<std::string> processes;
  for (const auto& list : lists) {
    processes.push_back(absl::StrCat(
        "{\"address\": ", JsonString(list.address),
        list.status.ok()
            ? ""
            : absl::StrCat(", \"error\": ", JsonString(Describe(list.status))),
        "}"));
  }
  std::vector<std::string> breakers;
  for (const FleetGroup& group : Aggregated(lists)) {
    std::vector<std::string> states;
    for (const FleetMember& member : group.members) {
      states.push_back(absl::StrCat(
          JsonString(lists[member.process].address), ": ",
          JsonString(admin::v1::State_Name(member.row->breaker.state()))));
    }
    breakers.push_back(absl::StrCat(
        "{\n   \"channel\": ", JsonString(group.channel),
        ",\n   \"method\": ", JsonString(group.method),
        ",\n   \"state\": ", JsonString(admin::v1::State_Name(group.state)),
        ",\n   \"calls\": ", group.window_calls, ",\n   \"failures\": ",
        group.window_failures, ",\n   \"rejections\": ", group.rejections,
        ",\n   \"states\": {", absl::StrJoin(states, ", "), "}\n  }"));
  }
  return absl::StrCat("{\n \"processes\": [\n  ",
                      absl::StrJoin(processes, ",\n  "),
                      "\n ],\n \"breakers\": [", breakers.empty() ? "" : "\n  ",
                      absl::StrJoin(breakers, ",\n  "),
                      breakers.empty() ? "]\n}\n" : "\n ]\n}\n");
}

}  // namespace grpc_breaker::breakerctl
