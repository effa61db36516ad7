// Follows admin services, real ones and such that misbehave, on a manual clock.

#include "grpc_breaker/fleet/fleet.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpc_breaker/fleet/fleet_snapshot.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/admin_fixture.h"

namespace grpc_breaker::internal {
namespace {

using admin::v1::CircuitBreakerAdmin;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::SizeIs;

using Snapshot = std::shared_ptr<const FleetSnapshot>;

// Longer than anything here takes.
constexpr absl::Duration kLong = absl::Seconds(60);

// An admin service that does as the test says, and notes what it is asked.
class FakeAdmin final : public CircuitBreakerAdmin::Service {
 public:
  FakeAdmin() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeAdmin() override {
    {
      MutexLock lock(mutex_);
      hangs_ = false;
      closing_ = true;
    }
    server_->Shutdown();
  }

  std::shared_ptr<grpc::Channel> Channel() {
    return grpc::CreateChannel(absl::StrCat("127.0.0.1:", port_),
                               grpc::InsecureChannelCredentials());
  }

  // What it answers from now on.
  void SetBreakers(std::vector<admin::v1::Breaker> breakers) {
    MutexLock lock(mutex_);
    breakers_ = std::move(breakers);
  }
  void SetEvents(std::vector<admin::v1::Event> events, std::string token,
                 uint64_t missed = 0) {
    MutexLock lock(mutex_);
    events_ = std::move(events);
    events_token_ = std::move(token);
    missed_ = missed;
  }
  // After the next request for breakers it is another process, which has these
  // and whose events have that token.
  void RestartAfterTheNextList(std::vector<admin::v1::Breaker> breakers,
                               std::string token) {
    MutexLock lock(mutex_);
    restart_.emplace(std::move(breakers), std::move(token));
  }
  void FailBy(grpc::Status status) {
    MutexLock lock(mutex_);
    status_ = std::move(status);
  }
  void FailEventsBy(grpc::Status status) {
    MutexLock lock(mutex_);
    events_status_ = std::move(status);
  }
  void RefuseWatchesBy(grpc::Status status) {
    MutexLock lock(mutex_);
    watch_status_ = std::move(status);
  }
  void SetPageSize(size_t size) {
    MutexLock lock(mutex_);
    page_size_ = size;
  }
  // It gives no answer any more, not even to who has gone.
  void Hang() {
    MutexLock lock(mutex_);
    hangs_ = true;
  }
  void EndWatches() {
    MutexLock lock(mutex_);
    watches_end_ = true;
  }

