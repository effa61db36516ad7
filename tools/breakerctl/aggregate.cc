#include "tools/breakerctl/aggregate.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tools/breakerctl/json.h"
#include "tools/breakerctl/values.h"

namespace grpc_breaker::breakerctl {
namespace {

using admin::v1::State;

// From the best to the worst.
constexpr State kStates[] = {
    admin::v1::STATE_UNSPECIFIED,  admin::v1::STATE_CLOSED,
    admin::v1::STATE_METRICS_ONLY, admin::v1::STATE_FORCED_CLOSED,
    admin::v1::STATE_HALF_OPEN,    admin::v1::STATE_FORCED_OPEN,
    admin::v1::STATE_OPEN};

State WorseOf(State a, State b) {
  const auto rank = [](State state) {
    return std::find(std::begin(kStates), std::end(kStates), state);
  };
  return std::max(a, b, [&](State x, State y) { return rank(x) < rank(y); });
}

// The breakers of one channel and method.
struct Breakers {
  State worst = admin::v1::STATE_UNSPECIFIED;
  int64_t calls = 0;
  int64_t failures = 0;
  uint64_t rejections = 0;
  std::map<size_t, State> states;  // By process.
};

using Name = std::pair<std::string, std::string>;  // Channel and method.

std::map<Name, Breakers> Aggregated(const Lists& lists) {
  std::map<Name, Breakers> all;
  for (size_t i = 0; i < lists.size(); ++i) {
    for (const admin::v1::Breaker& breaker : lists[i].response.breakers()) {
      Breakers& sum = all[{breaker.channel(), breaker.method()}];
      sum.worst = WorseOf(sum.worst, breaker.state());
      sum.calls += breaker.window().successes() + breaker.window().failures();
      sum.failures += breaker.window().failures();
      sum.rejections += breaker.rejections();
      sum.states[i] = breaker.state();
    }
  }
  return all;
}

std::string StateIn(const Lists& lists, size_t process, const Breakers& sum,
                    const Style& style) {
  if (!lists[process].status.ok()) return Painted("?", Color::kRed, style);
  const auto found = sum.states.find(process);
  return found == sum.states.end() ? "-" : FormatState(found->second, style);
}

// "1 OPEN, 19 CLOSED", the worst first.
std::string CountsOf(const Lists& lists, const Breakers& sum) {
  std::vector<std::string> parts;
  for (auto state = std::rbegin(kStates); state != std::rend(kStates);
       ++state) {
    const auto count = std::count_if(
        sum.states.begin(), sum.states.end(),
        [&](const auto& of_process) { return of_process.second == *state; });
    if (count > 0) parts.push_back(absl::StrCat(count, " ", StateName(*state)));
  }
  const auto lost =
      std::count_if(lists.begin(), lists.end(),
                    [](const auto& list) { return !list.status.ok(); });
  if (lost > 0) parts.push_back(absl::StrCat(lost, " ?"));
  return absl::StrJoin(parts, ", ");
}

Row SumsOf(const Name& name, const Breakers& sum, const Style& style) {
  return {
      Printable(name.first),
      Printable(name.second),
      FormatState(sum.worst, style),
      absl::StrCat(sum.calls),
      absl::StrCat(sum.failures),
      absl::StrFormat("%.1f%%",
                      sum.calls == 0 ? 0.0 : 100.0 * sum.failures / sum.calls),
      absl::StrCat(sum.rejections)};
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

std::string FormatAggregate(const Lists& lists, const Style& style) {
  const Row names = {"CHANNEL", "METHOD", "STATE",   "CALLS",
                     "FAILED",  "RATE",   "REJECTED"};
  Row heading = names;
  for (const auto& list : lists) heading.push_back(Printable(list.address));
  std::vector<Row> by_process = {Heading(std::move(heading), style)};
  heading = names;
  heading.push_back("PROCESSES");
  std::vector<Row> by_count = {Heading(std::move(heading), style)};
  for (const auto& [name, sum] : Aggregated(lists)) {
    Row row = SumsOf(name, sum, style);
    by_count.push_back(row);
    by_count.back().push_back(CountsOf(lists, sum));
    for (size_t i = 0; i < lists.size(); ++i) {
      row.push_back(StateIn(lists, i, sum, style));
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
  for (const auto& [name, sum] : Aggregated(lists)) {
    std::vector<std::string> states;
    for (const auto& [process, state] : sum.states) {
      states.push_back(absl::StrCat(JsonString(lists[process].address), ": ",
                                    JsonString(admin::v1::State_Name(state))));
    }
    breakers.push_back(absl::StrCat(
        "{\n   \"channel\": ", JsonString(name.first),
        ",\n   \"method\": ", JsonString(name.second),
        ",\n   \"state\": ", JsonString(admin::v1::State_Name(sum.worst)),
        ",\n   \"calls\": ", sum.calls, ",\n   \"failures\": ", sum.failures,
        ",\n   \"rejections\": ", sum.rejections, ",\n   \"states\": {",
        absl::StrJoin(states, ", "), "}\n  }"));
  }
  return absl::StrCat("{\n \"processes\": [\n  ",
                      absl::StrJoin(processes, ",\n  "),
                      "\n ],\n \"breakers\": [", breakers.empty() ? "" : "\n  ",
                      absl::StrJoin(breakers, ",\n  "),
                      breakers.empty() ? "]\n}\n" : "\n ]\n}\n");
}

}  // namespace grpc_breaker::breakerctl
