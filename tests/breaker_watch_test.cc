#include "grpc_breaker/admin/breaker_watch.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpc_breaker/admin/breaker_message.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"
#include "tests/channels_fixture.h"
#include "tests/environments.h"

namespace grpc_breaker::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Response = admin::v1::WatchBreakersResponse;

// A call as gRPC would make it: keeps what it is told to write until the test
// says that it was written.
class FakeCall : public grpc::ServerCallbackWriter<Response> {
 public:
  explicit FakeCall(BreakerWatch* watch) : watch_(watch) {
    this->BindReactor(watch);
  }
  ~FakeCall() override { watch_->OnDone(); }

  // Overrides nothing before gRPC 1.63.
#pragma GCC diagnostic push
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winconsistent-missing-override"
#endif
  grpc_call* call() {
    ADD_FAILURE() << "not used";
    return nullptr;
  }
#pragma GCC diagnostic pop
  void Write(const Response* message, grpc::WriteOptions) override {
    EXPECT_EQ(pending_, nullptr) << "two writes at a time";
    EXPECT_FALSE(status_.has_value()) << "a write after the end";
    pending_ = message;
  }
  void Finish(grpc::Status status) override {
    EXPECT_EQ(pending_, nullptr) << "the end during a write";
    EXPECT_FALSE(status_.has_value()) << "two ends";
    status_ = std::move(status);
  }
  void SendInitialMetadata() override {}
  void WriteAndFinish(const Response*, grpc::WriteOptions,
                      grpc::Status) override {
    ADD_FAILURE() << "not used";
  }

  bool writing() const { return pending_ != nullptr; }
  const std::optional<grpc::Status>& status() const { return status_; }

  // Ends the write under way, and returns what it wrote.
  Response FinishWrite(bool ok = true) {
    Response message = *std::exchange(pending_, nullptr);
    watch_->OnWriteDone(ok);
    return message;
  }

  // Reads until there is nothing more, each as "KIND channel method STATE".
  std::vector<std::string> ReadAll() {
    std::vector<std::string> lines;
    while (writing()) {
      const Response message = FinishWrite();
      std::string line = Response::Kind_Name(message.kind()).substr(5);
      if (message.has_breaker()) {
        absl::StrAppend(&line, " ", message.breaker().channel());
      }
      if (!message.breaker().method().empty()) {
        absl::StrAppend(
            &line, " ", message.breaker().method(), " ",
            admin::v1::State_Name(message.breaker().state()).substr(6));
      }
      lines.push_back(std::move(line));
    }
    return lines;
  }

  void Cancel() { watch_->OnCancel(); }

 private:
  grpc::internal::ServerReactor* reactor() override { return watch_; }
  void CallOnDone() override {}

  BreakerWatch* const watch_;
  const Response* pending_ = nullptr;
  std::optional<grpc::Status> status_;
};

class BreakerWatchTest : public ChannelsFixture<ManualEnvironment> {
 protected:
  std::shared_ptr<Registry> MakeChannel(const std::string& name) {
    Options options;
    options.default_policy.breaker.half_open_successes = 1;
    return ChannelsFixture::MakeChannel(name, options);
  }

  std::unique_ptr<FakeCall> Watch(const admin::v1::BreakerFilter& filter = {}) {
    Violations violations;
    auto* watch =
        new BreakerWatch(hub_, BreakerFilter::Parse(filter, violations));
    EXPECT_TRUE(violations.ToStatus().ok());
    auto call = std::make_unique<FakeCall>(watch);
    watch->Start();
    return call;
  }

  // From OPEN; two transitions.
  void Close(Method& method) {
    environment_.Advance(absl::Seconds(60));
    Record(method, Outcome::kSuccess);
  }

  std::shared_ptr<WatchHub> hub_ = WatchHub::Create(directory_, environment_);
};