  // How often it was asked.
  int lists() const {
    MutexLock lock(mutex_);
    return lists_;
  }
  int watches() const {
    MutexLock lock(mutex_);
    return watches_;
  }
  std::vector<std::string> authorizations() const {
    MutexLock lock(mutex_);
    return authorizations_;
  }
  std::vector<std::string> event_tokens() const {
    MutexLock lock(mutex_);
    return event_tokens_;
  }
  admin::v1::ListBreakersRequest last_list() const {
    MutexLock lock(mutex_);
    return last_list_;
  }
  std::vector<std::string> filters() const {
    MutexLock lock(mutex_);
    return filters_;
  }
  void AwaitWatches(int number) const {
    const auto reached = [this, number]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(
                             mutex_) { return watches_ >= number; };
    MutexLock lock(mutex_);
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&reached), kLong));
  }
  void AwaitLists(int number) const {
    const auto reached = [this, number]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(
                             mutex_) { return lists_ >= number; };
    MutexLock lock(mutex_);
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&reached), kLong));
  }

 private:
  grpc::Status ListBreakers(
      grpc::ServerContext* context,
      const admin::v1::ListBreakersRequest* request,
      admin::v1::ListBreakersResponse* response) override {
    MutexLock lock(mutex_);
    Note(*context, request->filter());
    ++lists_;
    last_list_ = *request;
    AwaitHang();
    if (!status_.ok()) return status_;
    const size_t begin =
        request->page_token().empty() ? 0 : std::stoul(request->page_token());
    const size_t end = std::min(begin + page_size_, breakers_.size());
    for (size_t i = begin; i < end; ++i) {
      *response->add_breakers() = breakers_[i];
    }
    if (end < breakers_.size()) {
      response->set_next_page_token(std::to_string(end));
    }
    if (restart_) std::tie(breakers_, events_token_) = *restart_;
    restart_.reset();
    return grpc::Status::OK;
  }

  grpc::Status ListEvents(grpc::ServerContext* context,
                          const admin::v1::ListEventsRequest* request,
                          admin::v1::ListEventsResponse* response) override {
    MutexLock lock(mutex_);
    Note(*context, request->filter());
    event_tokens_.push_back(request->token());
    if (!events_status_.ok()) return events_status_;
    response->set_token(events_token_);
    if (request->token() == events_token_) return grpc::Status::OK;
    response->set_missed(missed_);
    response->mutable_events()->Add(events_.begin(), events_.end());
    return grpc::Status::OK;
  }

  grpc::Status WatchBreakers(
      grpc::ServerContext* context,
      const admin::v1::WatchBreakersRequest* request,
      grpc::ServerWriter<admin::v1::WatchBreakersResponse>* writer) override {
    {
      MutexLock lock(mutex_);
      Note(*context, request->filter());
      ++watches_;
      if (!watch_status_.ok()) return watch_status_;
    }
    admin::v1::WatchBreakersResponse response;
    response.set_kind(admin::v1::WatchBreakersResponse::KIND_SNAPSHOT_END);
    writer->Write(response);
    const auto ends = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return watches_end_ || closing_;
    };
    MutexLock lock(mutex_);
    mutex_.Await(absl::Condition(&ends));
    watches_end_ = false;
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the watch has ended");
  }

  void Note(const grpc::ServerContext& context,
            const admin::v1::BreakerFilter& filter)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    filters_.push_back(filter.method_prefix());
    std::string authorization;
    for (const auto& [name, value] : context.client_metadata()) {
      if (name == "authorization") {
        authorization.assign(value.data(), value.size());
      }
    }
    authorizations_.push_back(authorization);
  }
  void AwaitHang() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto goes_on = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return !hangs_;
    };
    mutex_.Await(absl::Condition(&goes_on));
  }

  mutable absl::Mutex mutex_;
  std::vector<admin::v1::Breaker> breakers_ ABSL_GUARDED_BY(mutex_);
  std::vector<admin::v1::Event> events_ ABSL_GUARDED_BY(mutex_);
  std::string events_token_ ABSL_GUARDED_BY(mutex_) = "0";
  uint64_t missed_ ABSL_GUARDED_BY(mutex_) = 0;
  grpc::Status status_ ABSL_GUARDED_BY(mutex_);
  grpc::Status events_status_ ABSL_GUARDED_BY(mutex_);
  grpc::Status watch_status_ ABSL_GUARDED_BY(mutex_);
  std::optional<std::pair<std::vector<admin::v1::Breaker>, std::string>>
      restart_ ABSL_GUARDED_BY(mutex_);
  size_t page_size_ ABSL_GUARDED_BY(mutex_) = 1000;
  bool hangs_ ABSL_GUARDED_BY(mutex_) = false;
  bool watches_end_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  int lists_ ABSL_GUARDED_BY(mutex_) = 0;
  int watches_ ABSL_GUARDED_BY(mutex_) = 0;
  admin::v1::ListBreakersRequest last_list_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> authorizations_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> event_tokens_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> filters_ ABSL_GUARDED_BY(mutex_);

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

admin::v1::Breaker Named(const std::string& method, uint64_t calls = 0) {
  admin::v1::Breaker breaker;
  breaker.set_channel("c");
  breaker.set_method(method);
  breaker.set_calls(calls);
  return breaker;
}

admin::v1::Event Happened(const std::string& cause, absl::Duration age) {
  admin::v1::Event event;
  event.mutable_transition()->set_cause(cause);
  event.mutable_transition()->mutable_age()->set_seconds(
      absl::ToInt64Seconds(age));
  return event;
}

std::vector<std::string> MethodsOf(const FleetProcessView& process) {
  std::vector<std::string> methods;
  for (const auto& row : process.rows) methods.push_back(row->breaker.method());
  return methods;
}

std::vector<std::string> CausesOf(const FleetSnapshot& snapshot) {
  std::vector<std::string> causes;
  for (const auto& event : snapshot.events) {
    causes.push_back(event->event.transition().cause());
  }
  return causes;
}

