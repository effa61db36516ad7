// The breaker under many threads: what must hold whatever they do. Runs under
// ThreadSanitizer as well.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "grpc_breaker/breaker/thread_slot.h"
#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"
#include "tests/environments.h"

namespace grpc_breaker {
namespace {

constexpr int kThreads = 16;

// Runs body(thread) on so many threads, which all start at the same time.
template <typename Body>
void RunThreads(int threads, Body body) {
  std::atomic<int> waiting{threads};
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i) {
    all.emplace_back([&, i] {
      --waiting;
      while (waiting > 0) std::this_thread::yield();
      body(i);
    });
  }
  for (std::thread& thread : all) thread.join();
}

// Checks that transitions are delivered one at a time and that each one starts
// where the one before ended.
class ChainListener final : public BreakerListener {
 public:
  void OnTransition(const BreakerTransition& transition) override {
    EXPECT_FALSE(inside_.exchange(true));
    EXPECT_EQ(transition.from, state_);
    state_ = transition.to;
    ++transitions_;
    inside_ = false;
  }
  void OnRejections(const BreakerRejections& rejections) override {
    EXPECT_FALSE(inside_.exchange(true));
    rejections_ += rejections.rejections;
    inside_ = false;
  }

  BreakerState state() const { return state_; }
  uint64_t transitions() const { return transitions_; }
  uint64_t rejections() const { return rejections_; }