TEST_F(BreakerWatchTest, BeginsWithASnapshot) {
  auto a = MakeChannel("a");
  auto b = MakeChannel("b");
  Open(b->FindOrCreate("/pkg.S/M"));
  a->FindOrCreate("/pkg.S/N");
  a->FindOrCreate("/pkg.S/M");
  EXPECT_THAT(
      Watch()->ReadAll(),
      ElementsAre("SNAPSHOT a /pkg.S/M CLOSED", "SNAPSHOT a /pkg.S/N CLOSED",
                  "SNAPSHOT b /pkg.S/M OPEN", "SNAPSHOT_END"));
}

TEST_F(BreakerWatchTest, ASnapshotOfNothingHasAnEndToo) {
  EXPECT_THAT(Watch()->ReadAll(), ElementsAre("SNAPSHOT_END"));
}

// They change seldom: GetBreaker tells what has become of them.
TEST_F(BreakerWatchTest, PoliciesAreInTheSnapshotOnly) {
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  auto call = Watch();
  EXPECT_TRUE(call->FinishWrite().breaker().has_policy());
  call->ReadAll();

  Open(method);
  channel->FindOrCreate("/pkg.S/N");

  for (int i = 0; i < 2; ++i) {
    const Response message = call->FinishWrite();
    EXPECT_NE(message.breaker().method(), "");
    EXPECT_FALSE(message.breaker().has_policy()) << message.DebugString();
  }
}

TEST_F(BreakerWatchTest, TellsChangesAsTheyHappen) {
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  auto call = Watch();
  call->ReadAll();

  Open(method);
  ASSERT_TRUE(call->writing());
  const Response change = call->FinishWrite();
  EXPECT_EQ(change.kind(), Response::KIND_CHANGED);
  EXPECT_EQ(change.breaker().state(), admin::v1::STATE_OPEN);
  EXPECT_EQ(change.breaker().transitions(), 1u);
  EXPECT_FALSE(change.cause().empty());
  EXPECT_FALSE(call->writing());
}

TEST_F(BreakerWatchTest, TellsTheEndOfAManualStateThoughNobodyCalls) {
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  auto call = Watch();
  call->ReadAll();
  ASSERT_TRUE(
      method.breaker()
          .SetManualState({BreakerState::kForcedOpen, "", "", absl::Seconds(5)},
                          environment_.Now())
          .ok());
  EXPECT_THAT(call->ReadAll(), ElementsAre("CHANGED a /pkg.S/M FORCED_OPEN"));
  environment_.Advance(absl::Seconds(5));
  EXPECT_THAT(call->ReadAll(), ElementsAre("CHANGED a /pkg.S/M CLOSED"));
}

TEST_F(BreakerWatchTest, TellsOfMethodsAndChannelsThatComeAndGo) {
  auto call = Watch();
  call->ReadAll();
  auto channel = MakeChannel("a");
  EXPECT_THAT(call->ReadAll(), IsEmpty());
  channel->FindOrCreate("/pkg.S/M");
  EXPECT_THAT(call->ReadAll(), ElementsAre("ADDED a /pkg.S/M CLOSED"));
  channel.reset();
  EXPECT_THAT(call->ReadAll(), ElementsAre("REMOVED a"));
}

TEST_F(BreakerWatchTest, ASlowReaderGetsTheLatestStateOnce) {
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  auto call = Watch();
  call->ReadAll();

  for (int i = 0; i < 100; ++i) {
    Open(method);
    Close(method);
  }
  Open(method);
  // The first was under way.
  EXPECT_EQ(call->FinishWrite().breaker().transitions(), 1u);
  const Response latest = call->FinishWrite();
  EXPECT_EQ(latest.breaker().state(), admin::v1::STATE_OPEN);
  EXPECT_EQ(latest.breaker().transitions(), 301u);
  EXPECT_FALSE(call->writing());
}

TEST_F(BreakerWatchTest,
       ChangesThatWaitAreWrittenAsTheStateIsWhenTheirTurnComes) {
  auto channel = MakeChannel("a");
  Method& first = channel->FindOrCreate("/pkg.S/A");
  Method& second = channel->FindOrCreate("/pkg.S/B");
  auto call = Watch();
  call->ReadAll();
  Open(first);   // Is being written.
  Open(second);  // Waits, and is read when its turn comes.
  Close(second);
  EXPECT_THAT(call->ReadAll(), ElementsAre("CHANGED a /pkg.S/A OPEN",
                                           "CHANGED a /pkg.S/B CLOSED"));
}

