// Many callers of every flavour, and a server process that is killed, stopped,
// ended and started again under them. What must hold whatever happens: every
// call ends, with a status that the truth allows; the breakers' permits add up;
// nothing is admitted while a breaker is OPEN; and threads, descriptors and
// memory do not grow.
//
// Runs for 20 seconds, or GRPC_BREAKER_CHAOS_SECONDS. The seed is printed;
// GRPC_BREAKER_CHAOS_SEED sets it. With the same one callers and server throw
// the same dice, but the machine does not. GRPC_BREAKER_CHAOS_BARE=1 leaves the
// library out, and what is judged by it, to tell what is gRPC's own.

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/call_history.h"
#include "grpc_breaker/directory.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpcpp/grpcpp.h"
#include "tests/e2e/child.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/known_leaks.h"
#include "tests/e2e/reserved_port.h"
#include "tests/e2e/stream_flavours.h"
#include "tests/resident_bytes.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;

constexpr int kCallers = 64;
constexpr char kFallbackText[] = "fallback";

uint64_t FromEnvironment(const char* name, uint64_t or_else) {
  const char* text = std::getenv(name);
  uint64_t value;
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : or_else;
}

const bool kBare = FromEnvironment("GRPC_BREAKER_CHAOS_BARE", 0) != 0;

class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}

  int Roll(int sides) {
    return std::uniform_int_distribution<int>(0, sides - 1)(engine_);
  }
  bool OneIn(int n) { return Roll(n) == 0; }
  absl::Duration UpTo(absl::Duration most) {
    return std::uniform_real_distribution<double>(0, 1)(engine_) * most;
  }
  template <typename Container>
  auto& Of(Container& container) {
    return container[Roll(static_cast<int>(std::size(container)))];
  }

 private:
  std::mt19937_64 engine_;
};

int64_t CountOf(const char* folder) {
  const std::filesystem::directory_iterator entries(folder);
  return std::distance(begin(entries), end(entries));
}

// The server process, which serves on one port throughout.
class Backend {
 public:
  explicit Backend(uint64_t seed) : dice_(seed) { Start("chaos"); }

  std::string target() const { return port_.target(); }

  // Something happens to it.
  void Disturb() {
    switch (dice_.Roll(5)) {
      case 0:
        child_->Kill();
        break;
      case 1:
        child_->EndInput();
        child_->Wait();
        break;
      default:
        child_->Send(SIGSTOP);
        absl::SleepFor(dice_.UpTo(absl::Milliseconds(300)));
        child_->Send(SIGCONT);
        return;
    }
    absl::SleepFor(dice_.UpTo(absl::Milliseconds(500)));
    Start("chaos");
  }

  // From now on, it answers all calls.
  void BecomeWell() {
    child_->Kill();
    Start("serve");
  }

 private:
  void Start(const std::string& mode) {
    std::vector<std::string> arguments = {mode, absl::StrCat(port_.port())};
    if (mode == "chaos") arguments.push_back(absl::StrCat(dice_.Roll(1 << 30)));
    child_.emplace(std::move(arguments));
    if (child_->ReadLine() != absl::StrCat(port_.port())) std::abort();
  }

  Dice dice_;
  const ReservedPort port_;
  std::optional<Child> child_;
};

// What each caller is doing, so that one that hangs can be told of.
// Thread-safe.
class Activities {
 public:
  void Begin(int caller, std::string what, bool is_stream)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    const internal::MutexLock lock(mutex_);
    activities_[caller] = {std::move(what), is_stream, absl::Now()};
  }
  void End(int caller) ABSL_LOCKS_EXCLUDED(mutex_) {
    const internal::MutexLock lock(mutex_);
    activities_.erase(caller);
  }

  // On stderr and once each, those that take far longer than any deadline.
  void TellOfThoseThatHang() ABSL_LOCKS_EXCLUDED(mutex_) {
    const internal::MutexLock lock(mutex_);
    for (auto& [caller, activity] : activities_) {
      if (absl::Now() - activity.since < kWatchdog / 2) continue;
      // The watchdog is going to end the process.
      std::cerr << "hangs: " << activity.what << std::endl;
      // gRPC may never end a call whose connection breaks, if it receives
      // initial metadata in a batch by themselves; on bare channels as well
      // (docs/limits.md).
      if (activity.is_stream) {
        std::cerr << "as gRPC forgets some: the test ends here" << std::endl;
        std::_Exit(::testing::Test::HasFailure() ? EXIT_FAILURE : EXIT_SUCCESS);
      }
      activity.since = absl::InfiniteFuture();
    }
  }

 private:
  struct Activity {
    std::string what;
    bool is_stream;
    absl::Time since;
  };
  absl::Mutex mutex_;
  std::map<int, Activity> activities_ ABSL_GUARDED_BY(mutex_);
};

