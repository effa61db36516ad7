#include "grpc_breaker/dashboard/view_json.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/dashboard/told_views.h"
#include "grpc_breaker/fleet/fleet_snapshot.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;

constexpr MonotonicTime kNow(std::chrono::seconds(100));

MonotonicTime Ago(std::chrono::milliseconds age) { return kNow - age; }

FleetPoint Point(std::chrono::milliseconds age, uint64_t calls) {
  FleetPoint point;
  point.time = Ago(age);
  point.length = absl::Seconds(1);
  point.calls = calls;
  return point;
}

std::shared_ptr<FleetRow> Row(const std::string& channel,
                              const std::string& method) {
  auto row = std::make_shared<FleetRow>();
  row->breaker.set_channel(channel);
  row->breaker.set_method(method);
  row->breaker.set_state(admin::v1::STATE_CLOSED);
  return row;
}

FleetSnapshot Snapshot(uint64_t version,
                       std::vector<std::shared_ptr<const FleetRow>> rows) {
  auto process = std::make_shared<FleetProcessView>();
  process->name = "10.0.0.1:8089";
  process->rows = std::move(rows);
  process->answered = Ago(std::chrono::milliseconds(10));
  FleetSnapshot snapshot;
  snapshot.version = version;
  snapshot.processes.push_back(std::move(process));
  return snapshot;
}

json View(const FleetSnapshot* before, const FleetSnapshot& after) {
  return json::parse(ViewJson(before, after, "epoch", kNow));
}

std::vector<std::string> MethodsOf(const json& view) {
  std::vector<std::string> methods;
  for (const json& row : view["rows"]) methods.push_back(row["method"]);
  return methods;
}

TEST(ViewJsonTest, FirstViewHasEverything) {
  auto row = Row("prices", "/a.B/C");
  row->breaker.set_state(admin::v1::STATE_HALF_OPEN);
  row->breaker.mutable_in_state()->set_seconds(2);
  row->breaker.mutable_recent()->set_calls(7);
  row->breaker.mutable_recent()->mutable_p99()->set_nanos(1'500'000);
  row->rates.calls = 3.14159;
  row->history.Add(Point(std::chrono::milliseconds(400), 5), 10);
  const json view = View(nullptr, Snapshot(4, {row}));
  EXPECT_EQ(view["changed"], true);
  EXPECT_EQ(view["full"], true);
  EXPECT_EQ(view["epoch"], "epoch");
  EXPECT_EQ(view["version"], 4);
  EXPECT_EQ(view["processes"], json::parse(R"([{"name": "10.0.0.1:8089",
      "error": "", "failing_ms": null, "answered": true}])"));
  ASSERT_EQ(view["rows"].size(), 1u);
  const json& shown = view["rows"][0];
  EXPECT_EQ(shown["process"], 0);
  EXPECT_EQ(shown["channel"], "prices");
  EXPECT_EQ(shown["state"], "HALF_OPEN");
  EXPECT_EQ(shown["in_state_ms"], 2000);
  EXPECT_EQ(shown["next_probe_ms"], nullptr);
  EXPECT_EQ(shown["manual"], nullptr);
  EXPECT_EQ(shown["last_error"], nullptr);
  EXPECT_EQ(shown["recent"]["calls"], 7);
  EXPECT_EQ(shown["recent"]["p50"], nullptr);
  EXPECT_EQ(shown["recent"]["p99"], 1.5);
  EXPECT_EQ(shown["rates"]["calls"], 3.14);
  EXPECT_EQ(shown["points"], json::parse("[[400, 1000, 5, 0, 0, null, null]]"));
}

TEST(ViewJsonTest, LastErrorHasTheNameOfItsCode) {
  const auto shown = [](int code) {
    auto row = Row("prices", "/a.B/C");
    row->breaker.mutable_last_error()->set_code(code);
    return View(nullptr, Snapshot(1, {row}))["rows"][0]["last_error"]["code"];
  };
  EXPECT_EQ(shown(0), "OK");
  EXPECT_EQ(shown(14), "UNAVAILABLE");
  EXPECT_EQ(shown(16), "UNAUTHENTICATED");
  EXPECT_EQ(shown(17), "17");
  EXPECT_EQ(shown(-1), "-1");
}

TEST(ViewJsonTest, LaterViewHasOnlyRowsThatAreNotAsTheyWere) {
  const auto same = Row("a", "/s.S/Same");
  const FleetSnapshot before =
      Snapshot(1, {same, Row("b", "/s.S/Changed"), Row("b", "/s.S/Gone"),
                   Row("d", "/s.S/Last")});
  const json view =
      View(&before,
           Snapshot(2, {same, Row("b", "/s.S/Changed"), Row("c", "/s.S/New")}));
  EXPECT_EQ(view["full"], false);
  EXPECT_THAT(MethodsOf(view), ElementsAre("/s.S/Changed", "/s.S/New"));
  EXPECT_EQ(view["gone"],
            json::parse(R"([[0, "b", "/s.S/Gone"], [0, "d", "/s.S/Last"]])"));
}

