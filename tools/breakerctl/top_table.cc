#include "tools/breakerctl/top_table.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/breakerctl/aggregate.h"
#include "tools/breakerctl/text.h"
#include "tools/breakerctl/values.h"

namespace grpc_breaker::breakerctl {
namespace {

using admin::v1::Breaker;
using admin::v1::Transition;
using internal::FleetEvent;
using internal::FleetGroup;
using internal::FleetMember;
using internal::FleetSnapshot;

// A breaker of one process.
using Name = std::tuple<size_t, absl::string_view, absl::string_view>;

// The last change of each, as far as it is known.
using LastChanges = std::map<Name, const Transition*>;

LastChanges LastChangesOf(const FleetSnapshot& snapshot) {
  LastChanges last;
  for (const auto& event : snapshot.events) {
    if (!event->event.has_transition()) continue;
    const Transition& change = event->event.transition();
    last[{event->process, change.channel(), change.method()}] = &change;
  }
  return last;
}

// How long ago the member's breaker was as it is in the row.
absl::Duration AgeOf(const FleetMember& member, const FleetSnapshot& snapshot,
                     MonotonicTime now) {
  const auto& process = *snapshot.processes[member.process];
  if (process.stale() || !process.answered) return absl::ZeroDuration();
  return std::max(absl::FromChrono(now - *process.answered),
                  absl::ZeroDuration());
}

// The member that has been in the state of the group for the longest time.
const FleetMember& Leader(const FleetGroup& group) {
  const FleetMember* leader = nullptr;
  for (const FleetMember& member : group.members) {
    const Breaker& breaker = member.row->breaker;
    if (breaker.state() != group.state) continue;
    if (leader == nullptr || ToDuration(breaker.in_state()) >
                                 ToDuration(leader->row->breaker.in_state())) {
      leader = &member;
    }
  }
  return leader == nullptr ? group.members.front() : *leader;
}

std::string LastErrorOf(const FleetGroup& group, const FleetSnapshot& snapshot,
                        MonotonicTime now) {
  const FleetMember* last = nullptr;
  for (const FleetMember& member : group.members) {
    if (!member.row->breaker.has_last_error()) continue;
    if (last == nullptr ||
        ToDuration(member.row->breaker.last_error().age()) <
            ToDuration(last->row->breaker.last_error().age())) {
      last = &member;
    }
  }
  if (last == nullptr) return "";
  const admin::v1::LastError& error = last->row->breaker.last_error();
  return absl::StrCat(
      Short(config::v1::ErrorCategory_Name(error.category()),
            "ERROR_CATEGORY_"),
      " ", Rough(ToDuration(error.age()) + AgeOf(*last, snapshot, now)),
      " ago");
}

std::string CauseOf(const FleetGroup& group, const FleetSnapshot& snapshot,
                    const LastChanges& changes, MonotonicTime now) {
  const FleetMember& leader = Leader(group);
  const Breaker& breaker = leader.row->breaker;
  if (breaker.has_manual()) {
    return absl::StrCat("by ", breaker.manual().actor(),
                        breaker.manual().reason().empty() ? "" : ": ",
                        breaker.manual().reason());
  }
  const auto change =
      changes.find({leader.process, breaker.channel(), breaker.method()});
  if (breaker.state() != admin::v1::STATE_CLOSED && change != changes.end() &&
      change->second->to() == breaker.state()) {
    return change->second->cause();
  }
  return LastErrorOf(group, snapshot, now);
}

// Where there is none, the other.
void SetLonger(const google::protobuf::Duration& latency,
               std::optional<google::protobuf::Duration>* longest) {
  if (!*longest || ToDuration(latency) > ToDuration(**longest)) {
    *longest = latency;
  }
}

std::string ProcessesOf(const FleetGroup& group, const FleetSnapshot& snapshot,
                        bool together) {
  if (!together) return snapshot.processes[group.members[0].process]->name;
  std::vector<admin::v1::State> states;
  size_t lost = 0;
  for (const FleetMember& member : group.members) {
    if (snapshot.processes[member.process]->stale()) {
      ++lost;
    } else {
      states.push_back(member.row->breaker.state());
    }
  }
  return FormatStateCounts(states, lost);
}

MonotonicTime PointsEnd(const FleetGroup& group, const FleetSnapshot& snapshot,
                        MonotonicTime now) {
  std::optional<MonotonicTime> end;
  for (const FleetMember& member : group.members) {
    const auto points = member.row->history.points();
    if (points.empty() || snapshot.processes[member.process]->stale()) continue;
    end = end ? std::min(*end, points.back().time) : points.back().time;
  }
  return end.value_or(now);
}

// What the state is told by: only of those that answer, if any do.
FleetGroup WithoutStale(const FleetGroup& group,
                        const FleetSnapshot& snapshot) {
  std::vector<FleetMember> fresh;
  for (const FleetMember& member : group.members) {
    if (!snapshot.processes[member.process]->stale()) fresh.push_back(member);
  }
  if (fresh.empty() || fresh.size() == group.members.size()) return group;
  return internal::GroupBreakers(fresh).front();
}

// Three digits, or all before the point.
std::string PerSecond(double rate) {
  if (rate >= 100'000) return absl::StrFormat("%.0fk", rate / 1000);
  return rate < 99.95 ? absl::StrFormat("%.1f", rate)
                      : absl::StrFormat("%.0f", rate);
}

std::string Latency(const std::optional<google::protobuf::Duration>& latency) {
  return latency ? FormatLatency(*latency) : "-";
}

struct Cell {
  std::string text;
  std::optional<Color> color;
};

constexpr char kHistory[] = "HISTORY";
constexpr size_t kHistoryWidth = 20;
constexpr size_t kMostHistory = 60;
constexpr size_t kMostCause = 60;
constexpr size_t kGap = 2;

struct ColumnType {
  absl::string_view title;
  TopOrder order;  // That it shows; kTrouble: none.
  bool right;      // Numbers stand on the right.
  // It may be made as narrow as this; 0: no narrower than it is.
  size_t least;
  // Those of greater numbers are left out first; 0: never.
  int luxury;
  Cell (*cell)(const TopRow& row);
};

Cell StateCell(const TopRow& row) {
  const std::string name = StateName(row.group.state);
  if (row.stale) return {name + "?", Color::kDim};
  return {name, StateColor(row.group.state)};
}

Cell FailedCell(const TopRow& row) {
  if (row.group.recent_calls == 0) return {"-", {}};
  return {absl::StrFormat("%.1f", 100 * row.failed),
          row.failed > 0
              ? std::optional(row.failed < 0.5 ? Color::kYellow : Color::kRed)
              : std::nullopt};
}

Cell RejectedCell(const TopRow& row) {
  const double rate = row.group.rates.rejections;
  return {PerSecond(rate),
          rate > 0 ? std::optional(Color::kRed) : std::nullopt};
}

const ColumnType kColumns[] = {
    {"STATE", TopOrder::kState, false, 0, 0, StateCell},
    {"METHOD", TopOrder::kMethod, false, 20, 0,
     [](const TopRow& row) {
       return Cell{row.group.method, {}};
     }},
    {"CHANNEL", TopOrder::kChannel, false, 8, 3,
     [](const TopRow& row) {
       return Cell{row.group.channel, {}};
     }},
    {"PROCESSES", TopOrder::kTrouble, false, 8, 6,
     [](const TopRow& row) {
       return Cell{row.processes, {}};
     }},
    {"CALLS/S", TopOrder::kCalls, true, 0, 1,
     [](const TopRow& row) {
       return Cell{PerSecond(row.group.rates.calls), {}};
     }},
    {"FAIL%", TopOrder::kFailed, true, 0, 2, FailedCell},
    {"REJ/S", TopOrder::kRejected, true, 0, 5, RejectedCell},
    {"P50", TopOrder::kP50, true, 0, 11,
     [](const TopRow& row) {
       return Cell{Latency(row.p50), {}};
     }},
    {"P95", TopOrder::kP95, true, 0, 10,
     [](const TopRow& row) {
       return Cell{Latency(row.p95), {}};
     }},
    {"P99", TopOrder::kP99, true, 0, 8,
     [](const TopRow& row) {
       return Cell{Latency(row.p99), {}};
     }},
    {kHistory, TopOrder::kTrouble, false, 10, 7, nullptr},
    {"FOR", TopOrder::kInState, true, 0, 9,
     [](const TopRow& row) {
       return Cell{Rough(row.in_state), {}};
     }},
    {"CAUSE", TopOrder::kTrouble, false, 12, 4,
     [](const TopRow& row) {
       return Cell{row.cause, {}};
     }},
};

bool IsHistory(size_t index) { return kColumns[index].cell == nullptr; }

std::string Padded(std::string text, size_t width, bool right) {
  const std::string blanks(width - std::min(Width(text), width), ' ');
  return right ? blanks + text : text + blanks;
}

}  // namespace

std::vector<TopRow> TopRows(const FleetSnapshot& snapshot, bool together,
                            MonotonicTime now) {
  const LastChanges changes = LastChangesOf(snapshot);
  std::vector<TopRow> rows;
  for (const FleetGroup& group : together ? internal::GroupFleet(snapshot)
                                          : internal::SingleGroups(snapshot)) {
    TopRow row;
    row.processes = ProcessesOf(group, snapshot, together);
    row.points_end = PointsEnd(group, snapshot, now);
    row.stale =
        std::all_of(group.members.begin(), group.members.end(),
                    [&](const FleetMember& member) {
                      return snapshot.processes[member.process]->stale();
                    });
    row.group = WithoutStale(group, snapshot);
    if (row.stale) row.group.rates = {};
    const FleetMember& leader = Leader(row.group);
    row.in_state = ToDuration(leader.row->breaker.in_state()) +
                   AgeOf(leader, snapshot, now);
    row.cause = CauseOf(row.group, snapshot, changes, now);
    if (row.group.recent_calls > 0) {
      row.failed = static_cast<double>(row.group.recent_failures) /
                   static_cast<double>(row.group.recent_calls);
    }
    for (const FleetMember& member : row.group.members) {
      const admin::v1::RecentCalls& recent = member.row->breaker.recent();
      if (!recent.has_p50()) continue;
      SetLonger(recent.p50(), &row.p50);
      SetLonger(recent.p95(), &row.p95);
      SetLonger(recent.p99(), &row.p99);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

bool Matches(const TopRow& row, absl::string_view text) {
  const std::string all = absl::AsciiStrToLower(absl::StrCat(
      row.group.channel, "\n", row.group.method, "\n",
      StateName(row.group.state), "\n", row.processes, "\n", row.cause));
  return absl::StrContains(all, absl::AsciiStrToLower(text));
}

absl::string_view NameOf(TopOrder order) {
  for (const ColumnType& column : kColumns) {
    if (column.order == order && order != TopOrder::kTrouble) {
      return column.title;
    }
  }
  return "trouble";
}

TopOrder Next(TopOrder order) {
  return order == TopOrder::kInState
             ? TopOrder::kTrouble
             : static_cast<TopOrder>(static_cast<int>(order) + 1);
}

void Sort(TopOrder order, bool reverse, std::vector<TopRow>* rows) {
  std::sort(rows->begin(), rows->end(), [](const TopRow& a, const TopRow& b) {
    return MoreTrouble(a.group, b.group);
  });
  const auto sort_by = [&](auto key) {
    std::stable_sort(rows->begin(), rows->end(),
                     [&](const TopRow& a, const TopRow& b) {
                       return reverse ? key(b) < key(a) : key(a) < key(b);
                     });
  };
  // What there is none of comes behind all else.
  const auto latency =
      [](const std::optional<google::protobuf::Duration>& latency) {
        return latency ? -ToDuration(*latency) : absl::Seconds(1);
      };
  switch (order) {
    case TopOrder::kTrouble:
      if (reverse) std::reverse(rows->begin(), rows->end());
      return;
    case TopOrder::kState:
      return sort_by([](const TopRow& row) {
        return -internal::Severity(row.group.state);
      });
    case TopOrder::kMethod:
      return sort_by([](const TopRow& row) -> const std::string& {
        return row.group.method;
      });
    case TopOrder::kChannel:
      return sort_by([](const TopRow& row) -> const std::string& {
        return row.group.channel;
      });
    case TopOrder::kCalls:
      return sort_by([](const TopRow& row) { return -row.group.rates.calls; });
    case TopOrder::kFailed:
      return sort_by([](const TopRow& row) { return -row.failed; });
    case TopOrder::kRejected:
      return sort_by(
          [](const TopRow& row) { return -row.group.rates.rejections; });
    case TopOrder::kP50:
      return sort_by([&](const TopRow& row) { return latency(row.p50); });
    case TopOrder::kP95:
      return sort_by([&](const TopRow& row) { return latency(row.p95); });
    case TopOrder::kP99:
      return sort_by([&](const TopRow& row) { return latency(row.p99); });
    case TopOrder::kInState:
      return sort_by([](const TopRow& row) { return -row.in_state; });
  }
}

TopLayout::TopLayout(absl::Span<const TopRow> rows, const TopLook& look,
                     size_t width)
    : look_(look) {
  std::set<absl::string_view> channels;
  for (const TopRow& row : rows) channels.insert(row.group.channel);
  std::vector<Column> natural;
  for (size_t i = 0; i < std::size(kColumns); ++i) {
    const ColumnType& type = kColumns[i];
    if (type.title == "CHANNEL" && channels.size() < 2) continue;
    if (type.title == "PROCESSES" && !look.several) continue;
    size_t widest = Width(Title(i));
    if (IsHistory(i)) {
      widest = kHistoryWidth;
    } else {
      for (const TopRow& row : rows) {
        widest = std::max(widest,
                          Width(Writable(type.cell(row).text, look.unicode)));
      }
    }
    if (type.title == "CAUSE") widest = std::min(widest, kMostCause);
    natural.push_back({i, widest});
  }

  const auto total = [](const std::vector<Column>& columns) {
    size_t sum = kGap * (columns.size() - 1);
    for (const Column& column : columns) sum += column.width;
    return sum;
  };
  for (;;) {
    columns_ = natural;
    if (width == 0) return;
    while (total(columns_) > width) {
      // The widest of those that may be made narrower.
      const auto room = [](const Column& column) {
        const size_t least = kColumns[column.index].least;
        return least > 0 && column.width > least ? column.width : 0;
      };
      const auto widest = std::max_element(
          columns_.begin(), columns_.end(),
          [&](const Column& a, const Column& b) { return room(a) < room(b); });
      if (room(*widest) == 0) break;
      --widest->width;
    }
    if (total(columns_) <= width) break;
    const auto left_out = std::max_element(
        natural.begin(), natural.end(), [](const Column& a, const Column& b) {
          return kColumns[a.index].luxury < kColumns[b.index].luxury;
        });
    if (kColumns[left_out->index].luxury == 0) break;
    natural.erase(left_out);
  }
  for (Column& column : columns_) {
    const size_t used = total(columns_);
    if (IsHistory(column.index) && used < width) {
      column.width = std::min(column.width + width - used, kMostHistory);
    }
  }
}

std::string TopLayout::Title(size_t index) const {
  const ColumnType& type = kColumns[index];
  if (look_.order == TopOrder::kTrouble || look_.order != type.order) {
    return std::string(type.title);
  }
  const absl::string_view mark =
      look_.unicode ? (look_.reverse ? "▲" : "▼") : (look_.reverse ? "^" : "v");
  return absl::StrCat(type.title, mark);
}

FrameLine TopLayout::Heading() const {
  std::string text;
  for (const Column& column : columns_) {
    if (&column != &columns_.front()) text += std::string(kGap, ' ');
    text += Padded(Beginning(Title(column.index), column.width), column.width,
                   kColumns[column.index].right);
  }
  return {{text, {}, /*reverse=*/true}};
}

FrameLine TopLayout::Line(const TopRow& row, bool chosen) const {
  FrameLine line;
  for (const Column& column : columns_) {
    if (!line.empty()) line.push_back({std::string(kGap, ' '), {}});
    if (IsHistory(column.index)) {
      const FrameLine history =
          Sparkline(internal::RatesOver(row.group.members, row.points_end,
                                        look_.step, column.width),
                    look_.unicode);
      line.insert(line.end(), history.begin(), history.end());
      continue;
    }
    const ColumnType& type = kColumns[column.index];
    const Cell cell = type.cell(row);
    std::string text = Writable(cell.text, look_.unicode);
    if (type.least > 0) text = Shortened(text, column.width);
    line.push_back({Padded(std::move(text), column.width, type.right),
                    row.stale ? std::optional(Color::kDim) : cell.color});
  }
  for (Piece& piece : line) piece.reverse = chosen;
  return line;
}

}  // namespace grpc_breaker::breakerctl