 private:
  std::atomic<bool> inside_{false};
  // Guarded by the promise under test: never two at once.
  BreakerState state_ = BreakerState::kClosed;
  uint64_t rejections_ = 0;
  std::atomic<uint64_t> transitions_{0};  // Also read meanwhile.
};

std::unique_ptr<CircuitBreaker> Make(const BreakerOptions& options,
                                     Environment& environment,
                                     BreakerListener* listener = nullptr) {
  auto breaker = CircuitBreaker::Create("b", options, environment, listener);
  EXPECT_TRUE(breaker.ok()) << breaker.status();
  return *std::move(breaker);
}

void Trip(CircuitBreaker& breaker, MonotonicTime now) {
  for (int i = 0; i < 5; ++i) {
    breaker.TryAcquire(now).Record(Outcome::kFailure, now);
  }
}

TEST(CircuitBreakerThreadsTest, HalfOpenAdmitsExactlyItsPermits) {
  ManualEnvironment environment;
  BreakerOptions options;
  options.half_open_permits = 3;
  options.half_open_successes = 1000;
  std::unique_ptr<CircuitBreaker> breaker = Make(options, environment);
  Trip(*breaker, environment.Now());
  environment.Advance(absl::Seconds(60));
  const MonotonicTime now = environment.Now();

  for (int round = 0; round < 50; ++round) {
    std::vector<std::vector<CircuitBreaker::Permit>> held(kThreads);
    std::atomic<int> admitted{0};
    RunThreads(kThreads, [&](int thread) {
      for (int i = 0; i < 20; ++i) {
        CircuitBreaker::Permit permit = breaker->TryAcquire(now);
        if (!permit.admitted()) continue;
        ++admitted;
        held[thread].push_back(std::move(permit));
      }
    });
    EXPECT_EQ(admitted, 3);
    held.clear();
    EXPECT_EQ(breaker->Snapshot(now).permits_in_use, 0);
  }
}

TEST(CircuitBreakerThreadsTest, HalfOpenNeverHasMoreProbesThanPermits) {
  ManualEnvironment environment;
  BreakerOptions options;
  options.half_open_permits = 3;
  options.half_open_successes = 1000;
  std::unique_ptr<CircuitBreaker> breaker = Make(options, environment);
  Trip(*breaker, environment.Now());
  environment.Advance(absl::Seconds(60));
  const MonotonicTime now = environment.Now();

  std::atomic<int> under_way{0};
  std::atomic<int> admitted{0};
  RunThreads(kThreads, [&](int) {
    for (int i = 0; i < 500; ++i) {
      CircuitBreaker::Permit permit = breaker->TryAcquire(now);
      if (!permit.admitted()) continue;
      EXPECT_LE(++under_way, 3);
      ++admitted;
      --under_way;
      permit.Record(Outcome::kIgnored, now);
    }
  });
  EXPECT_GT(admitted, 0);
  EXPECT_EQ(breaker->Snapshot(now).permits_in_use, 0);
}

TEST(CircuitBreakerThreadsTest, TheBulkheadIsNeverOverfull) {
  ManualEnvironment environment;
  BreakerOptions options;
  options.max_concurrent_calls = 4;
  std::unique_ptr<CircuitBreaker> breaker = Make(options, environment);
  const MonotonicTime now = environment.Now();
  std::atomic<int> under_way{0};
  RunThreads(kThreads, [&](int) {
    for (int i = 0; i < 500; ++i) {
      CircuitBreaker::Permit permit = breaker->TryAcquire(now);
      if (!permit.admitted()) continue;
      EXPECT_LE(++under_way, 4);
      --under_way;
      permit.Record(Outcome::kSuccess, now);
    }
  });
  EXPECT_EQ(breaker->Snapshot(now).calls_under_way, 0);
}

TEST(CircuitBreakerThreadsTest, CountsEverySuccessOfEveryThread) {
  ManualEnvironment environment;
  std::unique_ptr<CircuitBreaker> breaker = Make({}, environment);
  const MonotonicTime now = environment.Now();
  RunThreads(kThreads, [&](int) {
    for (int i = 0; i < 2000; ++i) {
      breaker->TryAcquire(now).Record(Outcome::kSuccess, now);
    }
  });
  EXPECT_EQ(breaker->Snapshot(now).counts.successes, kThreads * 2000);
}

// Threads that come and go hand their exclusive counters over.
TEST(CircuitBreakerThreadsTest, CountsOnWhenThreadsExit) {
  ManualEnvironment environment;
  std::unique_ptr<CircuitBreaker> breaker = Make({}, environment);
  const MonotonicTime now = environment.Now();
  for (int generation = 0; generation < 20; ++generation) {
    RunThreads(8, [&](int) {
      for (int i = 0; i < 50; ++i) {
        breaker->TryAcquire(now).Record(Outcome::kSuccess, now);
      }
    });
  }
  EXPECT_EQ(breaker->Snapshot(now).counts.successes, 20 * 8 * 50);
}

TEST(CircuitBreakerThreadsTest, OneTransitionHoweverManyThreadsFail) {
  for (int round = 0; round < 50; ++round) {
    ManualEnvironment environment;
    ChainListener listener;
    std::unique_ptr<CircuitBreaker> breaker = Make({}, environment, &listener);
    const MonotonicTime now = environment.Now();
    RunThreads(8, [&](int) {
      for (int i = 0; i < 10; ++i) {
        CircuitBreaker::Permit permit = breaker->TryAcquire(now);
        if (permit.admitted()) permit.Record(Outcome::kFailure, now);
      }
    });
    EXPECT_EQ(listener.transitions(), 1u);
    EXPECT_EQ(listener.state(), BreakerState::kOpen);
  }
}

// Everything at once: all outcomes, abandoned permits, permits recorded on
// other threads, time, manual states, new options. In the end every permit and
// every rejection is accounted for, and the transitions form one chain.
TEST(CircuitBreakerThreadsTest, AccountsForEveryPermitInAStorm) {
  ManualEnvironment environment;
  ChainListener listener;
  BreakerOptions options;
  options.open_duration = absl::Milliseconds(20);
  options.permit_lease = absl::Milliseconds(50);
  options.half_open_max_wait = absl::Milliseconds(200);
  options.window = absl::Milliseconds(200);
  options.rejection_event_interval = absl::Nanoseconds(1);
  options.last_calls = 70;
  options.last_calls_failures = 40;
  options.max_concurrent_calls = 40;
  options.throttle_k = 2;
  options.ramp = {0.5};
  options.ramp_step = absl::Milliseconds(5);
  std::unique_ptr<CircuitBreaker> breaker =
      Make(options, environment, &listener);
  std::atomic<uint64_t> issued{0};
  std::atomic<uint64_t> rejected{0};

  RunThreads(kThreads, [&](int thread) {
    std::minstd_rand random(static_cast<unsigned>(thread) + 1);
    std::vector<CircuitBreaker::Permit> held;
    for (int i = 0; i < 3000; ++i) {
      const MonotonicTime now = environment.Now();
      const unsigned dice = random() % 1000;
      if (dice < 900) {
        CircuitBreaker::Permit permit = breaker->TryAcquire(now);
        ++(permit.admitted() ? issued : rejected);
        if (permit.admitted()) held.push_back(std::move(permit));
      } else if (dice < 950) {
        environment.Advance(absl::Milliseconds(1));
      } else if (thread == 0 && dice < 955) {
        EXPECT_TRUE(
            breaker
                ->SetManualState({static_cast<BreakerState>(3 + random() % 3),
                                  "storm", "test", absl::Milliseconds(10)},
                                 now)
                .ok());
      } else if (thread == 1 && dice < 955) {
        breaker->Reset("storm", "test", now);
      } else if (thread == 2 && dice < 960) {
        BreakerOptions other = options;
        other.window = absl::Milliseconds(100 + 100 * (random() % 2));
        other.max_concurrent_calls = 20 * static_cast<int>(random() % 3);
        other.throttle_k = random() % 2;
        other.last_calls = 35 * static_cast<int>(random() % 3);
        other.last_calls_failures = 30;
        EXPECT_TRUE(breaker->Reconfigure(other, now).ok());
      } else if (thread == 3 && dice < 960) {
        EXPECT_LE(breaker->History().size(), 32u);
        EXPECT_LE(breaker->Snapshot(now).counts.failures, 1000000);
      }
      if (!held.empty() && random() % 3 != 0) {
        CircuitBreaker::Permit permit = std::move(held.back());
        held.pop_back();
        const unsigned end = random() % 10;
        if (end < 9) {
          permit.Record(end < 4   ? Outcome::kSuccess
                        : end < 8 ? Outcome::kFailure
                                  : Outcome::kIgnored,
                        environment.Now());
        }
      }
    }
  });

  // One more rejection, for an event that counts the last ones.
  environment.Advance(absl::Seconds(1));
  EXPECT_TRUE(breaker
                  ->SetManualState({BreakerState::kForcedOpen, "", ""},
                                   environment.Now())
                  .ok());
  EXPECT_FALSE(breaker->TryAcquire(environment.Now()).admitted());
  ++rejected;

  const BreakerSnapshot snapshot = breaker->Snapshot(environment.Now());
  const PermitTotals& permits = snapshot.permits;
  EXPECT_EQ(permits.issued, issued);
  EXPECT_EQ(permits.issued, permits.successes + permits.failures +
                                permits.ignored + permits.stale +
                                permits.returned);
  EXPECT_EQ(snapshot.rejections, rejected);
  EXPECT_EQ(listener.rejections(), rejected);
  EXPECT_EQ(listener.transitions(), snapshot.transitions);
  EXPECT_GT(listener.transitions(), 20u);
  EXPECT_EQ(snapshot.calls_under_way, 0);
}

// As if a log were on a disk that hangs.
TEST(CircuitBreakerThreadsTest, NoCallPaysForEventsThatOthersCaused) {
  struct Blocking final : BreakerListener {
    void OnSlowCall(const BreakerSlowCall&) override {
      if (heard++ == 0) {
        blocked.Notify();
        go_on.WaitForNotification();
      }
    }
    std::atomic<int> heard{0};
    absl::Notification blocked;
    absl::Notification go_on;
  } listener;
  ManualEnvironment environment;
  BreakerOptions options;
  options.slow_call = absl::Nanoseconds(1);
  std::unique_ptr<CircuitBreaker> breaker =
      Make(options, environment, &listener);
  const MonotonicTime now = environment.Now();
  const auto slow_call = [&] {
    breaker->TryAcquire(now).Record(Outcome::kSuccess,
                                    now + std::chrono::seconds(1));
  };
  std::thread unlucky(slow_call);
  listener.blocked.WaitForNotification();
  // All of them come back, although the first event is still being delivered.
  for (int i = 0; i < 1000; ++i) slow_call();
  EXPECT_EQ(listener.heard, 1);
  const BreakerSnapshot snapshot =
      breaker->Snapshot(now + std::chrono::seconds(1));
  EXPECT_EQ(snapshot.counts.slow, 1001);
  EXPECT_EQ(snapshot.events_dropped, 1000u - 256);
  listener.go_on.Notify();
  unlucky.join();
  EXPECT_EQ(listener.heard, 257);
}

// In the real environment, where other threads deliver what came meanwhile.
TEST(CircuitBreakerThreadsTest, EventsComeOneAtATimeAndInOrderOnAnyThread) {
  ChainListener listener;
  BreakerOptions options;
  options.consecutive_failures = 1;
  std::unique_ptr<CircuitBreaker> breaker =
      Make(options, Environment::Default(), &listener);
  RunThreads(8, [&](int thread) {
    for (int i = 0; i < 300; ++i) {
      const MonotonicTime now = Environment::Default().Now();
      if (thread % 2 == 0) {
        breaker->Reset("", "", now);
      } else {
        CircuitBreaker::Permit permit = breaker->TryAcquire(now);
        if (permit.admitted()) permit.Record(Outcome::kFailure, now);
      }
      // Whoever delivers may be held up, and too many events that wait are
      // dropped.
      while (breaker->Snapshot(now).transitions > listener.transitions() + 50) {
        std::this_thread::yield();
      }
    }
  });
  // Everything is delivered soon, without another call.
  const auto delivered = [&] {
    const BreakerSnapshot snapshot =
        breaker->Snapshot(Environment::Default().Now());
    return listener.transitions() + snapshot.events_dropped >=
           snapshot.transitions;
  };
  while (!delivered()) std::this_thread::yield();
  EXPECT_EQ(breaker->Snapshot(Environment::Default().Now()).events_dropped, 0u);
}

// The listener and the breaker go while threads of the environment are about to
// deliver events, or to end a manual state.
TEST(CircuitBreakerThreadsTest, MayBeDestroyedWhateverTheEnvironmentIsDoing) {
  for (int round = 0; round < 200; ++round) {
    auto listener = std::make_unique<ChainListener>();
    BreakerOptions options;
    options.consecutive_failures = 1;
    std::unique_ptr<CircuitBreaker> breaker =
        Make(options, Environment::Default(), listener.get());
    RunThreads(4, [&](int thread) {
      for (int i = 0; i < 20; ++i) {
        const MonotonicTime now = Environment::Default().Now();
        if (thread == 0) {
          EXPECT_TRUE(breaker
                          ->SetManualState({BreakerState::kForcedOpen, "", "",
                                            absl::Milliseconds(1)},
                                           now)
                          .ok());
        } else {
          breaker->Reset("", "", now);
        }
      }
    });
    // In some rounds when the last timer rings.
    const MonotonicTime end =
        Environment::Default().Now() + std::chrono::microseconds(round * 7);
    while (Environment::Default().Now() < end) std::this_thread::yield();
    breaker.reset();
    listener.reset();
  }
}

// A manual clock that, on demand, holds up whoever reads it.
class HaltingEnvironment final : public DelegatingEnvironment {
 public:
  MonotonicTime Now() override {
    if (halts) {
      halted.Notify();
      go_on.WaitForNotification();
    }
    return DelegatingEnvironment::Now();
  }