// A change is passed on some time after it happened. A watch that begins in
// between has it in its snapshot already.
TEST_F(BreakerWatchTest, AChangeThatAnEarlierWriteHasShownIsNotToldAgain) {
  QueuedEnvironment queue;
  hub_ = WatchHub::Create(directory_, queue);
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  auto early = Watch();
  early->ReadAll();
  Open(method);
  auto late = Watch();
  EXPECT_THAT(late->ReadAll(),
              ElementsAre("SNAPSHOT a /pkg.S/M OPEN", "SNAPSHOT_END"));
  queue.RunAll();
  EXPECT_THAT(early->ReadAll(), ElementsAre("CHANGED a /pkg.S/M OPEN"));
  EXPECT_THAT(late->ReadAll(), IsEmpty());
}

TEST_F(BreakerWatchTest, WritesNothingOnTheThreadThatCausesAChange) {
  QueuedEnvironment queue;
  hub_ = WatchHub::Create(directory_, queue);
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  std::vector<std::unique_ptr<FakeCall>> calls;
  for (int i = 0; i < 100; ++i) {
    calls.push_back(Watch());
    calls.back()->ReadAll();
  }
  Open(method);
  for (const auto& call : calls) EXPECT_FALSE(call->writing());
  EXPECT_EQ(queue.size(), 1u) << "one thing to do, whoever is watching";
  queue.RunAll();
  for (const auto& call : calls) {
    EXPECT_THAT(call->ReadAll(), ElementsAre("CHANGED a /pkg.S/M OPEN"));
  }
}

TEST_F(BreakerWatchTest, BuildsNoMessageForWhatTheFilterLeavesOut) {
  CountingEnvironment counting;
  Options options;
  options.directory = &directory_;
  options.environment = &counting;
  auto channel = *Registry::Create(options);
  for (int i = 0; i < 50; ++i)
    channel->FindOrCreate(absl::StrCat("/pkg.S/M", i));
  admin::v1::BreakerFilter filter;
  filter.add_states(admin::v1::STATE_OPEN);
  const int before = counting.wall_clock_reads();
  EXPECT_THAT(Watch(filter)->ReadAll(), ElementsAre("SNAPSHOT_END"));
  EXPECT_EQ(counting.wall_clock_reads(), before);
  Watch()->ReadAll();
  EXPECT_EQ(counting.wall_clock_reads(), before + 50) << "one per message";
}

TEST_F(BreakerWatchTest, AChangeBeforeTheSnapshotWasWrittenIsPartOfIt) {
  auto channel = MakeChannel("a");
  channel->FindOrCreate("/pkg.S/A");
  Method& later = channel->FindOrCreate("/pkg.S/B");
  auto call = Watch();
  Open(later);
  EXPECT_THAT(call->ReadAll(),
              ElementsAre("SNAPSHOT a /pkg.S/A CLOSED",
                          "SNAPSHOT a /pkg.S/B OPEN", "SNAPSHOT_END"));
}

TEST_F(BreakerWatchTest, ChannelsThatComeAndGoUnreadLeaveNothingBehind) {
  auto call = Watch();  // The end of the snapshot is being written.
  for (int i = 0; i < 1000; ++i) {
    Open(MakeChannel(absl::StrCat("channel ", i))->FindOrCreate("/pkg.S/M"));
  }
  EXPECT_THAT(call->ReadAll(), ElementsAre("SNAPSHOT_END"));
}

TEST_F(BreakerWatchTest, AKnownChannelThatIsGoneIsToldOfOnce) {
  auto channel = MakeChannel("a");
  channel->FindOrCreate("/pkg.S/M");
  auto blocker = MakeChannel("b");
  auto call = Watch();
  call->ReadAll();
  blocker->FindOrCreate("/pkg.S/M");  // Is being written.
  for (int i = 0; i < 10; ++i) {
    channel.reset();
    channel = MakeChannel("a");
    channel->FindOrCreate("/pkg.S/N");
  }
  EXPECT_THAT(call->ReadAll(),
              ElementsAre("ADDED b /pkg.S/M CLOSED", "REMOVED a",
                          "ADDED a /pkg.S/N CLOSED"));
}

