#include "grpc_breaker/admin/watch_hub.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"
#include "tests/channels_fixture.h"
#include "tests/environments.h"

namespace grpc_breaker::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class WatchHubTest : public ChannelsFixture<QueuedEnvironment> {
 protected:
  // Notes each change as "+channel method STATE... cause", or "-channel".
  class Watcher : public WatchHub::Watcher {
   public:
    explicit Watcher(WatchHub& hub) : hub_(hub) {
      EXPECT_TRUE(hub_.Add(*this));
    }
    ~Watcher() override { hub_.Remove(*this); }

    void OnChanges(const std::vector<BreakerChange>& changes) override {
      for (const BreakerChange& change : changes) {
        if (change.name.method.empty()) {
          notes.push_back(absl::StrCat("-", change.name.channel));
          continue;
        }
        std::string note =
            absl::StrCat(change.added ? "+" : "", change.name.channel, " ",
                         change.name.method);
        for (const BreakerState state : change.states) {
          absl::StrAppend(&note, " ", ToString(state));
        }
        notes.push_back(note);
        last_cause = change.cause;
      }
    }

    std::vector<std::string> notes;
    std::string last_cause;

   private:
    WatchHub& hub_;
  };

  void Reset(Method& method) {
    method.breaker().Reset("again", "test", environment_.Now());
  }

  std::shared_ptr<WatchHub> hub_ = WatchHub::Create(directory_, environment_);
};

TEST_F(WatchHubTest, PassesChangesOnWhereTheEnvironmentRunsThem) {
  Watcher first(*hub_);
  Watcher second(*hub_);
  auto channel = MakeChannel("a");
  channel->FindOrCreate("/pkg.S/M");
  EXPECT_THAT(first.notes, IsEmpty());
  EXPECT_EQ(environment_.size(), 1u);
  environment_.RunAll();
  EXPECT_THAT(first.notes, ElementsAre("+a /pkg.S/M"));
  EXPECT_EQ(second.notes, first.notes);
}

TEST_F(WatchHubTest, MergesWhatHappensFasterThanItIsPassedOn) {
  auto channel = MakeChannel("a");
  Method& one = channel->FindOrCreate("/pkg.S/A");
  Method& other = channel->FindOrCreate("/pkg.S/B");
  Watcher watcher(*hub_);
  Open(other);
  for (int i = 0; i < 100; ++i) {
    Open(one);
    Reset(one);
  }
  EXPECT_EQ(environment_.size(), 1u);
  environment_.RunAll();
  EXPECT_THAT(watcher.notes,
              ElementsAre("a /pkg.S/B CLOSED OPEN", "a /pkg.S/A CLOSED OPEN"));
  EXPECT_EQ(watcher.last_cause,
            channel->FindOrCreate("/pkg.S/A").breaker().History().back().cause);
}

TEST_F(WatchHubTest, AChannelThatIsGoneTakesItsChangesWithIt) {
  auto channel = MakeChannel("a");
  Watcher watcher(*hub_);
  for (int i = 0; i < 10; ++i) {
    Open(channel->FindOrCreate("/pkg.S/M"));
    channel.reset();
    channel = MakeChannel("a");
  }
  channel->FindOrCreate("/pkg.S/N");
  environment_.RunAll();
  EXPECT_THAT(watcher.notes, ElementsAre("-a", "+a /pkg.S/N"));
}

TEST_F(WatchHubTest, PassesOnWhatHappensWhileItPassesOn) {
  auto channel = MakeChannel("a");
  class Causing : public Watcher {
   public:
    using Watcher::Watcher;
    void OnChanges(const std::vector<BreakerChange>& changes) override {
      Watcher::OnChanges(changes);
      if (notes.size() == 1) cause();
    }
    std::function<void()> cause;
  };
  Causing watcher(*hub_);
  watcher.cause = [&] { channel->FindOrCreate("/pkg.S/B"); };
  channel->FindOrCreate("/pkg.S/A");
  environment_.RunAll();
  EXPECT_THAT(watcher.notes, ElementsAre("+a /pkg.S/A", "+a /pkg.S/B"));
  EXPECT_EQ(environment_.size(), 0u);
  channel->FindOrCreate("/pkg.S/C");
  EXPECT_EQ(environment_.size(), 1u) << "and is asked for again afterwards";
}