  std::atomic<bool> halts{false};
  absl::Notification halted;
  absl::Notification go_on;
};

TEST(CircuitBreakerThreadsTest, IsNotDestroyedUnderATimerThatIsAtWork) {
  HaltingEnvironment environment;
  std::unique_ptr<CircuitBreaker> breaker = Make({}, environment);
  ASSERT_TRUE(breaker
                  ->SetManualState(
                      {BreakerState::kForcedOpen, "", "", absl::Seconds(1)},
                      environment.Now())
                  .ok());
  environment.halts = true;
  std::thread timer([&] { environment.Advance(absl::Seconds(1)); });
  environment.halted.WaitForNotification();
  std::atomic<bool> destroyed{false};
  std::thread destroyer([&] {
    breaker.reset();
    destroyed = true;
  });
  for (int i = 0; i < 10000; ++i) std::this_thread::yield();
  EXPECT_FALSE(destroyed);
  environment.go_on.Notify();
  timer.join();
  destroyer.join();
}

// A thread that reports by the options of before must not leave a breaker
// undecided.
TEST(CircuitBreakerThreadsTest, ComesToADecisionWhileOptionsChange) {
  for (int round = 0; round < 200; ++round) {
    ManualEnvironment environment;
    BreakerOptions many;
    many.consecutive_failures = 1;
    many.half_open_permits = 10;
    many.half_open_failure_rate = 0.5;
    BreakerOptions few = many;
    few.half_open_permits = 4;
    std::unique_ptr<CircuitBreaker> breaker = Make(many, environment);
    Trip(*breaker, environment.Now());
    environment.Advance(absl::Seconds(60));
    const MonotonicTime now = environment.Now();
    RunThreads(4, [&](int thread) {
      if (thread == 0) {
        EXPECT_TRUE(breaker->Reconfigure(few, now).ok());
        return;
      }
      for (int i = 0; i < 2; ++i) {
        CircuitBreaker::Permit permit = breaker->TryAcquire(now);
        if (permit.admitted()) permit.Record(Outcome::kSuccess, now);
      }
    });
    CircuitBreaker::Permit permit = breaker->TryAcquire(now);
    EXPECT_TRUE(permit.admitted());
    EXPECT_EQ(breaker->Snapshot(now).state, BreakerState::kClosed) << round;
  }
}

TEST(CircuitBreakerThreadsTest, CountsNeverGoDownWhileTheStateChanges) {
  ManualEnvironment environment;
  const auto breaker = Make({}, environment);
  const MonotonicTime now = environment.Now();
  std::atomic<bool> over{false};
  RunThreads(3, [&](int thread) {
    if (thread == 0) {
      for (int i = 0; i < 300; ++i) {
        Trip(*breaker, now);
        ManualState manual;
        manual.state = BreakerState::kMetricsOnly;
        EXPECT_TRUE(breaker->SetManualState(manual, now).ok());
        breaker->Reset("", "", now);
      }
      over = true;
      return;
    }
    BreakerCounts before;
    while (!over) {
      const BreakerCounts counts = breaker->Counts();
      for (size_t from = 0; from < kBreakerStates; ++from) {
        for (size_t to = 0; to < kBreakerStates; ++to) {
          EXPECT_GE(counts.transitions[from][to], before.transitions[from][to]);
        }
      }
      before = counts;
    }
  });
  const auto index = [](BreakerState state) {
    return static_cast<size_t>(state);
  };
  const BreakerCounts counts = breaker->Counts();
  EXPECT_EQ(counts.transitions[index(BreakerState::kClosed)]
                              [index(BreakerState::kOpen)],
            300u);
  EXPECT_EQ(counts.transitions[index(BreakerState::kOpen)]
                              [index(BreakerState::kMetricsOnly)],
            300u);
}

TEST(ThreadSlotTest, ThreadsBeyondTheExclusiveOnesShare) {
  std::vector<internal::ThreadSlot> slots(kThreads);
  std::atomic<int> asked{0};
  RunThreads(kThreads, [&](int thread) {
    slots[thread] = internal::ThreadSlot::Current();
    ++asked;
    // All at once, so that none takes over what another one had.
    while (asked < kThreads) std::this_thread::yield();
  });
  std::map<uint32_t, int> threads_of;
  for (const internal::ThreadSlot slot : slots) ++threads_of[slot.shard];
  int exclusive = 0;
  int most_sharing = 0;
  for (const auto& [shard, threads] : threads_of) {
    ASSERT_LT(shard, internal::kShards);
    if (internal::ThreadSlot{shard}.exclusive()) {
      EXPECT_EQ(threads, 1) << "an exclusive shard with two threads";
      ++exclusive;
    } else {
      most_sharing = std::max(most_sharing, threads);
    }
  }
  // The main thread may have one already.
  EXPECT_GE(exclusive, static_cast<int>(internal::kExclusiveShards) - 1);
  EXPECT_GE(most_sharing, 2);
}

}  // namespace
}  // namespace grpc_breaker
