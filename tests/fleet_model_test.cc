// What a fleet knows, without anybody who is asked.

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/fleet/breaker_rows.h"
#include "grpc_breaker/fleet/fleet_group.h"
#include "grpc_breaker/fleet/fleet_history.h"
#include "grpc_breaker/fleet/fleet_snapshot.h"
#include "grpc_breaker/fleet/timeline.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

using admin::v1::Breaker;
using ::testing::DoubleEq;
using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

MonotonicTime At(double seconds) {
  return TimeAfter(MonotonicTime(), absl::Seconds(seconds));
}

std::vector<uint64_t> CallsOf(const FleetHistory& history) {
  std::vector<uint64_t> calls;
  for (const FleetPoint& point : history.points()) calls.push_back(point.calls);
  return calls;
}

FleetPoint PointWith(uint64_t calls) {
  FleetPoint point;
  point.calls = calls;
  return point;
}

TEST(FleetHistoryTest, KeepsTheLastPoints) {
  FleetHistory history;
  EXPECT_THAT(history.points(), IsEmpty());
  for (uint64_t i = 1; i <= 1000; ++i) {
    history.Add(PointWith(i), 3);
    const uint64_t oldest = i < 3 ? 1 : i - 2;
    std::vector<uint64_t> expected;
    for (uint64_t calls = oldest; calls <= i; ++calls) {
      expected.push_back(calls);
    }
    ASSERT_EQ(CallsOf(history), expected);
  }
}