class ChaosTest : public ::testing::Test {
 protected:
  using Channel = std::shared_ptr<grpc::Channel>;

  Channel MakeChannel(const Policy& policy, Directory* directory) {
    Options options;
    options.directory = directory;
    options.services["/grpc_breaker.e2e.TestService/"] = policy;
    options.retry_budget.per_channel = true;
    options.retry_budget.ratio = 0.5;
    const grpc::ChannelArguments arguments =
        ReconnectsAfter(absl::Milliseconds(20), absl::Milliseconds(100));
    if (kBare) {
      return grpc::CreateCustomChannel(
          backend_.target(), grpc::InsecureChannelCredentials(), arguments);
    }
    auto channel =
        CreateChannel(backend_.target(), grpc::InsecureChannelCredentials(),
                      options, arguments);
    if (!channel.ok()) std::abort();
    return *channel;
  }

  static Policy Retried() {
    Policy policy;
    policy.idempotency = Idempotency::kRepeatable;
    policy.retry.base_delay = absl::Milliseconds(5);
    policy.retry.max_delay = absl::Milliseconds(20);
    policy.stream_retry.enabled = true;
    policy.stream_retry.replay_buffer_bytes = 64;
    // Opens when the backend is away, and not because it fails often.
    policy.breaker.consecutive_failures = 10;
    policy.breaker.failure_rate = 0;
    policy.breaker.open_duration = absl::Milliseconds(200);
    policy.breaker.permit_lease = absl::Seconds(1);
    return policy;
  }

  static constexpr int kNativeChannel = 4;
  static std::vector<Policy> Policies() {
    std::vector<Policy> policies(kNativeChannel + 1, Retried());
    policies[1].attempt_timeout = absl::Milliseconds(50);
    policies[2].hedging.max_hedges = 2;
    policies[2].hedging.delay = absl::Milliseconds(5);
    policies[3].wait_when_rejected = true;
    policies[3].fallback.function = [](const FailedCall&) {
      Reply reply;
      reply.set_text(kFallbackText);
      return FallbackResult{grpc::Status::OK, reply.SerializeAsString()};
    };
    policies[3].on_attempt = [](const FinishedAttempt&) {};
    policies[kNativeChannel].stream_retry.enabled = false;
    policies[kNativeChannel].retry.max_retries = 0;
    return policies;
  }

  // Until stop_.
  void CallAgainAndAgain(int caller) {
    const uint64_t seed = seed_ + caller;
    Dice dice(seed);
    for (uint64_t i = 0; !stop_; ++i) {
      const std::string text = absl::StrCat(seed, " ", i);
      const bool own = dice.OneIn(50);  // Which goes with its call.
      const int number = dice.Roll(static_cast<int>(channels_.size()));
      Channel channel =
          own ? MakeChannel(Retried(), nullptr) : channels_[number];
      const absl::Duration timeout =
          absl::Milliseconds(1) + dice.UpTo(absl::Milliseconds(300));
      const Configure configure = [&](grpc::ClientContext* context) {
        context->set_deadline(absl::ToChronoTime(absl::Now() + timeout));
      };
      const bool cancel = dice.OneIn(6);
      const std::string how = absl::StrCat(
          own ? "on a channel of its own" : absl::StrCat("on channel ", number),
          cancel ? ", cancelled" : "", ", of at most ",
          absl::FormatDuration(timeout));
      if (dice.OneIn(3)) {
        const StreamFlavour& flavour = dice.Of(stream_flavours_);
        activities_.Begin(caller, absl::StrCat(ToString(flavour), " ", how),
                          /*is_stream=*/true);
        RunAStream(dice, flavour, channel, text, cancel, configure);
      } else {
        const bool native = !own && number == kNativeChannel;
        const Flavour flavour =
            dice.Of(native ? one_batch_flavours_ : flavours_);
        activities_.Begin(caller, absl::StrCat(ToString(flavour), " ", how),
                          /*is_stream=*/false);
        RunACall(dice, flavour, std::move(channel), text, cancel, configure);
      }
      if (!own) ++calls_;
      activities_.End(caller);
      ++ended_;
    }
  }