TEST(ViewJsonTest, RowHasOnlyPointsThatWereNotToldBefore) {
  auto before_row = Row("a", "/s.S/M");
  before_row->history.Add(Point(std::chrono::milliseconds(2500), 1), 10);
  before_row->history.Add(Point(std::chrono::milliseconds(1500), 2), 10);
  auto after_row = Row("a", "/s.S/M");
  after_row->history = before_row->history;
  after_row->history.Add(Point(std::chrono::milliseconds(500), 3), 10);
  const FleetSnapshot before = Snapshot(1, {before_row});
  const json view = View(&before, Snapshot(2, {after_row}));
  EXPECT_EQ(view["rows"][0]["points"],
            json::parse("[[500, 1000, 3, 0, 0, null, null]]"));
  EXPECT_EQ(View(nullptr, Snapshot(2, {after_row}))["rows"][0]["points"].size(),
            3u);
}

TEST(ViewJsonTest, EventsAreToldOnce) {
  const auto transition = [](const std::string& cause) {
    auto event = std::make_shared<FleetEvent>();
    event->time = Ago(std::chrono::milliseconds(700));
    auto& change = *event->event.mutable_transition();
    change.set_channel("a");
    change.set_method("/s.S/M");
    change.set_from(admin::v1::STATE_CLOSED);
    change.set_to(admin::v1::STATE_OPEN);
    change.set_cause(cause);
    return event;
  };
  FleetSnapshot before = Snapshot(1, {});
  before.events.push_back(transition("first"));
  FleetSnapshot after = before;
  after.version = 2;
  after.events.push_back(transition("second"));
  const json view = View(&before, after);
  ASSERT_EQ(view["events"].size(), 1u);
  EXPECT_EQ(view["events"][0], json::parse(R"({"kind": "transition",
      "process": 0, "age_ms": 700, "channel": "a", "method": "/s.S/M",
      "from": "CLOSED", "to": "OPEN", "cause": "second", "actor": ""})"));
  EXPECT_EQ(View(nullptr, after)["events"].size(), 2u);
}

TEST(ViewJsonTest, AuditSaysWhoDidWhatAndWhetherItWasRefused) {
  auto event = std::make_shared<FleetEvent>();
  event->time = kNow;
  auto& audit = *event->event.mutable_audit();
  audit.set_rpc("ForceOpen");
  audit.mutable_target()->set_method_prefix("/s.");
  audit.set_actor("bob (claimed)");
  audit.set_reason("why not");
  audit.set_code(7);
  audit.set_message("ask ops");
  FleetSnapshot snapshot = Snapshot(1, {});
  snapshot.events.push_back(event);
  EXPECT_EQ(View(nullptr, snapshot)["events"][0], json::parse(R"json({
      "kind": "audit", "process": 0, "age_ms": 0, "channel": "", "method": "",
      "prefix": "/s.", "rpc": "ForceOpen", "actor": "bob (claimed)",
      "reason": "why not", "ttl_ms": null, "ok": false, "error": "ask ops",
      "count": 0
})json"));
}

TEST(ViewJsonTest, ProcessThatDoesNotAnswerSaysWhyAndSinceWhen) {
  FleetSnapshot snapshot = Snapshot(1, {});
  auto process = std::make_shared<FleetProcessView>(*snapshot.processes[0]);
  process->status = grpc::Status(grpc::StatusCode::UNAVAILABLE, "refused");
  process->failing_since = Ago(std::chrono::milliseconds(3000));
  process->answered.reset();
  snapshot.processes[0] = process;
  EXPECT_EQ(View(nullptr, snapshot)["processes"][0], json::parse(R"({
      "name": "10.0.0.1:8089", "error": "refused", "failing_ms": 3000,
      "answered": false})"));
}

// Names are what others choose; protobuf checks that they are UTF-8, messages
// of gRPC statuses nobody.
TEST(ViewJsonTest, WhateverBytesThereAreTheViewIsJson) {
  FleetSnapshot snapshot = Snapshot(1, {Row("</script><b>\"\\\n", "/s.S/M")});
  auto process = std::make_shared<FleetProcessView>(*snapshot.processes[0]);
  process->status = grpc::Status(grpc::StatusCode::UNKNOWN, "\xff\xfe");
  snapshot.processes[0] = process;
  const json view = View(nullptr, snapshot);
  EXPECT_EQ(view["rows"][0]["channel"], "</script><b>\"\\\n");
  EXPECT_EQ(view["processes"][0]["error"], "\ufffd\ufffd");
}

TEST(ToldViewsTest, KnowsTheLastOnes) {
  ToldViews told;
  for (uint64_t version = 1; version <= ToldViews::kMost + 1; ++version) {
    auto view = std::make_shared<FleetSnapshot>();
    view->version = version;
    told.Remember(view);
    told.Remember(view);  // Takes no place of another.
  }
  EXPECT_EQ(told.Find(1), nullptr);
  ASSERT_NE(told.Find(2), nullptr);
  EXPECT_EQ(told.Find(2)->version, 2u);
  EXPECT_EQ(told.Find(1000), nullptr);
}

}  // namespace
}  // namespace grpc_breaker::internal