class FleetTest : public AdminFixture {
 protected:
  FleetTest() {
    options_.timeout = kLong;
    options_.environment = &clock_;
  }

  void Start(std::vector<FleetProcess> processes) {
    auto fleet = Fleet::Start(std::move(processes), options_);
    ASSERT_TRUE(fleet.ok()) << fleet.status();
    fleet_ = *std::move(fleet);
  }
  void Start(FakeAdmin& admin) { Start({{"p", admin.Channel(), nullptr}}); }

  // The first snapshot that `is_wanted`; moves the clock by `step` as often as
  // nothing comes of it.
  Snapshot Await(const std::function<bool(const FleetSnapshot&)>& is_wanted,
                 absl::Duration step = absl::ZeroDuration()) {
    const absl::Time give_up = absl::Now() + kLong;
    Snapshot snapshot = fleet_->snapshot();
    while (!is_wanted(*snapshot) && absl::Now() < give_up) {
      const Snapshot next = fleet_->WaitForChange(
          snapshot->version,
          step > absl::ZeroDuration() ? absl::Milliseconds(20) : kLong);
      if (next == snapshot) clock_.Advance(step);
      snapshot = next;
    }
    EXPECT_TRUE(is_wanted(*snapshot));
    return snapshot;
  }
  // Of the only process, whose answers are counted.
  Snapshot AwaitAnswer(int64_t number) {
    return Await([number](const FleetSnapshot& snapshot) {
      return snapshot.processes[0]->intervals >= number;
    });
  }
  // In the next interval, of the first row.
  void ExpectRateAfterARestart(int64_t number, double calls) {
    clock_.Advance(options_.interval);
    const Snapshot snapshot = AwaitAnswer(number);
    EXPECT_EQ(snapshot->processes[0]->restarts, 1);
    EXPECT_EQ(snapshot->processes[0]->rows[0]->rates.calls, calls);
  }

  ManualEnvironment clock_;
  FleetOptions options_;
  std::unique_ptr<Fleet> fleet_;
};

TEST_F(FleetTest, RefusesOptionsThatAreWrong) {
  FakeAdmin admin;
  const auto error = [&](void (*change)(FleetOptions & options)) {
    FleetOptions options;
    change(options);
    return std::string(Fleet::Start({{"p", admin.Channel(), nullptr}}, options)
                           .status()
                           .message());
  };
  EXPECT_EQ(error([](auto& options) { options.interval = {}; }),
            "interval: must be from 10ms to 24h, got 0");
  EXPECT_EQ(error([](auto& options) { options.timeout = {}; }),
            "timeout: must be from 1ms to 24h, got 0");
  EXPECT_EQ(error([](auto& options) { options.points = 0; }),
            "points: must be from 1 to 100000, got 0");
  EXPECT_EQ(error([](auto& options) { options.events = -1; }),
            "events: must be from 1 to 100000, got -1");
}

TEST_F(FleetTest, RefusesProcessesThatAreWrong) {
  FakeAdmin admin;
  const auto error = [](std::vector<FleetProcess> processes) {
    return std::string(Fleet::Start(std::move(processes)).status().message());
  };
  EXPECT_EQ(error({}), "processes: must be at least 1, got 0");
  EXPECT_EQ(
      error({{"p", admin.Channel(), nullptr}, {"p", admin.Channel(), nullptr}}),
      "processes: must have different names, got \"p\" again");
  EXPECT_EQ(error({{"p", nullptr, nullptr}}),
            "processes: must have channels, got none for \"p\"");
}

TEST_F(FleetTest, HasAllProcessesFromTheBeginning) {
  FakeAdmin quick;
  FakeAdmin slow;
  slow.Hang();
  quick.SetBreakers({Named("m")});
  Start(
      {{"slow", slow.Channel(), nullptr}, {"quick", quick.Channel(), nullptr}});
  const Snapshot snapshot = Await([](const FleetSnapshot& snapshot) {
    return snapshot.processes[1]->answered.has_value();
  });
  ASSERT_THAT(snapshot->processes, SizeIs(2));
  EXPECT_EQ(snapshot->processes[0]->name, "slow");
  EXPECT_FALSE(snapshot->processes[0]->answered.has_value());
  EXPECT_FALSE(snapshot->processes[0]->stale());
  EXPECT_EQ(snapshot->processes[1]->name, "quick");
  EXPECT_THAT(MethodsOf(*snapshot->processes[1]), ElementsAre("m"));
}