  static void RunACall(Dice& dice, Flavour flavour, Channel channel,
                       const std::string& text, bool cancel,
                       const Configure& configure) {
    const std::unique_ptr<UnderWay> call =
        StartCall(flavour, channel, text, configure);
    channel = nullptr;
    if (cancel) {
      absl::SleepFor(dice.UpTo(absl::Milliseconds(20)));
      call->Cancel();
    }
    const CallResult result = call->Wait();
    if (result.status.ok()) {
      EXPECT_TRUE(result.text == text || result.text == kFallbackText)
          << result.text << " is no answer to " << text;
    } else {
      ExpectPossible(result.status, cancel, ToString(flavour));
    }
  }

  static void RunAStream(Dice& dice, const StreamFlavour& flavour,
                         const Channel& channel, const std::string& text,
                         bool cancel, const Configure& configure) {
    const std::unique_ptr<Stream> stream =
        StartStream(flavour, channel, configure);
    std::thread canceller;
    if (cancel) {
      const absl::Duration delay = dice.UpTo(absl::Milliseconds(20));
      canceller = std::thread([&stream, delay] {
        absl::SleepFor(delay);
        stream->Cancel();
      });
    }
    const StreamResult result =
        RunStream(*stream, flavour.kind, {text, text, text});
    if (canceller.joinable()) canceller.join();
    // The request of a server stream is always the same.
    const std::string expected =
        flavour.kind == StreamKind::kServer ? "hello" : text;
    for (const std::string& reply : result.replies) {
      EXPECT_EQ(reply, expected) << ToString(flavour);
    }
    if (!result.call.status.ok()) {
      ExpectPossible(result.call.status, cancel, ToString(flavour));
    } else if (flavour.kind == StreamKind::kClient) {
      EXPECT_EQ(result.call.text, text + text + text) << ToString(flavour);
    } else {
      EXPECT_EQ(result.replies.size(), 3u) << ToString(flavour);
    }
  }

  // Whether backend or library can have said so.
  static void ExpectPossible(const grpc::Status& status, bool cancelled,
                             const std::string& who) {
    const auto history = CallHistoryOf(status);
    const std::string text = absl::StrCat(
        who, " ended with ", status.error_code(), ": ", status.error_message(),
        ", history ", HistoryText(history));
    // CANCELLED is what a backend says that ends with calls under way.
    const StatusCode possible[] = {
        StatusCode::UNAVAILABLE,        StatusCode::DEADLINE_EXCEEDED,
        StatusCode::NOT_FOUND,          StatusCode::ABORTED,
        StatusCode::RESOURCE_EXHAUSTED, StatusCode::CANCELLED};
    EXPECT_THAT(possible, testing::Contains(status.error_code())) << text;
    if (kBare) return;
    if (!history.has_value()) {
      EXPECT_TRUE(cancelled) << "no history: " << text;
      return;
    }
    EXPECT_EQ(history->stopped == StopReason::kBreakerOpen,
              IsBreakerRejection(status))
        << text;
    EXPECT_LE(history->attempts.size(), 4u);
    EXPECT_NE(history->stopped, StopReason::kSucceeded) << text;
    if (history->stopped == StopReason::kCancelled) {
      EXPECT_TRUE(cancelled) << text;
    }
  }

  // Of all breakers: that none has admitted a call since it was seen OPEN.
  // Those that were being admitted then are at most one for each caller.
  void LookForCallsWhileOpen() {
    for (const std::shared_ptr<Registry>& registry : directory_.Registries()) {
      for (const Method* method : registry->Methods()) {
        const BreakerSnapshot now = method->breaker().Snapshot();
        BreakerSnapshot& before = seen_[method];
        if (now.state == BreakerState::kOpen && before.state == now.state &&
            before.transitions == now.transitions) {
          ++looks_while_open_;
          EXPECT_LE(now.permits.issued - before.permits.issued,
                    uint64_t{kCallers})
              << method->name();
        } else {
          before = now;
        }
      }
    }
  }

  // Whether each permit of the shared channels has been recorded or returned.
  bool PermitsAddUp() {
    for (const std::shared_ptr<Registry>& registry : directory_.Registries()) {
      for (const Method* method : registry->Methods()) {
        const PermitTotals totals = method->breaker().Snapshot().permits;
        if (totals.issued != totals.successes + totals.failures +
                                 totals.ignored + totals.stale +
                                 totals.returned) {
          return false;
        }
      }
    }
    return true;
  }