TEST(FleetHistoryTest, ACopyDoesNotSeeWhatIsAddedToAnother) {
  FleetHistory history;
  for (uint64_t i = 1; i <= 4; ++i) history.Add(PointWith(i), 10);
  FleetHistory left = history;
  FleetHistory right = history;
  left.Add(PointWith(5), 10);
  right.Add(PointWith(6), 10);
  left.Add(PointWith(7), 10);
  EXPECT_THAT(CallsOf(history), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(CallsOf(left), ElementsAre(1, 2, 3, 4, 5, 7));
  EXPECT_THAT(CallsOf(right), ElementsAre(1, 2, 3, 4, 6));
}

TEST(FleetHistoryTest, CopiesShareTheirPoints) {
  FleetHistory history;
  for (uint64_t i = 1; i <= 4; ++i) history.Add(PointWith(i), 10);
  FleetHistory longer = history;
  longer.Add(PointWith(5), 10);
  EXPECT_EQ(longer.points().data(), history.points().data());
}

TEST(FleetHistoryTest, FewerPointsThanBeforeMayBeKept) {
  FleetHistory history;
  for (uint64_t i = 1; i <= 9; ++i) history.Add(PointWith(i), 10);
  history.Add(PointWith(10), 2);
  EXPECT_THAT(CallsOf(history), ElementsAre(9, 10));
}

// As a process that serves one method "m" of channel "c" would answer.
Breaker Counts(uint64_t calls, uint64_t failures = 0, uint64_t rejections = 0) {
  Breaker breaker;
  breaker.set_channel("c");
  breaker.set_method("m");
  breaker.set_calls(calls);
  breaker.set_failed_calls(failures);
  breaker.set_rejections(rejections);
  return breaker;
}

void Update(BreakerRows& rows, std::vector<Breaker> breakers, double seconds,
            bool interval_ended = true) {
  BreakerRows::Breakers answer;
  for (Breaker& breaker : breakers) answer.Add(std::move(breaker));
  rows.Update(&answer, At(seconds), interval_ended);
}

TEST(BreakerRowsTest, RatesAreOfTheLastInterval) {
  BreakerRows rows(10);
  Update(rows, {Counts(100, 50, 10)}, 0);
  ASSERT_THAT(rows.rows(), SizeIs(1));
  EXPECT_EQ(rows.rows()[0]->rates.calls, 0) << "it is not known since when";
  EXPECT_THAT(rows.rows()[0]->history.points(), IsEmpty());

  Breaker breaker = Counts(120, 54, 16);
  breaker.mutable_recent()->mutable_p50()->set_nanos(250'000'000);
  breaker.mutable_recent()->mutable_p99()->set_seconds(2);
  Update(rows, {breaker}, 2);
  const FleetRow& row = *rows.rows()[0];
  EXPECT_EQ(row.rates.calls, 10);
  EXPECT_EQ(row.rates.failures, 2);
  EXPECT_EQ(row.rates.rejections, 3);
  ASSERT_THAT(row.history.points(), SizeIs(1));
  const FleetPoint& point = row.history.points()[0];
  EXPECT_EQ(point.time, At(2));
  EXPECT_EQ(point.length, absl::Seconds(2));
  EXPECT_EQ(point.calls, 20u);
  EXPECT_EQ(point.failures, 4u);
  EXPECT_EQ(point.rejections, 6u);
  EXPECT_EQ(point.p50_seconds, 0.25);
  EXPECT_EQ(point.p99_seconds, 2);
}

TEST(BreakerRowsTest, WithoutCallsThereAreNoLatencies) {
  BreakerRows rows(10);
  Update(rows, {Counts(0)}, 0);
  Update(rows, {Counts(0)}, 1);
  EXPECT_LT(rows.rows()[0]->history.points()[0].p50_seconds, 0);
  EXPECT_LT(rows.rows()[0]->history.points()[0].p99_seconds, 0);
}

TEST(BreakerRowsTest, AnAnswerInBetweenChangesNoRate) {
  BreakerRows rows(10);
  Update(rows, {Counts(0)}, 0);
  Update(rows, {Counts(10)}, 1);
  Breaker open = Counts(1000);
  open.set_state(admin::v1::STATE_OPEN);
  Update(rows, {open}, 1.5, /*interval_ended=*/false);
  EXPECT_EQ(rows.rows()[0]->breaker.state(), admin::v1::STATE_OPEN);
  EXPECT_EQ(rows.rows()[0]->rates.calls, 10);
  EXPECT_THAT(CallsOf(rows.rows()[0]->history), ElementsAre(10));
  Update(rows, {Counts(1010)}, 2);
  EXPECT_EQ(rows.rows()[0]->rates.calls, 1000);
  EXPECT_THAT(CallsOf(rows.rows()[0]->history), ElementsAre(10, 1000));
}

// Each of what only grows tells that it has begun anew.
TEST(BreakerRowsTest, NoRateIsNegativeAfterARestart) {
  Breaker before = Counts(100, 50, 10);
  before.set_transitions(5);
  Breaker other = before;
  other.set_method("n");
  for (int i = 0; i < 4; ++i) {
    BreakerRows rows(10);
    Update(rows, {before, other}, 0);
    Update(rows, {before, other}, 1);
    Breaker after = before;
    if (i == 0) after.set_calls(99);
    if (i == 1) after.set_failed_calls(49);
    if (i == 2) after.set_rejections(9);
    if (i == 3) after.set_transitions(4);
    Breaker other_after = other;
    other_after.set_calls(1'000'000);  // Of the new process.
    Update(rows, {after, other_after}, 2);
    for (const auto& row : rows.rows()) {
      EXPECT_EQ(row->rates.calls, 0) << i;
      EXPECT_EQ(row->rates.failures, 0) << i;
      EXPECT_EQ(row->rates.rejections, 0) << i;
      EXPECT_THAT(CallsOf(row->history), ElementsAre(0)) << "of before " << i;
    }
    after.set_calls(after.calls() + 7);
    Update(rows, {after, other_after}, 3);
    EXPECT_EQ(rows.rows()[0]->rates.calls, 7) << i;
  }
}

Breaker Named(const std::string& channel, const std::string& method,
              uint64_t calls) {
  Breaker breaker = Counts(calls);
  breaker.set_channel(channel);
  breaker.set_method(method);
  return breaker;
}

std::vector<double> RatesOf(const BreakerRows& rows) {
  std::vector<double> rates;
  for (const auto& row : rows.rows()) rates.push_back(row->rates.calls);
  return rates;
}

TEST(BreakerRowsTest, AChannelThatIsMadeAnewLeavesTheRatesOfOthers) {
  BreakerRows rows(10);
  Update(rows, {Named("a", "m", 100), Named("job", "m", 1), Named("z", "m", 1)},
         0);
  Update(rows, {Named("a", "m", 110), Named("job", "m", 4), Named("z", "m", 3)},
         1);
  EXPECT_THAT(RatesOf(rows), ElementsAre(10, 3, 2));
  for (int i = 2; i < 5; ++i) {
    const uint64_t calls = i % 2 == 0 ? 2 : 1;
    Update(rows,
           {Named("a", "m", 100 + 10 * static_cast<uint64_t>(i)),
            Named("job", "m", calls), Named("z", "m", 3)},
           i);
    EXPECT_EQ(rows.rows()[0]->rates.calls, 10) << i;
    EXPECT_THAT(rows.rows()[0]->history.points(), SizeIs(i)) << i;
    EXPECT_EQ(rows.rows()[2]->rates.calls, 0) << "as it has none";
    EXPECT_THAT(rows.rows()[2]->history.points(), SizeIs(i)) << i;
  }
}

TEST(BreakerRowsTest, AnotherProcessBeginsAnewThatHasMoreCalls) {
  BreakerRows rows(10);
  Update(rows, {Named("a", "m", 0), Named("b", "m", 0)}, 0);
  Update(rows, {Named("a", "m", 1), Named("b", "m", 2)}, 1);
  rows.BeginAnew();
  Update(rows, {Named("a", "m", 1000), Named("b", "m", 1000)}, 2);
  EXPECT_THAT(RatesOf(rows), ElementsAre(0, 0));
  EXPECT_THAT(CallsOf(rows.rows()[0]->history), ElementsAre(1)) << "of before";
  Update(rows, {Named("a", "m", 1003), Named("b", "m", 1004)}, 3);
  EXPECT_THAT(RatesOf(rows), ElementsAre(3, 4));
  EXPECT_THAT(CallsOf(rows.rows()[0]->history), ElementsAre(1, 3));
}

TEST(BreakerRowsTest, BreakersComeAndGo) {
  BreakerRows rows(10);
  Update(rows, {Named("a", "z", 1), Named("b", "a", 1), Named("c", "a", 1)}, 0);
  // In another order, which is put right.
  Update(rows, {Named("c", "a", 4), Named("a", "z", 2), Named("a", "x", 9)}, 1);
  std::vector<std::string> names;
  for (const auto& row : rows.rows()) {
    names.push_back(row->breaker.channel() + row->breaker.method());
  }
  EXPECT_THAT(names, ElementsAre("ax", "az", "ca"));
  EXPECT_THAT(RatesOf(rows), ElementsAre(0, 1, 3));
  // One that comes back begins anew.
  Update(rows, {Named("b", "a", 50)}, 2);
  ASSERT_THAT(rows.rows(), SizeIs(1));
  EXPECT_THAT(rows.rows()[0]->history.points(), IsEmpty());
}

TEST(BreakerRowsTest, AnOlderAnswerStaysAsItWas) {
  BreakerRows rows(10);
  Update(rows, {Counts(0)}, 0);
  Update(rows, {Counts(1)}, 1);
  const std::shared_ptr<const FleetRow> older = rows.rows()[0];
  Update(rows, {Counts(3)}, 2);
  EXPECT_THAT(CallsOf(older->history), ElementsAre(1));
  EXPECT_EQ(older->breaker.calls(), 1u);
}

FleetEvent TransitionAt(double seconds, const std::string& cause,
                        size_t process = 0) {
  FleetEvent event;
  event.process = process;
  event.time = At(seconds);
  event.event.mutable_transition()->set_cause(cause);
  event.event.mutable_transition()->mutable_time()->set_seconds(
      static_cast<int64_t>(seconds));
  return event;
}

std::vector<std::string> CausesOf(const Timeline& timeline) {
  std::vector<std::string> causes;
  for (const auto& event : timeline.events()) {
    causes.push_back(event->event.transition().cause());
  }
  return causes;
}

TEST(TimelineTest, IsInOrderOfTime) {
  Timeline timeline(10);
  timeline.Add({TransitionAt(1, "a"), TransitionAt(4, "d")});
  timeline.Add({TransitionAt(5, "e", 1), TransitionAt(2, "b", 1),
                TransitionAt(4, "dd", 1)});
  EXPECT_THAT(CausesOf(timeline), ElementsAre("a", "b", "d", "dd", "e"));
}

TEST(TimelineTest, HasEachEventOnce) {
  Timeline timeline(10);
  FleetEvent event = TransitionAt(1, "a");
  timeline.Add({event});
  event.time = At(1.001);  // As it seems when it is heard of again.
  event.event.mutable_transition()->mutable_age()->set_seconds(9);
  timeline.Add({event, event});
  EXPECT_THAT(CausesOf(timeline), ElementsAre("a"));
  FleetEvent audit;
  audit.time = At(2);
  audit.event.mutable_audit()->set_reason("because");
  timeline.Add({audit});
  audit.event.mutable_audit()->mutable_age()->set_seconds(9);
  timeline.Add({audit});
  EXPECT_THAT(timeline.events(), SizeIs(2));
  event.process = 1;
  timeline.Add({event});
  EXPECT_THAT(timeline.events(), SizeIs(3)) << "another process did the same";
}

TEST(TimelineTest, KeepsTheLastOnes) {
  Timeline timeline(3);
  for (int i = 10; i < 20; ++i) {
    timeline.Add({TransitionAt(i, std::to_string(i))});
  }
  timeline.Add({TransitionAt(1, "too old")});
  EXPECT_THAT(CausesOf(timeline), ElementsAre("17", "18", "19"));
  timeline.Add({TransitionAt(18.5, "x")});
  EXPECT_THAT(CausesOf(timeline), ElementsAre("18", "x", "19"));
}

std::shared_ptr<const FleetRow> RowOf(const std::string& channel,
                                      const std::string& method,
                                      admin::v1::State state,
                                      uint64_t failures = 0,
                                      uint64_t rejected = 0) {
  auto row = std::make_shared<FleetRow>();
  row->breaker.set_channel(channel);
  row->breaker.set_method(method);
  row->breaker.set_state(state);
  row->breaker.mutable_recent()->set_calls(100);
  row->breaker.mutable_recent()->set_failures(failures);
  row->breaker.mutable_recent()->set_rejected(rejected);
  row->breaker.mutable_window()->set_successes(5);
  row->breaker.mutable_window()->set_failures(2);
  row->breaker.set_rejections(1000);
  row->rates = {10, 2, 1};
  return row;
}

FleetSnapshot SnapshotOf(
    std::vector<std::vector<std::shared_ptr<const FleetRow>>> processes) {
  FleetSnapshot snapshot;
  for (auto& rows : processes) {
    auto view = std::make_shared<FleetProcessView>();
    view->rows = std::move(rows);
    snapshot.processes.push_back(std::move(view));
  }
  return snapshot;
}

TEST(FleetGroupTest, TakesTogetherWhatHasTheSameName) {
  const FleetSnapshot snapshot =
      SnapshotOf({{RowOf("a", "m", admin::v1::STATE_CLOSED, 3, 1),
                   RowOf("b", "m", admin::v1::STATE_CLOSED)},
                  {},
                  {RowOf("a", "m", admin::v1::STATE_OPEN, 4, 2)}});
  const std::vector<FleetGroup> groups = GroupFleet(snapshot);
  ASSERT_THAT(groups, SizeIs(2));
  const FleetGroup& group = groups[0];
  EXPECT_EQ(group.channel, "a");
  EXPECT_EQ(group.method, "m");
  EXPECT_EQ(group.state, admin::v1::STATE_OPEN);
  EXPECT_EQ(group.rates.calls, 20);
  EXPECT_EQ(group.rates.failures, 4);
  EXPECT_EQ(group.rates.rejections, 2);
  EXPECT_EQ(group.window_calls, 14);
  EXPECT_EQ(group.window_failures, 4);
  EXPECT_EQ(group.recent_calls, 200u);
  EXPECT_EQ(group.recent_failures, 7u);
  EXPECT_EQ(group.recent_rejected, 3u);
  EXPECT_EQ(group.rejections, 2000u);
  ASSERT_THAT(group.members, SizeIs(2));
  EXPECT_EQ(group.members[0].process, 0u);
  EXPECT_EQ(group.members[1].process, 2u);
  EXPECT_EQ(group.members[1].row, snapshot.processes[2]->rows[0]);
  EXPECT_EQ(groups[1].channel, "b");
  EXPECT_EQ(groups[1].state, admin::v1::STATE_CLOSED);
  EXPECT_THAT(SingleGroups(snapshot), SizeIs(3));
}

TEST(FleetGroupTest, AnyStateHasItsSeverity) {
  int last = 7;
  for (const admin::v1::State state : StatesFromTheWorst()) {
    EXPECT_EQ(Severity(state), --last);
  }
  EXPECT_EQ(last, 0) << "none is left out";
  EXPECT_EQ(admin::v1::State_MAX + 1, 7) << "there is a new one";
  EXPECT_EQ(Severity(static_cast<admin::v1::State>(99)), 0)
      << "one that a newer process has";
}

TEST(FleetGroupTest, TroubleIsByStateThenFailuresThenRejectionsThenName) {
  const FleetSnapshot snapshot =
      SnapshotOf({{RowOf("a", "closed", admin::v1::STATE_CLOSED, 99, 99),
                   RowOf("a", "open", admin::v1::STATE_OPEN),
                   RowOf("a", "open+1", admin::v1::STATE_OPEN, 1),
                   RowOf("a", "rejects", admin::v1::STATE_OPEN, 0, 5),
                   RowOf("a", "half", admin::v1::STATE_HALF_OPEN, 50),
                   RowOf("b", "half", admin::v1::STATE_HALF_OPEN, 50)},
                  {RowOf("a", "half", admin::v1::STATE_HALF_OPEN, 50)}});
  std::vector<FleetGroup> groups = SingleGroups(snapshot);
  std::sort(groups.begin(), groups.end(), MoreTrouble);
  std::vector<std::string> names;
  for (const FleetGroup& group : groups) {
    names.push_back(group.channel + " " + group.method + " " +
                    std::to_string(group.members[0].process));
  }
  EXPECT_THAT(names,
              ElementsAre("a open+1 0", "a rejects 0", "a open 0", "a half 0",
                          "a half 1", "b half 0", "a closed 0"));
}

TEST(FleetGroupTest, RatesAreSpreadOverTheStepsThatAPointCovers) {
  auto row = std::make_shared<FleetRow>();
  FleetPoint point;
  point.time = At(10);
  point.length = absl::Seconds(2);
  point.calls = 20;
  point.failures = 10;
  point.rejections = 4;
  row->history.Add(point, 10);
  const FleetMember member{0, row};
  const auto calls = [](const std::vector<FleetRates>& rates) {
    std::vector<double> calls;
    for (const FleetRates& rate : rates) calls.push_back(rate.calls);
    return calls;
  };
  // Exactly over the last two; over parts of three; its end only; not at all.
  EXPECT_THAT(calls(RatesOver({member}, At(10), absl::Seconds(1), 3)),
              ElementsAre(0, DoubleEq(10), DoubleEq(10)));
  EXPECT_THAT(calls(RatesOver({member}, At(10.5), absl::Seconds(1), 4)),
              ElementsAre(0, DoubleNear(5, 1e-6), DoubleNear(10, 1e-6),
                          DoubleNear(5, 1e-6)));
  EXPECT_THAT(calls(RatesOver({member}, At(12), absl::Seconds(1), 3)),
              ElementsAre(DoubleEq(10), 0, 0));
  EXPECT_THAT(calls(RatesOver({member}, At(20), absl::Seconds(1), 3)),
              ElementsAre(0, 0, 0));
  EXPECT_THAT(calls(RatesOver({member}, At(9), absl::Seconds(1), 1)),
              ElementsAre(DoubleEq(10)))
      << "what is behind the end does not count";
  // Of several, the sum.
  const std::vector<FleetRates> both =
      RatesOver({member, member}, At(10), absl::Seconds(2), 1);
  EXPECT_EQ(both[0].calls, 20);
  EXPECT_EQ(both[0].failures, 10);
  EXPECT_EQ(both[0].rejections, 4);
}

}  // namespace
}  // namespace grpc_breaker::internal