TEST_F(FleetTest, ShowsTheBreakersOfARealProcess) {
  const auto registry = MakeChannel("shop");
  registry->FindOrCreate("/a.B/C");
  registry->FindOrCreate("/a.B/D");
  Serve();
  Start({{"p", server_->InProcessChannel({}), nullptr}});
  const Snapshot snapshot = AwaitAnswer(1);
  EXPECT_THAT(MethodsOf(*snapshot->processes[0]),
              ElementsAre("/a.B/C", "/a.B/D"));
  EXPECT_EQ(snapshot->processes[0]->rows[0]->breaker.channel(), "shop");
}

TEST_F(FleetTest, RatesAreByTheClockOfWhoAsks) {
  FakeAdmin admin;
  admin.SetBreakers({Named("m", 100)});
  Start(admin);
  AwaitAnswer(1);
  admin.SetBreakers({Named("m", 130)});
  clock_.Advance(options_.interval);
  const Snapshot snapshot = AwaitAnswer(2);
  const FleetRow& row = *snapshot->processes[0]->rows[0];
  EXPECT_EQ(row.rates.calls, 30);
  ASSERT_THAT(row.history.points(), SizeIs(1));
  EXPECT_EQ(row.history.points()[0].time, clock_.Now());
}

TEST_F(FleetTest, AsksForAllPages) {
  FakeAdmin admin;
  std::vector<admin::v1::Breaker> breakers;
  std::vector<std::string> methods;
  for (int i = 100; i < 107; ++i) {
    methods.push_back(absl::StrCat(i));
    breakers.push_back(Named(methods.back()));
  }
  admin.SetBreakers(breakers);
  admin.SetPageSize(3);
  Start(admin);
  EXPECT_EQ(MethodsOf(*AwaitAnswer(1)->processes[0]), methods);
  EXPECT_EQ(admin.last_list().page_size(), 1000);
}

TEST_F(FleetTest, PreparesAndFiltersEachRequest) {
  FakeAdmin admin;
  options_.filter.set_method_prefix("/a.");
  Start({{"p", admin.Channel(), [](grpc::ClientContext& context) {
            context.AddMetadata("authorization", "Bearer x");
            return grpc::Status::OK;
          }}});
  AwaitAnswer(1);
  admin.AwaitWatches(1);
  EXPECT_THAT(admin.authorizations(), SizeIs(Gt(2u)));
  EXPECT_THAT(admin.authorizations(), Each("Bearer x"));
  EXPECT_THAT(admin.filters(), Each("/a."));
}

TEST_F(FleetTest, WhatCannotBePreparedIsNotAsked) {
  FakeAdmin admin;
  Start({{"p", admin.Channel(), [](grpc::ClientContext&) {
            return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no token");
          }}});
  const Snapshot snapshot = Await([](const FleetSnapshot& snapshot) {
    return snapshot.processes[0]->stale();
  });
  EXPECT_EQ(snapshot->processes[0]->status.error_message(), "no token");
  EXPECT_EQ(admin.lists(), 0);
  EXPECT_EQ(admin.watches(), 0);
}