TEST_F(BreakerWatchTest, FiltersByChannelAndMethod) {
  auto a = MakeChannel("a");
  auto b = MakeChannel("b");
  a->FindOrCreate("/pkg.S/M");
  a->FindOrCreate("/pkg.T/M");
  b->FindOrCreate("/pkg.S/M");
  admin::v1::BreakerFilter filter;
  filter.set_channel("a");
  filter.set_method_prefix("/pkg.S/");
  auto call = Watch(filter);
  EXPECT_THAT(call->ReadAll(),
              ElementsAre("SNAPSHOT a /pkg.S/M CLOSED", "SNAPSHOT_END"));
  Open(a->FindOrCreate("/pkg.S/M"));
  Open(a->FindOrCreate("/pkg.T/M"));
  Open(b->FindOrCreate("/pkg.S/M"));
  a->FindOrCreate("/pkg.S/N");
  b.reset();
  EXPECT_THAT(call->ReadAll(), ElementsAre("CHANGED a /pkg.S/M OPEN",
                                           "ADDED a /pkg.S/N CLOSED"));
}

TEST_F(BreakerWatchTest, ABreakerThatLeavesTheFilteredStatesIsToldOnceMore) {
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  admin::v1::BreakerFilter filter;
  filter.add_states(admin::v1::STATE_OPEN);
  auto call = Watch(filter);
  EXPECT_THAT(call->ReadAll(), ElementsAre("SNAPSHOT_END"));

  Open(method);
  EXPECT_THAT(call->ReadAll(), ElementsAre("CHANGED a /pkg.S/M OPEN"));
  environment_.Advance(absl::Seconds(60));
  CircuitBreaker::Permit probe =
      method.breaker().TryAcquire(environment_.Now());
  EXPECT_THAT(call->ReadAll(), ElementsAre("CHANGED a /pkg.S/M HALF_OPEN"));
  probe.Record(Outcome::kSuccess, environment_.Now());
  EXPECT_THAT(call->ReadAll(), IsEmpty());
  channel->FindOrCreate("/pkg.S/N");
  EXPECT_THAT(call->ReadAll(), IsEmpty());
}

TEST_F(BreakerWatchTest, ManyBreakersThatDoNotMatchAreSkippedInOneGo) {
  auto channel = MakeChannel("a");
  for (int i = 0; i < 1000; ++i)
    channel->FindOrCreate(absl::StrCat("/pkg.S/M", i));
  admin::v1::BreakerFilter filter;
  filter.add_states(admin::v1::STATE_OPEN);
  EXPECT_THAT(Watch(filter)->ReadAll(), ElementsAre("SNAPSHOT_END"));
}

TEST_F(BreakerWatchTest, EndsAtOnceWhenCancelledWhileIdle) {
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  auto call = Watch();
  call->ReadAll();
  EXPECT_FALSE(call->status().has_value());
  call->Cancel();
  ASSERT_TRUE(call->status().has_value());
  EXPECT_EQ(call->status()->error_code(), grpc::StatusCode::CANCELLED);
  Open(method);
  channel.reset();
  EXPECT_FALSE(call->writing());
}

TEST_F(BreakerWatchTest, EndsAfterItsWriteWhenCancelledMeanwhile) {
  auto call = Watch();
  ASSERT_TRUE(call->writing());
  call->Cancel();
  EXPECT_FALSE(call->status().has_value());
  call->FinishWrite();
  EXPECT_TRUE(call->status().has_value());
}

TEST_F(BreakerWatchTest, EndsWhenAWriteFails) {
  auto channel = MakeChannel("a");
  channel->FindOrCreate("/pkg.S/M");
  auto call = Watch();
  call->FinishWrite(/*ok=*/false);
  EXPECT_TRUE(call->status().has_value());
  call->Cancel();
}

}  // namespace
}  // namespace grpc_breaker::internal
