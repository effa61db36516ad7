// What breakerctl top shows, and what keys do to it, without a terminal.

#include "tools/breakerctl/top_screen.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/fleet/fleet_snapshot.h"
#include "gtest/gtest.h"
#include "tools/breakerctl/frame.h"
#include "tools/breakerctl/text.h"
#include "tools/breakerctl/top_table.h"

namespace grpc_breaker::breakerctl {
namespace {

using internal::FleetEvent;
using internal::FleetPoint;
using internal::FleetProcessView;
using internal::FleetRates;
using internal::FleetRow;
using internal::FleetSnapshot;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

MonotonicTime At(double seconds) {
  return TimeAfter(MonotonicTime(), absl::Seconds(seconds));
}

Key Text(const std::string& text) { return {Key::kText, text}; }

// A breaker that has been in its state for a minute.
FleetRow Breaker(const std::string& channel, const std::string& method,
                 admin::v1::State state) {
  FleetRow row;
  row.breaker.set_channel(channel);
  row.breaker.set_method(method);
  row.breaker.set_state(state);
  row.breaker.mutable_in_state()->set_seconds(60);
  return row;
}

// In which a tenth of 100 calls failed in the last minute.
FleetRow Busy(FleetRow row) {
  admin::v1::RecentCalls& recent = *row.breaker.mutable_recent();
  recent.set_calls(100);
  recent.set_failures(10);
  recent.mutable_p50()->set_nanos(2'000'000);
  recent.mutable_p95()->set_nanos(30'000'000);
  recent.mutable_p99()->set_seconds(1);
  row.rates = {20, 2, 0};
  // 10, 20, ... calls; the last but one has a failure, the last ten.
  for (int i = 1; i <= 8; ++i) {
    FleetPoint point;
    point.time = At(i);
    point.length = absl::Seconds(1);
    point.calls = static_cast<uint64_t>(10 * i);
    point.failures = i == 7 ? 1 : i == 8 ? 70 : 0;
    row.history.Add(point, 10);
  }
  return row;
}

class TopScreenTest : public ::testing::Test {
 protected:
  TopScreenTest() { options_.unicode = true; }

  // What has been answered at second 10.
  void SetProcesses(std::vector<std::vector<FleetRow>> processes) {
    snapshot_ = FleetSnapshot();
    for (std::vector<FleetRow>& rows : processes) {
      auto view = std::make_shared<FleetProcessView>();
      view->name = absl::StrCat("p", ++names_);
      view->answered = At(10);
      for (FleetRow& row : rows) {
        view->rows.push_back(std::make_shared<FleetRow>(std::move(row)));
      }
      snapshot_.processes.push_back(std::move(view));
    }
    names_ = 0;
  }
  void Lose(size_t process) {
    auto view =
        std::make_shared<FleetProcessView>(*snapshot_.processes[process]);
    view->status = grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone");
    view->failing_since = At(7);
    snapshot_.processes[process] = std::move(view);
  }
  void AddChange(size_t process, const std::string& channel,
                 const std::string& method, admin::v1::State to,
                 const std::string& cause) {
    auto event = std::make_shared<FleetEvent>();
    event->process = process;
    admin::v1::Transition& change = *event->event.mutable_transition();
    change.set_channel(channel);
    change.set_method(method);
    change.set_to(to);
    change.set_cause(cause);
    snapshot_.events.push_back(std::move(event));
  }

  // Shows it at second 12.
  TopScreen& Screen() {
    if (screen_ == nullptr) screen_ = std::make_unique<TopScreen>(options_);
    screen_->SetSnapshot(std::make_shared<FleetSnapshot>(snapshot_), At(12));
    return *screen_;
  }

  static std::vector<std::string> Lines(const Frame& frame) {
    const std::string text = ToText(frame, Style());
    std::vector<std::string> lines = absl::StrSplit(text, '\n');
    lines.pop_back();
    return lines;
  }
  std::vector<std::string> Draw(size_t width = 100, size_t height = 10) {
    return Lines(Screen().Draw(width, height));
  }
  std::string LastLine() { return Draw().back(); }