TEST_F(FleetTest, AProcessThatFailsKeepsWhatItHadAndIsAskedAgain) {
  FakeAdmin admin;
  admin.SetBreakers({Named("m", 10)});
  Start(admin);
  AwaitAnswer(1);
  const MonotonicTime answered = clock_.Now();

  admin.FailBy(grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone"));
  clock_.Advance(options_.interval);
  const auto is_stale = [](const FleetSnapshot& snapshot) {
    return snapshot.processes[0]->stale();
  };
  Snapshot snapshot = Await(is_stale);
  const MonotonicTime failed = clock_.Now();
  EXPECT_EQ(snapshot->processes[0]->status.error_message(), "gone");
  EXPECT_EQ(snapshot->processes[0]->failing_since, failed);
  EXPECT_EQ(snapshot->processes[0]->answered, answered);
  EXPECT_THAT(MethodsOf(*snapshot->processes[0]), ElementsAre("m"));

  // Since when does not change while it goes on.
  clock_.Advance(options_.interval);
  const uint64_t version = snapshot->version;
  snapshot = Await([version](const FleetSnapshot& snapshot) {
    return snapshot.version > version;
  });
  EXPECT_EQ(snapshot->processes[0]->failing_since, failed);

  admin.FailBy(grpc::Status::OK);
  admin.SetBreakers({Named("m", 40)});
  clock_.Advance(options_.interval);
  snapshot = AwaitAnswer(2);
  EXPECT_FALSE(snapshot->processes[0]->stale());
  EXPECT_TRUE(snapshot->processes[0]->status.ok());
  EXPECT_EQ(snapshot->processes[0]->answered, clock_.Now());
  EXPECT_EQ(snapshot->processes[0]->rows[0]->rates.calls, 10)
      << "30 in the three seconds";
}

TEST_F(FleetTest, ARestartGivesNoNegativeRates) {
  FakeAdmin admin;
  admin.SetBreakers({Named("m", 1000)});
  admin.SetEvents({Happened("of before", absl::Seconds(1))}, "before");
  Start(admin);
  AwaitAnswer(1);
  admin.SetBreakers({Named("m", 5)});
  admin.SetEvents({Happened("of after", absl::ZeroDuration())}, "after");
  ExpectRateAfterARestart(2, 0);
  EXPECT_THAT(CausesOf(*fleet_->snapshot()),
              ElementsAre("of before", "of after"));
  admin.SetBreakers({Named("m", 9)});
  ExpectRateAfterARestart(3, 4);
}

TEST_F(FleetTest, ARestartIsToldByItsEventsWhateverTheCounts) {
  FakeAdmin admin;
  admin.SetBreakers({Named("m", 10)});
  admin.SetEvents({}, "before-7");
  Start(admin);
  AwaitAnswer(1);
  admin.SetBreakers({Named("m", 1000)});
  admin.SetEvents({}, "after-7");
  ExpectRateAfterARestart(2, 0);
  admin.SetBreakers({Named("m", 1004)});
  admin.SetEvents({}, "after-8");
  ExpectRateAfterARestart(3, 4);
}

TEST_F(FleetTest, ARestartAmidAnAnswerMixesNothing) {
  FakeAdmin admin;
  admin.SetBreakers({Named("m", 10)});
  admin.SetEvents({}, "before-7");
  Start(admin);
  AwaitAnswer(1);
  admin.RestartAfterTheNextList({Named("m", 1000)}, "after-7");
  ExpectRateAfterARestart(2, 0);
  admin.SetBreakers({Named("m", 1004)});
  ExpectRateAfterARestart(3, 4);
}

TEST_F(FleetTest, BreakersThatAreGoneLeave) {
  auto registry = MakeChannel("a");
  registry->FindOrCreate("/a.B/C");
  auto other = MakeChannel("b");
  other->FindOrCreate("/a.B/D");
  Serve();
  Start({{"p", server_->InProcessChannel({}), nullptr}});
  EXPECT_THAT(AwaitAnswer(1)->processes[0]->rows, SizeIs(2));
  registry.reset();
  // The service may be about to tell somebody of the channel, and keep it.
  const Snapshot snapshot = Await(
      [](const FleetSnapshot& snapshot) {
        return snapshot.processes[0]->rows.size() == 1;
      },
      options_.interval);
  EXPECT_THAT(MethodsOf(*snapshot->processes[0]), ElementsAre("/a.B/D"));
}

// The interval never ends here.
TEST_F(FleetTest, AChangeIsSeenWithoutWaitingForTheInterval) {
  const auto registry = MakeChannel("a");
  Method& method = registry->FindOrCreate("/a.B/C");
  Serve();
  options_.interval = absl::Hours(24);
  Start({{"p", server_->InProcessChannel({}), nullptr}});
  Await([](const FleetSnapshot& snapshot) {
    return snapshot.processes[0]->watched;
  });
  Open(method);
  const Snapshot snapshot = Await(
      [](const FleetSnapshot& snapshot) {
        return !snapshot.processes[0]->rows.empty() &&
               snapshot.processes[0]->rows[0]->breaker.state() ==
                   admin::v1::STATE_OPEN &&
               !snapshot.events.empty();
      },
      absl::Milliseconds(100));
  EXPECT_EQ(snapshot->processes[0]->intervals, 1);
  EXPECT_EQ(snapshot->events.back()->event.transition().to(),
            admin::v1::STATE_OPEN);
}

TEST_F(FleetTest, WhoIsRungForOftenIsAskedSeldom) {
  FakeAdmin admin;
  admin.RefuseWatchesBy(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, ""));
  options_.interval = absl::Hours(1);
  Start(admin);
  AwaitAnswer(1);
  for (int round = 2; round < 6; ++round) {
    for (int i = 0; i < 1000; ++i) fleet_->Refresh();
    const uint64_t version = fleet_->snapshot()->version;
    EXPECT_EQ(fleet_->WaitForChange(version, absl::Milliseconds(50))->version,
              version)
        << "before its time";
    clock_.Advance(absl::Milliseconds(100));
    // Without a step, and without a watch, nothing else is told.
    Await([version](const FleetSnapshot& snapshot) {
      return snapshot.version > version;
    });
    EXPECT_EQ(admin.lists(), round);
  }
}