  // Of the shared channels.
  void ExpectEachCallWasCountedOnce() {
    uint64_t counted = 0;
    for (const std::shared_ptr<Registry>& registry : directory_.Registries()) {
      for (const Method* method : registry->Methods()) {
        const uint64_t calls = method->call_counts().calls;
        counted += calls;
        const CallTotals totals = method->call_totals();
        EXPECT_EQ(
            absl::c_accumulate(totals.stopped_at_once, uint64_t{0}) +
                absl::c_accumulate(totals.stopped_after_retries, uint64_t{0}),
            calls)
            << method->name();
        uint64_t attempts = 0;
        for (const CallTotals::Series& series : totals.attempts) {
          attempts += series.latency.count();
        }
        const BreakerSnapshot breaker = method->breaker().Snapshot();
        // A permit may come back before the attempt is made.
        EXPECT_LE(attempts, breaker.permits.issued) << method->name();
        EXPECT_GE(attempts, breaker.permits.issued - breaker.permits.returned)
            << method->name();
        EXPECT_EQ(absl::c_accumulate(totals.rejections, uint64_t{0}),
                  breaker.rejections)
            << method->name();
      }
    }
    EXPECT_TRUE(counted == calls_ || kBare) << counted << " of " << calls_;
  }

  Directory directory_;
  const uint64_t seed_ =
      FromEnvironment("GRPC_BREAKER_CHAOS_SEED", std::random_device()());
  Backend backend_{seed_};
  std::vector<Flavour> flavours_ = AllFlavours();
  std::vector<Flavour> one_batch_flavours_ = {
      Flavour::kSync,     Flavour::kQueue,           Flavour::kQueuePrepared,
      Flavour::kCallback, Flavour::kGenericCallback, Flavour::kGenericQueue};
  std::vector<StreamFlavour> stream_flavours_ = AllStreamFlavours();
  std::vector<Channel> channels_;
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> ended_{0};
  std::atomic<uint64_t> calls_{0};  // On shared channels.
  Activities activities_;
  std::map<const Method*, BreakerSnapshot> seen_;
  int64_t looks_while_open_ = 0;
};

// What must not grow.
struct Footprint {
  int64_t threads = CountOf("/proc/self/task");
  int64_t descriptors = CountOf("/proc/self/fd");
  int64_t bytes = ResidentBytes();
};

TEST_F(ChaosTest, WhateverHappensEachCallEndsAndNothingIsLost) {
  const uint64_t seconds = FromEnvironment("GRPC_BREAKER_CHAOS_SECONDS", 20);
  std::cout << "GRPC_BREAKER_CHAOS_SEED=" << seed_ << std::endl;
  for (const Policy& policy : Policies()) {
    channels_.push_back(MakeChannel(policy, &directory_));
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < kCallers; ++i) {
    threads.emplace_back([this, i] { CallAgainAndAgain(i); });
  }
  std::atomic<bool> all_have_stopped{false};
  std::thread observer([&] {
    while (!all_have_stopped) {
      LookForCallsWhileOpen();
      activities_.TellOfThoseThatHang();
      absl::SleepFor(absl::Milliseconds(5));
    }
  });

  const absl::Time start = absl::Now();
  const absl::Time end = start + absl::Seconds(seconds);
  const absl::Time warm = start + absl::Seconds(seconds) / 3;
  Dice dice(seed_);
  std::optional<Footprint> before;
  while (absl::Now() < end) {
    absl::SleepFor(dice.UpTo(absl::Milliseconds(500)));
    backend_.Disturb();
    if (absl::Now() > warm && !before.has_value()) before.emplace();
  }
  const Footprint after;
  stop_ = true;
  for (std::thread& thread : threads) thread.join();
  all_have_stopped = true;
  observer.join();
  std::cout << ended_ << " calls, " << looks_while_open_
            << " looks at breakers that stayed OPEN, " << after.threads
            << " threads (" << before->threads << "), " << after.descriptors
            << " descriptors (" << before->descriptors << "), "
            << after.bytes / 1024 << " KiB (" << before->bytes / 1024 << ")"
            << std::endl;

  backend_.BecomeWell();
  for (const Channel& channel : channels_) {
    WaitUntil(
        [&] {
          ++calls_;
          return Call(Flavour::kSync, channel, "hello").text == "hello";
        },
        "a breaker to close again");
  }
  WaitUntil([this] { return PermitsAddUp(); }, "permits to come back");
  ExpectEachCallWasCountedOnce();
  EXPECT_GT(ended_, kCallers);
  EXPECT_TRUE(looks_while_open_ > 0 || kBare);
  // Connections, and the threads that wait for them, come and go.
  EXPECT_LE(after.threads, before->threads + 2 * kCallers);
  EXPECT_LE(after.descriptors, before->descriptors + 2 * kCallers);
#if !defined(GRPC_BREAKER_TESTS_LEAKS_ARE_CHECKED) && \
    !defined(__SANITIZE_THREAD__)  // They keep books of their own.
  EXPECT_LE(after.bytes, before->bytes + (int64_t{32} << 20));
#endif
}

}  // namespace
}  // namespace grpc_breaker::e2e
