// The breaker under many threads: what must hold whatever they do. Runs under
// ThreadSanitizer as well.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/internal/thread_slot.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"

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

// Checks that transitions are told one at a time and that each one starts where
// the one before ended.
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
  uint64_t transitions_ = 0;
  uint64_t rejections_ = 0;
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

  // One more rejection, for an event that tells of the last ones.
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

TEST(ThreadSlotTest, ThreadsBeyondTheExclusiveOnesShare) {
  std::atomic<int> exclusive{0};
  std::atomic<int> asked{0};
  RunThreads(kThreads, [&](int) {
    if (internal::ThreadSlot::Current().exclusive()) ++exclusive;
    ++asked;
    while (asked < kThreads) std::this_thread::yield();
  });
  EXPECT_LE(exclusive, static_cast<int>(internal::kExclusiveShards));
}

}  // namespace
}  // namespace grpc_breaker