  // Names that begin with "/", in the order in which they are shown.
  std::vector<std::string> Methods(size_t height = 30) {
    std::vector<std::string> methods;
    std::vector<std::string> lines = Draw(200, height);
    lines.pop_back();  // What is asked or said.
    for (const std::string& line : lines) {
      for (const absl::string_view word : absl::StrSplit(line, ' ')) {
        if (absl::StartsWith(word, "/") && word.size() > 1) {
          methods.emplace_back(word);
          break;
        }
      }
    }
    return methods;
  }
  // The line that is chosen.
  std::string Chosen() {
    for (const FrameLine& line : Screen().Draw(200, 10)) {
      if (line.size() > 1 && line[0].reverse) {
        return Lines({line}).front();
      }
    }
    return "";
  }
  TopRequest Press(std::vector<Key> keys) {
    TopRequest request;
    for (const Key& key : keys) request = Screen().Press(key);
    return request;
  }

  TopOptions options_;
  FleetSnapshot snapshot_;
  int names_ = 0;
  std::unique_ptr<TopScreen> screen_;
};

constexpr admin::v1::State kClosed = admin::v1::STATE_CLOSED;
constexpr admin::v1::State kOpen = admin::v1::STATE_OPEN;

TEST_F(TopScreenTest, ShowsABreakerInAllColumns) {
  SetProcesses({{Busy(Breaker("shop", "/a.B/C", kOpen)),
                 Breaker("shop", "/a.B/D", kClosed)}});
  AddChange(0, "shop", "/a.B/C", kOpen, "5 consecutive failures");
  const std::string before(37, ' ');
  EXPECT_THAT(
      Draw(130, 6),
      ElementsAre(
          "breakerctl top  2 breakers: 1 OPEN, 1 CLOSED  20.0 calls/s, 2.0 "
          "failed, 0.0 rejected",
          absl::StrCat("STATE   METHOD  CALLS/S  FAIL%  REJ/S  P50   P95  P99  "
                       "HISTORY ",
                       before, "   FOR  CAUSE"),
          absl::StrCat(
              "OPEN    /a.B/C     20.0   10.0    0.0  2ms  30ms   1s  ", before,
              "▁▂▃▄▅▆▇█  1m2s  5 consecutive failures"),
          absl::StrCat(
              "CLOSED  /a.B/D      0.0      -    0.0    -     -    -  ", before,
              "          1m2s"),
          "", "by trouble  ? help  / filter  s sort  Enter details  q quit"));
}

TEST_F(TopScreenTest, WithoutUnicodeAllIsAscii) {
  options_.unicode = false;
  SetProcesses({{Busy(Breaker("shop", "/a.B/Ü", kOpen))}});
  const std::string line = Draw(130, 6)[2];
  EXPECT_THAT(line, HasSubstr(".,-~+*%#"));
  EXPECT_THAT(line, HasSubstr("/a.B/?"));
}

TEST_F(TopScreenTest, ColoursTellStatesAndFailures) {
  SetProcesses({{Busy(Breaker("shop", "/a.B/C", kOpen))}});
  const FrameLine line = Screen().Draw(130, 6)[2];
  EXPECT_EQ(line[0].text, "OPEN ");
  EXPECT_EQ(line[0].color, Color::kRed);
  std::vector<std::pair<std::string, std::optional<Color>>> blocks;
  for (const Piece& piece : line) {
    if (absl::StrContains(piece.text, "▁") ||
        absl::StrContains(piece.text, "▇") ||
        absl::StrContains(piece.text, "█")) {
      blocks.emplace_back(piece.text, piece.color);
    }
  }
  using Block = std::pair<std::string, std::optional<Color>>;
  EXPECT_THAT(blocks,
              ElementsAre(Block("▁▂▃▄▅▆", Color::kGreen),
                          Block("▇", Color::kYellow), Block("█", Color::kRed)));
}

TEST_F(TopScreenTest, ChannelsAreShownIfThereAreSeveral) {
  SetProcesses({{Breaker("a", "/x/y", kClosed), Breaker("b", "/x/y", kOpen)}});
  EXPECT_THAT(Draw()[1], HasSubstr("CHANNEL"));
  EXPECT_THAT(Draw()[2], StartsWith("OPEN    /x/y    b "));
  SetProcesses({{Breaker("a", "/x/y", kClosed)}});
  EXPECT_THAT(Draw()[1], Not(HasSubstr("CHANNEL")));
}

TEST_F(TopScreenTest, SeveralProcessesAreTakenTogetherUntilG) {
  options_.several = true;
  SetProcesses({{Breaker("a", "/x/y", kClosed)},
                {Breaker("a", "/x/y", kOpen)},
                {Breaker("a", "/x/y", kClosed)}});
  std::vector<std::string> lines = Draw(120, 8);
  EXPECT_THAT(lines[0], HasSubstr("3 processes  3 breakers: 1 OPEN, 2 CLOSED"));
  EXPECT_THAT(lines[1], HasSubstr("PROCESSES"));
  EXPECT_THAT(lines[2], StartsWith("OPEN   /x/y    1 OPEN, 2 CLOSED"));
  EXPECT_EQ(lines[3], "");
  Press({Text("g")});
  lines = Draw(120, 8);
  EXPECT_THAT(lines[2], StartsWith("OPEN    /x/y    p2 "));
  EXPECT_THAT(lines[3], StartsWith("CLOSED  /x/y    p1 "));
  EXPECT_THAT(lines[4], StartsWith("CLOSED  /x/y    p3 "));
}

TEST_F(TopScreenTest, AProcessThatDoesNotAnswerIsToldOf) {
  options_.several = true;
  SetProcesses({{Breaker("a", "/x/y", kClosed)},
                {Breaker("a", "/x/y", kOpen), Breaker("a", "/x/z", kOpen)}});
  Lose(1);
  const std::vector<std::string> lines = Draw(120, 8);
  EXPECT_THAT(lines[0], HasSubstr("3 breakers: 1 CLOSED, 2 ?  "));
  EXPECT_EQ(lines[1], "p2: no answer for 5s: UNAVAILABLE: gone");
  EXPECT_THAT(lines[3], StartsWith("OPEN?   /x/z    1 ?"));
  EXPECT_THAT(lines[4], StartsWith("CLOSED  /x/y    1 CLOSED, 1 ?"))
      << "what it was is not known to be so";
  Press({Text("g")});
  EXPECT_THAT(Draw(120, 8)[3], StartsWith("OPEN?   /x/y    p2"));
}

TEST_F(TopScreenTest, ManyProcessesThatDoNotAnswerTakeThreeLines) {
  options_.several = true;
  SetProcesses({{}, {}, {}, {}, {}});
  for (size_t i = 0; i < 5; ++i) Lose(i);
  const std::vector<std::string> lines = Draw(120, 8);
  EXPECT_THAT(lines[1], StartsWith("p1: no answer"));
  EXPECT_THAT(lines[3],
              AllOf(StartsWith("p3: no answer"), HasSubstr("(and 2 more)")));
  EXPECT_THAT(lines[4], StartsWith("STATE"));
}

TEST_F(TopScreenTest, TheCauseIsOfTheStateOrElseTheLastError) {
  FleetRow held = Breaker("a", "/held", admin::v1::STATE_FORCED_OPEN);
  held.breaker.mutable_manual()->set_actor("bob");
  held.breaker.mutable_manual()->set_reason("bad deploy");
  FleetRow failed = Breaker("a", "/failed", kClosed);
  failed.breaker.mutable_last_error()->set_category(
      config::v1::ERROR_CATEGORY_TRANSIENT);
  failed.breaker.mutable_last_error()->mutable_age()->set_seconds(5);
  SetProcesses({{held, failed, Breaker("a", "/open", kOpen)}});
  AddChange(0, "a", "/open", kOpen, "an older cause");
  AddChange(0, "a", "/open", kOpen, "the last cause");
  AddChange(0, "a", "/failed", kClosed, "2 probes succeeded");
  const std::string all = absl::StrJoin(Draw(150), "\n");
  EXPECT_THAT(all, HasSubstr("by bob: bad deploy"));
  EXPECT_THAT(all, HasSubstr("TRANSIENT 7s ago")) << "two seconds later";
  EXPECT_THAT(all, HasSubstr("the last cause"));
  EXPECT_THAT(all, Not(HasSubstr("probes")));
}

TEST_F(TopScreenTest, FitsIntoAnyWidth) {
  options_.several = true;
  SetProcesses(
      {{Busy(Breaker("shop", "/some.long.package.Service/Method", kOpen)),
        Breaker("other", "/some.long.package.Service/Other", kClosed)},
       {Busy(Breaker("shop", "/some.long.package.Service/Method", kOpen))}});
  AddChange(0, "shop", "/some.long.package.Service/Method", kOpen,
            "20 consecutive failures, which is a lot");
  for (size_t width = 0; width < 250; ++width) {
    const Frame frame = Screen().Draw(width, 8);
    ASSERT_THAT(frame, SizeIs(8));
    for (const FrameLine& line : frame) ASSERT_LE(Width(line), width);
  }
  // What one can best do without goes first.
  EXPECT_THAT(Draw(230)[2], HasSubstr("/some.long.package.Service/Method"));
  EXPECT_THAT(Draw(100)[1], AllOf(HasSubstr("CAUSE"), HasSubstr("HISTORY"),
                                  Not(HasSubstr("P50"))));
  EXPECT_THAT(Draw(60)[1], AllOf(HasSubstr("CALLS/S"), Not(HasSubstr("P99"))));
  EXPECT_EQ(Draw(20)[2], "OPEN    /some.lo...c");
}

TEST_F(TopScreenTest, FitsIntoAnyHeight) {
  std::vector<FleetRow> rows;
  for (int i = 0; i < 20; ++i) {
    rows.push_back(Breaker("a", absl::StrCat("/m", i), kClosed));
  }
  SetProcesses({rows});
  for (const char* keys : {"", "?"}) {
    for (size_t height = 0; height < 30; ++height) {
      if (*keys != '\0') Press({Text(keys)});
      ASSERT_THAT(Screen().Draw(80, height), SizeIs(height));
    }
  }
}

TEST_F(TopScreenTest, TheMostTroubleComesFirst) {
  SetProcesses({{Breaker("a", "/closed", kClosed),
                 Busy(Breaker("a", "/closed+failures", kClosed)),
                 Breaker("a", "/open", kOpen)}});
  EXPECT_THAT(Methods(), ElementsAre("/open", "/closed+failures", "/closed"));
  Press({Text("r")});
  EXPECT_THAT(Methods(), ElementsAre("/closed", "/closed+failures", "/open"));
  EXPECT_THAT(LastLine(), StartsWith("by trouble, reversed  "));
}

TEST_F(TopScreenTest, SGoesThroughTheOrders) {
  FleetRow slow = Busy(Breaker("c", "/slow", kClosed));
  slow.breaker.mutable_recent()->mutable_p50()->set_seconds(9);
  slow.breaker.mutable_recent()->mutable_p95()->set_seconds(9);
  slow.breaker.mutable_recent()->mutable_p99()->set_seconds(9);
  slow.rates = {1, 0, 0};
  FleetRow busy = Busy(Breaker("b", "/busy", kClosed));
  busy.rates = {100, 0, 0};
  busy.breaker.mutable_recent()->set_failures(50);
  FleetRow idle = Breaker("a", "/idle", kOpen);
  idle.rates.rejections = 3;
  idle.breaker.mutable_in_state()->set_seconds(3600);
  SetProcesses({{slow, busy, idle}});
  const std::vector<std::pair<std::string, std::vector<std::string>>> expected =
      {{"state", {"/idle", "/busy", "/slow"}},
       {"method", {"/busy", "/idle", "/slow"}},
       {"channel", {"/idle", "/busy", "/slow"}},
       {"calls/s", {"/busy", "/slow", "/idle"}},
       {"fail%", {"/busy", "/slow", "/idle"}},
       {"rej/s", {"/idle", "/busy", "/slow"}},
       {"p50", {"/slow", "/busy", "/idle"}},
       {"p95", {"/slow", "/busy", "/idle"}},
       {"p99", {"/slow", "/busy", "/idle"}},
       {"for", {"/idle", "/busy", "/slow"}},
       {"trouble", {"/idle", "/busy", "/slow"}}};
  for (const auto& [name, methods] : expected) {
    Press({Text("s")});
    EXPECT_THAT(LastLine(), StartsWith(absl::StrCat("by ", name, "  ")));
    EXPECT_EQ(Methods(), methods) << name;
    if (name != "trouble") {
      EXPECT_THAT(Draw(200)[1],
                  HasSubstr(absl::StrCat(absl::AsciiStrToUpper(name), "▼")));
    }
  }
}

TEST_F(TopScreenTest, FiltersByAnyText) {
  options_.several = true;
  SetProcesses({{Breaker("shop", "/a.B/Get", kClosed),
                 Breaker("bank", "/a.B/Put", kOpen)}});
  Press({Text("/"), Text("G"), Text("e")});
  EXPECT_EQ(LastLine(), "/Ge_");
  EXPECT_THAT(Methods(), ElementsAre("/a.B/Get"));
  Press({{Key::kBackspace, ""}, {Key::kBackspace, ""}, Text("o"), Text("P")});
  EXPECT_THAT(Methods(), ElementsAre("/a.B/Put", "/a.B/Get"))
      << "OPEN and shop";
  Press({Text("e"), {Key::kEnter, ""}});
  EXPECT_THAT(Methods(), ElementsAre("/a.B/Put"));
  EXPECT_THAT(LastLine(), StartsWith("1 of 2 with \"oPe\"  "));
  Press({{Key::kEscape, ""}});
  EXPECT_THAT(Methods(), SizeIs(2));
  Press({Text("/"), Text("q"), {Key::kEscape, ""}});
  EXPECT_THAT(Methods(), SizeIs(2)) << "given up";
}

TEST_F(TopScreenTest, AFilterMayHoldMoreThanAscii) {
  SetProcesses({{Breaker("a", "/ü", kClosed), Breaker("a", "/u", kClosed)}});
  Press({Text("/"), Text("ü")});
  EXPECT_THAT(Methods(), ElementsAre("/ü"));
  Press({{Key::kBackspace, ""}});
  EXPECT_THAT(Methods(), SizeIs(2)) << "the whole character is gone";
}

TEST_F(TopScreenTest, KeysChooseARowThatStaysChosen) {
  std::vector<FleetRow> rows;
  for (int i = 10; i < 30; ++i) {
    rows.push_back(Breaker("a", absl::StrCat("/m", i), kClosed));
  }
  SetProcesses({rows});
  EXPECT_THAT(Chosen(), HasSubstr("/m10"));
  Press({{Key::kDown, ""}, {Key::kDown, ""}, {Key::kUp, ""}});
  EXPECT_THAT(Chosen(), HasSubstr("/m11"));
  Press({{Key::kPageDown, ""}});  // Ten lines less three.
  EXPECT_THAT(Chosen(), HasSubstr("/m18"));
  Press({{Key::kPageUp, ""}, {Key::kPageUp, ""}});
  EXPECT_THAT(Chosen(), HasSubstr("/m10"));
  Press({{Key::kEnd, ""}, {Key::kDown, ""}});
  EXPECT_THAT(Chosen(), HasSubstr("/m29"));
  Press({{Key::kHome, ""}, {Key::kUp, ""}, {Key::kDown, ""}});
  EXPECT_THAT(Chosen(), HasSubstr("/m11"));
  // One that comes in between, or goes, does not change which it is.
  rows.push_back(Breaker("a", "/bad", kOpen));
  rows.erase(rows.begin());
  SetProcesses({rows});
  EXPECT_THAT(Chosen(), HasSubstr("/m11"));
  // When it is gone, the next one has its place.
  rows.erase(rows.begin());
  SetProcesses({rows});
  EXPECT_THAT(Chosen(), HasSubstr("/m12"));
}

TEST_F(TopScreenTest, WithoutKeysTheFirstRowIsChosen) {
  SetProcesses({{Breaker("a", "/m", kClosed)}});
  EXPECT_THAT(Chosen(), HasSubstr("/m"));
  SetProcesses({{Breaker("a", "/bad", kOpen), Breaker("a", "/m", kClosed)}});
  EXPECT_THAT(Chosen(), HasSubstr("/bad"));
}

TEST_F(TopScreenTest, WhilePausedNothingMoves) {
  SetProcesses({{Breaker("a", "/before", kClosed)}});
  Draw();
  Press({Text("p")});
  SetProcesses({{Breaker("a", "/after", kClosed)}});
  EXPECT_THAT(Methods(), ElementsAre("/before"));
  EXPECT_THAT(Draw()[0], HasSubstr("paused"));
  Press({Text("p")});
  EXPECT_THAT(Methods(), ElementsAre("/after"));
  EXPECT_THAT(Draw()[0], Not(HasSubstr("paused")));
}

TEST_F(TopScreenTest, EnterShowsAllOfABreaker) {
  SetProcesses({{Busy(Breaker("a", "/m", kOpen)), Breaker("a", "/n", kOpen)}});
  EXPECT_FALSE(Screen().wanted_details().has_value());
  Press({{Key::kEnter, ""}});
  ASSERT_TRUE(Screen().wanted_details().has_value());
  const TopTarget target = *Screen().wanted_details();
  EXPECT_EQ(target.channel, "a");
  EXPECT_EQ(target.method, "/m");
  EXPECT_THAT(target.processes, ElementsAre(0u));
  std::vector<std::string> details;
  for (int i = 0; i < 50; ++i)
    details.push_back(absl::StrCat("detail ", i, "."));
  TopTarget other = target;
  other.method = "/n";
  Screen().SetDetails(other, {"of another one"});
  Screen().SetDetails(target, details);
  std::string all = absl::StrJoin(Draw(80, 20), "\n");
  EXPECT_THAT(all, AllOf(HasSubstr("OPEN   /m"), HasSubstr("▁▂▃▄▅▆▇█\n"),
                         HasSubstr("detail 0."), HasSubstr("detail 12."),
                         Not(HasSubstr("detail 13.")), Not(HasSubstr("/n"))));
  Press({{Key::kDown, ""}, {Key::kPageDown, ""}});
  EXPECT_THAT(absl::StrJoin(Draw(80, 20), "\n"),
              AllOf(Not(HasSubstr("detail 13.")), HasSubstr("detail 14.")));
  Press({{Key::kEscape, ""}});
  EXPECT_FALSE(Screen().wanted_details().has_value());
  EXPECT_THAT(Methods(), ElementsAre("/m", "/n"));
}

TEST_F(TopScreenTest, ChangesNeedAReasonAndAYes) {
  options_.several = true;
  options_.allow_changes = true;
  SetProcesses({{Breaker("a", "/m", kClosed)}, {Breaker("a", "/m", kClosed)}});
  const std::vector<std::pair<std::string, TopRequest::Kind>> keys = {
      {"o", TopRequest::kOpen},
      {"c", TopRequest::kClose},
      {"x", TopRequest::kReset}};
  for (const auto& [key, kind] : keys) {
    EXPECT_EQ(Press({Text(key)}).kind, TopRequest::kNone);
    const std::string verb = key == "o"   ? "open"
                             : key == "c" ? "close"
                                          : "reset";
    EXPECT_EQ(LastLine(), verb + " /m of a in 2 processes: why? _");
    EXPECT_EQ(Press({{Key::kEnter, ""}, Text(" "), {Key::kEnter, ""}}).kind,
              TopRequest::kNone);
    EXPECT_THAT(LastLine(), HasSubstr("why?")) << "none was given";
    Press({Text("q"), Text("y"), {Key::kEnter, ""}});
    EXPECT_EQ(LastLine(), verb +
                              " /m of a in 2 processes (qy)? y: yes, any other "
                              "key: no");
    const TopRequest request = Press({Text("y")});
    EXPECT_EQ(request.kind, kind);
    EXPECT_EQ(request.reason, "qy");
    EXPECT_EQ(request.target.channel, "a");
    EXPECT_EQ(request.target.method, "/m");
    EXPECT_THAT(request.target.processes, ElementsAre(0u, 1u));
  }
}

TEST_F(TopScreenTest, AnythingElseThanYesChangesNothing) {
  options_.allow_changes = true;
  SetProcesses({{Breaker("a", "/m", kClosed)}});
  for (const Key& no :
       {Text("n"), Text("q"), Key{Key::kEnter, ""}, Key{Key::kEscape, ""}}) {
    EXPECT_EQ(Press({Text("o"), Text("r"), {Key::kEnter, ""}, no}).kind,
              TopRequest::kNone);
    EXPECT_EQ(LastLine(), "nothing was changed");
  }
  EXPECT_EQ(Press({Text("o"), Text("r"), {Key::kEscape, ""}}).kind,
            TopRequest::kNone);
  EXPECT_EQ(LastLine(), "nothing was changed");
  EXPECT_EQ(Press({Text("y")}).kind, TopRequest::kNone);
}

TEST_F(TopScreenTest, WithoutPermissionNothingCanBeChanged) {
  SetProcesses({{Breaker("a", "/m", kClosed)}});
  for (const char* key : {"o", "c", "x"}) {
    Press({Text(key)});
    EXPECT_EQ(LastLine(), "start it with --allow-changes to change breakers");
    EXPECT_EQ(Press({Text("r"), {Key::kEnter, ""}, Text("y")}).kind,
              TopRequest::kNone);
    Press({{Key::kEscape, ""}});
  }
}

TEST_F(TopScreenTest, AReasonIsNoLongerThanTheServiceTakes) {
  options_.allow_changes = true;
  SetProcesses({{Breaker("a", "/m", kClosed)}});
  Press({Text("o")});
  for (int i = 0; i < 300; ++i) Press({Text("r")});
  Press({{Key::kEnter, ""}});
  EXPECT_EQ(Press({Text("y")}).reason, std::string(256, 'r'));
}

TEST_F(TopScreenTest, WhatIsSaidStaysUntilTheNextKey) {
  SetProcesses({{Breaker("a", "/m", kClosed)}});
  Screen().Say("p1: PERMISSION_DENIED: no", /*is_error=*/true);
  EXPECT_EQ(LastLine(), "p1: PERMISSION_DENIED: no");
  EXPECT_EQ(Screen().Draw(80, 10).back()[0].color, Color::kRed);
  Press({{Key::kUp, ""}});
  EXPECT_THAT(LastLine(), StartsWith("by trouble"));
}

TEST_F(TopScreenTest, NothingThatIsSaidGoesUnseen) {
  options_.allow_changes = true;
  SetProcesses({{Breaker("a", "/m", kClosed)}});
  Press({Text("o"), Text("r")});
  Screen().Say("p1: no", /*is_error=*/true);
  EXPECT_EQ(LastLine(), "open /m of a: why? r_");
  Press({{Key::kEnter, ""}, Text("y")});
  EXPECT_EQ(LastLine(), "p1: no") << "while something else was asked";
  Screen().Say("1 breaker changed", /*is_error=*/false);
  EXPECT_EQ(LastLine(), "p1: no; 1 breaker changed");
  EXPECT_EQ(Screen().Draw(80, 10).back()[0].color, Color::kRed);
  Press({{Key::kUp, ""}});
  Screen().Say("1 breaker changed", /*is_error=*/false);
  EXPECT_EQ(LastLine(), "1 breaker changed");
  EXPECT_NE(Screen().Draw(80, 10).back()[0].color, Color::kRed);
}

TEST_F(TopScreenTest, HelpAndTheEnd) {
  SetProcesses({{Breaker("a", "/m", kClosed)}});
  EXPECT_EQ(Press({Text("?")}).kind, TopRequest::kNone);
  const std::string help = absl::StrJoin(Draw(80, 40), "\n");
  for (const char* key : {"Enter", "  /  ", "  s  r", "  p  ", "  o  c  x",
                          "  q, Ctrl-C", "FAIL%"}) {
    EXPECT_THAT(help, HasSubstr(key));
  }
  Press({Text("x")});
  EXPECT_THAT(Draw()[1], StartsWith("STATE"));
  EXPECT_EQ(Press({Text("q")}).kind, TopRequest::kQuit);
}

TEST_F(TopScreenTest, WhatOthersHaveWrittenCannotSteerTheTerminal) {
  SetProcesses({{Breaker("a\x1b[2J", "/m\n\x1b[31m", kOpen),
                 Breaker("b", "/n", kOpen)}});
  AddChange(0, "b", "/n", kOpen, "\x1b]0;title\x07");
  for (const FrameLine& line : Screen().Draw(200, 10)) {
    for (const Piece& piece : line) {
      EXPECT_EQ(piece.text.find('\x1b'), std::string::npos);
      EXPECT_EQ(piece.text.find('\n'), std::string::npos);
    }
  }
}

TEST_F(TopScreenTest, OneFrameHasAllRowsAndNoKeys) {
  std::vector<FleetRow> rows;
  for (int i = 0; i < 100; ++i) {
    rows.push_back(Breaker("a", absl::StrCat("/m", i), kClosed));
  }
  SetProcesses({rows});
  const std::vector<std::string> lines = Lines(Screen().DrawOnce(0));
  EXPECT_THAT(lines, SizeIs(102));
  EXPECT_THAT(absl::StrJoin(lines, "\n"), Not(HasSubstr("quit")));
}

TEST(SparklineTest, IsFlatWithoutCalls) {
  const std::vector<FleetRates> rates(3);
  EXPECT_EQ(ToText({Sparkline(rates, true)}, Style()), "\n");
  EXPECT_EQ(Width(Sparkline(rates, true)), 3u);
}

TEST(SparklineTest, TheLeastCanBeSeen) {
  std::vector<FleetRates> rates(2);
  rates[0].calls = 0.001;
  rates[1].calls = 1000;
  EXPECT_EQ(ToText({Sparkline(rates, true)}, Style()), "▁█\n");
}

TEST(SparklineTest, RejectionsAreSeenWithoutCalls) {
  std::vector<FleetRates> rates(1);
  rates[0].rejections = 1;
  const FrameLine line = Sparkline(rates, true);
  ASSERT_THAT(line, SizeIs(1));
  EXPECT_EQ(line[0].text, "█");
  EXPECT_EQ(line[0].color, Color::kRed);
}

TEST(FrameTest, TextIsPaintedWhereThereAreColours) {
  Style style;
  style.color = true;
  EXPECT_EQ(
      ToText({{{"a", Color::kRed}, {"  ", Color::kRed}, {"b", {}}}}, style),
      "\x1b[31ma\x1b[0m  b\n");
}

TEST(FrameTest, IsCroppedByCharacters) {
  const FrameLine line =
      Cropped({{"äb", {}}, {"cöd", Color::kRed}, {"e", {}}}, 4);
  ASSERT_THAT(line, SizeIs(2));
  EXPECT_EQ(line[0].text, "äb");
  EXPECT_EQ(line[1].text, "cö");
  EXPECT_EQ(line[1].color, Color::kRed);
}

}  // namespace
}  // namespace grpc_breaker::breakerctl