TEST_F(FleetTest, AWatchThatIsRefusedIsTriedAgainAndAgainLater) {
  FakeAdmin admin;
  admin.RefuseWatchesBy(
      grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "too many"));
  Start(admin);
  AwaitAnswer(1);
  constexpr absl::Duration kStep = absl::Milliseconds(500);
  for (int number = 2; number <= 4; ++number) {
    admin.AwaitWatches(number - 1);
    const absl::Duration before = clock_.elapsed();
    Await([&](const FleetSnapshot&) { return admin.watches() >= number; },
          kStep);
    // There may have been a step before the last one was noticed here.
    EXPECT_GE(clock_.elapsed() - before + kStep,
              absl::Seconds(1 << (number - 2)))
        << number;
  }
  EXPECT_FALSE(fleet_->snapshot()->processes[0]->watched);
  EXPECT_TRUE(fleet_->snapshot()->processes[0]->status.ok());
  admin.RefuseWatchesBy(grpc::Status::OK);
  Await(
      [](const FleetSnapshot& snapshot) {
        return snapshot.processes[0]->watched;
      },
      absl::Seconds(1));
}

TEST_F(FleetTest, AWatchThatBreaksIsBegunAgain) {
  FakeAdmin admin;
  Start(admin);
  const auto is_watched = [](const FleetSnapshot& snapshot) {
    return snapshot.processes[0]->watched;
  };
  Await(is_watched);
  admin.EndWatches();
  Await([&](const FleetSnapshot& snapshot) { return !is_watched(snapshot); });
  const Snapshot snapshot = Await(is_watched, absl::Milliseconds(200));
  EXPECT_TRUE(snapshot->processes[0]->status.ok());
  EXPECT_EQ(admin.watches(), 2);
}

TEST_F(FleetTest, HasEachEventOnceAndInOrder) {
  const auto registry = MakeChannel("a");
  Method& method = registry->FindOrCreate("/a.B/C");
  Serve();
  Start({{"p", server_->InProcessChannel({}), nullptr}});
  AwaitAnswer(1);
  for (int64_t answers = 2; answers < 5; ++answers) {
    environment_.Advance(absl::Seconds(1));
    Open(method);
    environment_.Advance(absl::Seconds(1));
    method.breaker().Reset("to begin again", "a test");
    clock_.Advance(options_.interval);
    AwaitAnswer(answers);
  }
  clock_.Advance(options_.interval);
  const Snapshot snapshot = AwaitAnswer(5);
  std::vector<admin::v1::State> states;
  for (const auto& event : snapshot->events) {
    EXPECT_EQ(event->process, 0u);
    states.push_back(event->event.transition().to());
  }
  using admin::v1::STATE_CLOSED;
  using admin::v1::STATE_OPEN;
  EXPECT_THAT(states, ElementsAre(STATE_OPEN, STATE_CLOSED, STATE_OPEN,
                                  STATE_CLOSED, STATE_OPEN, STATE_CLOSED));
}

