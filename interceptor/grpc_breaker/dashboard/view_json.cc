#include "grpc_breaker/dashboard/view_json.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/dashboard/json_text.h"

namespace grpc_breaker::internal {
namespace {

using nlohmann::json;

// The page shows as many.
constexpr size_t kMostEvents = 300;

double Milliseconds(const google::protobuf::Duration& duration) {
  return static_cast<double>(duration.seconds()) * 1e3 +
         std::round(duration.nanos() / 1e4) / 1e2;
}
int64_t Milliseconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration)
      .count();
}
int64_t Age(MonotonicTime time, MonotonicTime now) {
  return std::max<int64_t>(Milliseconds(now - time), 0);
}

// `field`, where the message has it; else null.
json OrNull(bool has, const google::protobuf::Duration& field) {
  return has ? json(Milliseconds(field)) : json();
}

// Two decimals are more than anybody sees.
double Rounded(double value) { return std::round(value * 100) / 100; }

std::string StateName(admin::v1::State state) {
  return std::string(absl::StripPrefix(admin::v1::State_Name(state), "STATE_"));
}

// Also of a code that there is not.
std::string CodeName(int code) {
  const std::string name =
      absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
  return name.empty() ? std::to_string(code) : name;
}

json ManualJson(const admin::v1::Breaker& breaker) {
  if (!breaker.has_manual()) return json();
  const admin::v1::ManualState& manual = breaker.manual();
  return {{"reason", manual.reason()},
          {"actor", manual.actor()},
          {"remaining_ms", OrNull(manual.has_remaining(), manual.remaining())}};
}

json LastErrorJson(const admin::v1::Breaker& breaker) {
  if (!breaker.has_last_error()) return json();
  const admin::v1::LastError& error = breaker.last_error();
  return {{"code", CodeName(error.code())},
          {"message", error.message()},
          {"category",
           absl::StripPrefix(config::v1::ErrorCategory_Name(error.category()),
                             "ERROR_CATEGORY_")},
          {"severity",
           absl::StripPrefix(config::v1::ErrorSeverity_Name(error.severity()),
                             "ERROR_SEVERITY_")},
          {"age_ms", Milliseconds(error.age())}};
}

json RecentJson(const admin::v1::RecentCalls& recent) {
  return {{"calls", recent.calls()},
          {"failures", recent.failures()},
          {"rejected", recent.rejected()},
          {"p50", OrNull(recent.has_p50(), recent.p50())},
          {"p95", OrNull(recent.has_p95(), recent.p95())},
          {"p99", OrNull(recent.has_p99(), recent.p99())}};
}

json LatencyJson(double seconds) {
  return seconds < 0 ? json() : json(Rounded(seconds * 1e3));
}

// Those that come after `last`.
json PointsJson(const FleetHistory& history, MonotonicTime last,
                MonotonicTime now) {
  json points = json::array();
  for (const FleetPoint& point : history.points()) {
    if (point.time <= last) continue;
    points.push_back(
        {Age(point.time, now), absl::ToInt64Milliseconds(point.length),
         point.calls, point.failures, point.rejections,
         LatencyJson(point.p50_seconds), LatencyJson(point.p99_seconds)});
  }
  return points;
}

// `before`: the same breaker, if it was there.
json RowJson(size_t process, const FleetRow* before, const FleetRow& row,
             MonotonicTime now) {
  const admin::v1::Breaker& breaker = row.breaker;
  const auto told = before == nullptr ? absl::Span<const FleetPoint>()
                                      : before->history.points();
  const MonotonicTime last =
      told.empty() ? MonotonicTime::min() : told.back().time;
  return {{"process", process},
          {"channel", breaker.channel()},
          {"method", breaker.method()},
          {"state", StateName(breaker.state())},
          {"in_state_ms", Milliseconds(breaker.in_state())},
          {"next_probe_ms",
           OrNull(breaker.has_next_probe_in(), breaker.next_probe_in())},
          {"window",
           {{"successes", breaker.window().successes()},
            {"failures", breaker.window().failures()},
            {"failure_rate", breaker.window().failure_rate()},
            {"slow", breaker.window().slow()}}},
          {"consecutive_failures", breaker.consecutive_failures()},
          {"permits_in_use", breaker.permits_in_use()},
          {"rejections", breaker.rejections()},
          {"transitions", breaker.transitions()},
          {"calls", breaker.calls()},
          {"ramp_share", breaker.ramp_share()},
          {"throttle", breaker.throttle_probability()},
          {"budget_tokens", breaker.has_retry_budget_tokens()
                                ? json(breaker.retry_budget_tokens())
                                : json()},
          {"manual", ManualJson(breaker)},
          {"shadow_state", StateName(breaker.shadow_state())},
          {"would_have_rejected", breaker.would_have_rejected()},
          {"last_error", LastErrorJson(breaker)},
          {"recent", RecentJson(breaker.recent())},
          {"rates",
           {{"calls", Rounded(row.rates.calls)},
            {"failures", Rounded(row.rates.failures)},
            {"rejections", Rounded(row.rates.rejections)}}},
          {"points", PointsJson(row.history, last, now)}};
}