TEST_F(WatchHubTest, HasNothingToDoWithoutWatchers) {
  auto channel = MakeChannel("a");
  Open(channel->FindOrCreate("/pkg.S/M"));
  EXPECT_EQ(environment_.size(), 0u);
  { Watcher watcher(*hub_); }
  channel->FindOrCreate("/pkg.S/N");
  EXPECT_EQ(environment_.size(), 0u);
}

TEST_F(WatchHubTest, ANewWatcherHearsNothingThatTheLastOneLeftUnheard) {
  auto channel = MakeChannel("a");
  {
    Watcher watcher(*hub_);
    channel->FindOrCreate("/pkg.S/M");
  }
  environment_.RunAll();
  Watcher watcher(*hub_);
  channel->FindOrCreate("/pkg.S/N");
  environment_.RunAll();
  EXPECT_THAT(watcher.notes, ElementsAre("+a /pkg.S/N"));
}

TEST_F(WatchHubTest, MayEndBeforeTheEnvironmentComesToIt) {
  auto channel = MakeChannel("a");
  {
    Watcher watcher(*hub_);
    channel->FindOrCreate("/pkg.S/M");
  }
  hub_.reset();
  environment_.RunAll();
  channel->FindOrCreate("/pkg.S/N");
  EXPECT_EQ(environment_.size(), 0u);
}

TEST_F(WatchHubTest, AWatcherMayBeDestroyedFromInside) {
  struct Leaving : WatchHub::Watcher {
    explicit Leaving(WatchHub& hub, int* calls) : hub(hub), calls(calls) {
      hub.Add(*this);
    }
    void OnChanges(const std::vector<BreakerChange>&) override {
      ++*calls;
      hub.Remove(*this);
      delete this;
    }
    WatchHub& hub;
    int* const calls;
  };
  auto channel = MakeChannel("a");
  int calls = 0;
  new Leaving(*hub_, &calls);
  Watcher staying(*hub_);
  channel->FindOrCreate("/pkg.S/M");
  environment_.RunAll();
  channel->FindOrCreate("/pkg.S/N");
  environment_.RunAll();
  EXPECT_EQ(calls, 1);
  EXPECT_THAT(staying.notes, ElementsAre("+a /pkg.S/M", "+a /pkg.S/N"));
}

TEST_F(WatchHubTest, AWatcherThatAnotherOneHasRemovedIsNotToldAnyMore) {
  struct Rival : WatchHub::Watcher {
    void OnChanges(const std::vector<BreakerChange>&) override {
      ++calls;
      hub->Remove(*other);
    }
    WatchHub* hub = nullptr;
    Rival* other = nullptr;
    int calls = 0;
  };
  Rival first;
  Rival second;
  first.hub = second.hub = hub_.get();
  first.other = &second;
  second.other = &first;
  hub_->Add(first);
  hub_->Add(second);
  auto channel = MakeChannel("a");
  channel->FindOrCreate("/pkg.S/M");
  environment_.RunAll();
  EXPECT_EQ(first.calls + second.calls, 1);
  hub_->Remove(first);
  hub_->Remove(second);
}

TEST_F(WatchHubTest, RemovingAWatcherWaitsForItsFunctionOnAnotherThread) {
  struct Slow : WatchHub::Watcher {
    void OnChanges(const std::vector<BreakerChange>&) override {
      running.Notify();
      go_on.WaitForNotification();
      done = true;
    }
    absl::Notification running;
    absl::Notification go_on;
    std::atomic<bool> done{false};
  };
  Slow slow;
  hub_->Add(slow);
  auto channel = MakeChannel("a");
  channel->FindOrCreate("/pkg.S/M");
  std::thread thread([&] { environment_.RunAll(); });
  slow.running.WaitForNotification();
  std::thread releaser([&] { slow.go_on.Notify(); });
  hub_->Remove(slow);
  EXPECT_TRUE(slow.done);
  thread.join();
  releaser.join();
}

}  // namespace
}  // namespace grpc_breaker::internal