TEST_F(FleetTest, EventsOfAllProcessesAreInOneOrder) {
  FakeAdmin first;
  FakeAdmin second;
  first.SetEvents({Happened("3 s ago", absl::Seconds(3)),
                   Happened("1 s ago", absl::Seconds(1))},
                  "x");
  second.SetEvents({Happened("2 s ago", absl::Seconds(2))}, "y", 7);
  Start({{"1", first.Channel(), nullptr}, {"2", second.Channel(), nullptr}});
  const Snapshot snapshot = Await([](const FleetSnapshot& snapshot) {
    return snapshot.events.size() >= 3;
  });
  EXPECT_THAT(CausesOf(*snapshot),
              ElementsAre("3 s ago", "2 s ago", "1 s ago"));
  EXPECT_EQ(snapshot->events[1]->process, 1u);
  EXPECT_EQ(clock_.Now() - snapshot->events[1]->time, std::chrono::seconds(2));
  EXPECT_EQ(snapshot->processes[1]->missed_events, 7u);
  // Asked for what comes after what it has.
  clock_.Advance(options_.interval);
  Await([](const FleetSnapshot& snapshot) {
    return snapshot.processes[0]->intervals >= 2;
  });
  EXPECT_EQ(first.event_tokens().front(), "");
  EXPECT_EQ(first.event_tokens().back(), "x");
}

TEST_F(FleetTest, AProcessWithoutEventsHasBreakers) {
  FakeAdmin admin;
  admin.SetBreakers({Named("m")});
  admin.FailEventsBy(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, ""));
  Start(admin);
  const Snapshot snapshot = AwaitAnswer(1);
  EXPECT_THAT(MethodsOf(*snapshot->processes[0]), ElementsAre("m"));
  EXPECT_FALSE(snapshot->processes[0]->stale());
}

TEST_F(FleetTest, KeepsSoManyPointsAndEvents) {
  FakeAdmin admin;
  options_.points = 3;
  options_.events = 2;
  Start(admin);
  for (int i = 1; i < 8; ++i) {
    AwaitAnswer(i);
    admin.SetBreakers({Named("m", 1u << i)});
    admin.SetEvents({Happened(absl::StrCat(i), absl::ZeroDuration())},
                    absl::StrCat("0-", i));
    clock_.Advance(options_.interval);
  }
  const Snapshot snapshot = AwaitAnswer(8);
  std::vector<uint64_t> calls;
  for (const auto& point : snapshot->processes[0]->rows[0]->history.points()) {
    calls.push_back(point.calls);
  }
  EXPECT_THAT(calls, ElementsAre(16, 32, 64));
  EXPECT_THAT(CausesOf(*snapshot), ElementsAre("6", "7"));
}

TEST_F(FleetTest, EndsAtOnceWhileAProcessHangs) {
  FakeAdmin hangs;
  options_.timeout = absl::Hours(24);
  {
    hangs.Hang();
    Start(hangs);
    hangs.AwaitLists(1);
    fleet_.reset();
  }
  // Likewise while there is only the watch.
  FakeAdmin watched;
  Start(watched);
  Await([](const FleetSnapshot& snapshot) {
    return snapshot.processes[0]->watched;
  });
  fleet_.reset();
}

TEST_F(FleetTest, AnAnswerThatDoesNotComeInTimeIsAFailure) {
  FakeAdmin admin;
  admin.Hang();
  options_.timeout = absl::Milliseconds(1);
  Start(admin);
  const Snapshot snapshot = Await([](const FleetSnapshot& snapshot) {
    return snapshot.processes[0]->stale();
  });
  EXPECT_EQ(snapshot->processes[0]->status.error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_F(FleetTest, WhoWaitsInVainGetsWhatThereIs) {
  FakeAdmin admin;
  admin.Hang();
  Start(admin);
  const Snapshot snapshot = fleet_->snapshot();
  EXPECT_EQ(fleet_->WaitForChange(snapshot->version, absl::Milliseconds(1)),
            snapshot);
  EXPECT_EQ(fleet_->WaitForChange(snapshot->version + 1, kLong), snapshot);
}

}  // namespace
}  // namespace grpc_breaker::internal