json ProcessJson(const FleetProcessView& process, MonotonicTime now) {
  return {
      {"name", process.name},
      {"error", process.status.error_message()},
      {"failing_ms",
       process.failing_since ? json(Age(*process.failing_since, now)) : json()},
      {"answered", process.answered.has_value()}};
}

json EventJson(const FleetEvent& event, MonotonicTime now) {
  json result = {{"process", event.process}, {"age_ms", Age(event.time, now)}};
  if (event.event.has_transition()) {
    const admin::v1::Transition& transition = event.event.transition();
    result.update({{"kind", "transition"},
                   {"channel", transition.channel()},
                   {"method", transition.method()},
                   {"from", StateName(transition.from())},
                   {"to", StateName(transition.to())},
                   {"cause", transition.cause()},
                   {"actor", ""}});
    return result;
  }
  const admin::v1::Audit& audit = event.event.audit();
  result.update({{"kind", "audit"},
                 {"channel", audit.target().channel()},
                 {"method", audit.target().method()},
                 {"prefix", audit.target().method_prefix()},
                 {"rpc", audit.rpc()},
                 {"reason", audit.reason()},
                 {"actor", audit.actor()},
                 {"ttl_ms", OrNull(audit.has_ttl(), audit.ttl())},
                 {"ok", audit.code() == 0},
                 {"error", audit.message()},
                 {"count", audit.count()}});
  return result;
}

std::tuple<const std::string&, const std::string&> NameOf(const FleetRow& row) {
  return {row.breaker.channel(), row.breaker.method()};
}

// What has become of the breakers of one process. Both are by channel and then
// method.
void AddRows(size_t process, const FleetProcessView* before,
             const FleetProcessView& after, MonotonicTime now, json* rows,
             json* gone) {
  static const auto* const nothing =
      new std::vector<std::shared_ptr<const FleetRow>>;
  const auto& old_rows = before == nullptr ? *nothing : before->rows;
  auto old = old_rows.begin();
  const auto pass = [&] {
    gone->push_back(
        {process, (*old)->breaker.channel(), (*old)->breaker.method()});
    ++old;
  };
  for (const std::shared_ptr<const FleetRow>& row : after.rows) {
    while (old != old_rows.end() && NameOf(**old) < NameOf(*row)) pass();
    const bool was_there =
        old != old_rows.end() && NameOf(**old) == NameOf(*row);
    // What is the same is shared.
    if (!was_there || *old != row) {
      rows->push_back(
          RowJson(process, was_there ? old->get() : nullptr, *row, now));
    }
    if (was_there) ++old;
  }
  while (old != old_rows.end()) pass();
}

json EventsJson(const FleetSnapshot* before, const FleetSnapshot& after,
                MonotonicTime now) {
  std::set<const FleetEvent*> told;
  if (before != nullptr) {
    for (const auto& event : before->events) told.insert(event.get());
  }
  const size_t skipped =
      after.events.size() - std::min(after.events.size(), kMostEvents);
  json events = json::array();
  for (size_t i = skipped; i < after.events.size(); ++i) {
    if (told.count(after.events[i].get()) != 0) continue;
    events.push_back(EventJson(*after.events[i], now));
  }
  return events;
}

}  // namespace

std::string ViewJson(const FleetSnapshot* before, const FleetSnapshot& after,
                     absl::string_view epoch, MonotonicTime now) {
  json processes = json::array();
  json rows = json::array();
  json gone = json::array();
  for (size_t i = 0; i < after.processes.size(); ++i) {
    const FleetProcessView& process = *after.processes[i];
    processes.push_back(ProcessJson(process, now));
    AddRows(i, before == nullptr ? nullptr : before->processes[i].get(),
            process, now, &rows, &gone);
  }
  return JsonText({{"changed", true},
                   {"epoch", epoch},
                   {"version", after.version},
                   {"full", before == nullptr},
                   {"processes", std::move(processes)},
                   {"rows", std::move(rows)},
                   {"gone", std::move(gone)},
                   {"events", EventsJson(before, after, now)}});
}

}  // namespace grpc_breaker::internal
