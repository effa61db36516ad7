// Many clients against one server in simulated time: what retries do to an
// overloaded server, and that budgets, breakers and jitter keep it from
// happening. Every run is deterministic.
//
// Sources: Bronson et al., "Metastable Failures in Distributed Systems",
// HotOS'21; "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

#include <cmath>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "grpc_breaker/with_retry.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using Callback = std::function<void(absl::Status)>;

// A server whose every answer is a failure with one probability.

struct Load {
  double attempts_per_call = 0;
  double failed_calls = 0;  // In [0, 1].
};

Load MeasureLoad(double attempt_failure, int max_retries,
                 RetryBudget* budget = nullptr) {
  constexpr int kCalls = 20'000;
  ManualEnvironment env;
  RetryOptions retry;
  retry.max_retries = max_retries;
  retry.base_delay = absl::Milliseconds(1);  // One call waits for the other.
  WithRetryOptions options;
  options.environment = &env;
  options.budget = budget;
  std::mt19937_64 dice(1);
  std::bernoulli_distribution fails(attempt_failure);
  int attempts = 0;
  int failed = 0;
  for (int i = 0; i < kCalls; ++i) {
    const absl::Status status = WithRetry(
        retry,
        [&] {
          ++attempts;
          return fails(dice) ? absl::UnavailableError("") : absl::OkStatus();
        },
        options);
    if (!status.ok()) ++failed;
  }
  return {static_cast<double>(attempts) / kCalls,
          static_cast<double>(failed) / kCalls};
}

TEST(LoadSimulationTest, NaiveRetriesMultiplyTheLoadAsTheServerFails) {
  const std::map<double, double> expected = {
      {0.1, 1.111}, {0.5, 1.875}, {0.9, 3.439}, {1, 4}};
  for (const auto& [failure, attempts_per_call] : expected) {
    const Load load = MeasureLoad(failure, 3);
    EXPECT_NEAR(load.attempts_per_call, attempts_per_call, 0.02) << failure;
    EXPECT_NEAR(load.failed_calls, std::pow(failure, 4), 0.01) << failure;
  }
}

TEST(LoadSimulationTest, ABudgetBoundsTheLoadHoweverOftenTheServerFails) {
  EXPECT_NEAR(MeasureLoad(0.99, 2).attempts_per_call, 2.97, 0.02);
  for (double failure : {0.01, 0.05, 0.09, 0.1, 0.2, 0.5, 0.9, 0.99, 1.0}) {
    RetryBudgetOptions options;
    options.max_tokens = 100;
    options.token_ratio = 0.1;
    RetryBudget budget(options);
    EXPECT_LT(MeasureLoad(failure, 2, &budget).attempts_per_call, 1.11)
        << failure;
  }
}

TEST(LoadSimulationTest, ARatioBoundsTheLoadByItsShareOfTheCalls) {
  for (double failure : {0.01, 0.1, 0.5, 0.9, 1.0}) {
    RetryBudgetOptions options;
    options.ratio = 0.2;
    options.min_retries_per_second = 1;
    RetryBudget budget(options);
    EXPECT_LT(MeasureLoad(failure, 3, &budget).attempts_per_call, 1.21)
        << failure;
  }
}

// A server with a queue, that works through what it was sent even where the
// client has long since given up: so it can be busy and of no use.

class QueueServer {
 public:
  QueueServer(Environment& environment, double calls_per_second)
      : environment_(environment), calls_per_second_(calls_per_second) {}

  void set_capacity(double calls_per_second) {
    calls_per_second_ = calls_per_second;
  }

  void Submit(std::function<void()> done) {
    queue_.push_back(std::move(done));
    if (queue_.size() == 1) Serve();
  }

 private:
  void Serve() {
    environment_.RunAt(
        TimeAfter(environment_.Now(), absl::Seconds(1) / calls_per_second_),
        [this] {
          std::function<void()> done = std::move(queue_.front());
          queue_.pop_front();
          if (!queue_.empty()) Serve();
          done();
        });
  }

  Environment& environment_;
  double calls_per_second_;
  std::deque<std::function<void()>> queue_;
};

struct Protection {
  bool budget = false;
  bool breaker = false;
};

// One process: it calls at a steady rate, gives up on an attempt after a second
// and retries once.
class Client {
 public:
  Client(Environment& environment, QueueServer& server,
         const Protection& protection, double calls_per_second)
      : environment_(environment),
        server_(server),
        interval_(absl::Seconds(1) / calls_per_second) {
    retry_.max_retries = 1;
    retry_.base_delay = absl::Milliseconds(100);
    options_.environment = &environment;
    if (protection.budget) {
      RetryBudgetOptions options;
      options.max_tokens = 10;
      budget_ = std::make_unique<RetryBudget>(options);
      options_.budget = budget_.get();
    }
    if (protection.breaker) {
      BreakerOptions options;
      options.open_duration = absl::Seconds(5);
      breaker_ = *CircuitBreaker::Create("server", options, environment);
    }
  }

  // Makes a call after `delay`, and then at its rate for ever.
  void CallAfter(absl::Duration delay) {
    environment_.RunAt(TimeAfter(environment_.Now(), delay), [this] {
      CallAfter(interval_);
      WithRetryAsync<absl::Status>(
          retry_, [this](Callback done) { Attempt(std::move(done)); },
          [this](absl::Status status) {
            ++calls_;
            if (status.ok()) ++successes_;
          },
          options_);
    });
  }

  int calls() const { return calls_; }
  int successes() const { return successes_; }
  void ClearCounts() { calls_ = successes_ = 0; }

 private:
  // In this order: what is still pending at the end of a run gives its permit
  // back to a breaker that lives.
  struct Admission {
    std::shared_ptr<CircuitBreaker> breaker;
    CircuitBreaker::Permit permit;
  };

  void Attempt(Callback done) {
    auto admission = std::make_shared<Admission>();
    if (breaker_ != nullptr) {
      *admission = {breaker_, breaker_->TryAcquire(environment_.Now())};
      if (!admission->permit.admitted()) {
        return done(RejectionStatus("server", admission->permit.rejection()));
      }
    }
    const auto finish = [this, admission, done](absl::Status status) {
      admission->permit.Record(ClassifyError(status).outcome,
                               environment_.Now());
      done(std::move(status));
    };
    const Environment::TimerId timeout = environment_.RunAt(
        TimeAfter(environment_.Now(), absl::Seconds(1)),
        [finish] { finish(absl::UnavailableError("timed out")); });
    server_.Submit([this, finish, timeout] {
      if (environment_.Cancel(timeout)) finish(absl::OkStatus());
    });
  }

  Environment& environment_;
  QueueServer& server_;
  const absl::Duration interval_;
  RetryOptions retry_;
  WithRetryOptions options_;
  std::unique_ptr<RetryBudget> budget_;
  std::shared_ptr<CircuitBreaker> breaker_;
  int calls_ = 0;
  int successes_ = 0;
};

// 28 clients make 280 calls/s of a server that serves 300/s, but only 20/s for
// ten seconds. Watches how many calls succeed from `after` to `after` + 20 s
// when the server is well again.
class MetastableSimulation {
 public:
  explicit MetastableSimulation(const Protection& protection) {
    env_.SeedUniform(1);
    for (int i = 0; i < 28; ++i) {
      clients_.push_back(
          std::make_unique<Client>(env_, server_, protection, 10));
      clients_.back()->CallAfter(absl::Milliseconds(100) * env_.Uniform());
    }
    env_.Advance(absl::Seconds(10));
    EXPECT_EQ(SuccessRate(absl::Seconds(10)), 1) << "well before the trigger";
    server_.set_capacity(20);
    env_.Advance(absl::Seconds(10));
    server_.set_capacity(300);
  }

  // Of the calls that end in the next `duration`.
  double SuccessRate(absl::Duration duration) {
    for (auto& client : clients_) client->ClearCounts();
    env_.Advance(duration);
    double calls = 0;
    double successes = 0;
    for (auto& client : clients_) {
      calls += client->calls();
      successes += client->successes();
    }
    EXPECT_GT(calls, 0);
    return successes / calls;
  }

  double SuccessRateAfter(absl::Duration delay) {
    env_.Advance(delay);
    return SuccessRate(absl::Seconds(20));
  }

 private:
  ManualEnvironment env_;
  QueueServer server_{env_, 300};
  std::vector<std::unique_ptr<Client>> clients_;
};

TEST(MetastableSimulationTest, NaiveClientsNeverRecoverFromAShortOverload) {
  MetastableSimulation simulation({});
  // The queue grows by 260 calls/s for as long as one cares to look.
  EXPECT_LT(simulation.SuccessRateAfter(absl::Minutes(1)), 0.01);
}

TEST(MetastableSimulationTest, ABudgetLetsTheServerWorkOffItsQueue) {
  Protection protection;
  protection.budget = true;
  MetastableSimulation simulation(protection);
  // A queue of about 2,700 calls drains by 20 calls/s.
  EXPECT_GT(simulation.SuccessRateAfter(absl::Minutes(4)), 0.99);
}

TEST(MetastableSimulationTest, ABreakerLetsTheServerRecoverWithinSeconds) {
  Protection protection;
  protection.breaker = true;
  MetastableSimulation simulation(protection);
  EXPECT_GT(simulation.SuccessRateAfter(absl::Seconds(20)), 0.99);
}

TEST(MetastableSimulationTest, BudgetAndBreakerTogetherRecoverAsFast) {
  Protection protection;
  protection.budget = true;
  protection.breaker = true;
  MetastableSimulation simulation(protection);
  EXPECT_GT(simulation.SuccessRateAfter(absl::Seconds(20)), 0.99);
}

// Clients that all begin at once at a server that serves one call per slot and
// refuses the others.

struct Contention {
  int attempts = 0;
  absl::Duration elapsed;
};

Contention Contend(Jitter jitter) {
  constexpr int kClients = 60;
  constexpr absl::Duration kSlot = absl::Milliseconds(10);
  ManualEnvironment env;
  env.SeedUniform(1);
  RetryOptions retry;
  retry.jitter = jitter;
  retry.max_retries = 100;
  retry.base_delay = kSlot;
  retry.max_delay = absl::Seconds(2);
  WithRetryOptions options;
  options.environment = &env;
  int64_t last_slot = -1;
  int attempts = 0;
  int successes = 0;
  const auto attempt = [&](Callback done) {
    ++attempts;
    const int64_t slot = env.elapsed() / kSlot;
    if (slot == last_slot) return done(absl::UnavailableError("busy"));
    last_slot = slot;
    done(absl::OkStatus());
  };
  for (int i = 0; i < kClients; ++i) {
    WithRetryAsync<absl::Status>(
        retry, attempt,
        [&](absl::Status status) {
          if (status.ok()) ++successes;
        },
        options);
  }
  while (env.AdvanceToNextTimer()) {
  }
  EXPECT_EQ(successes, kClients) << ToString(jitter);
  return {attempts, env.elapsed()};
}

TEST(JitterSimulationTest, WithoutJitterClientsCollideAgainAndAgain) {
  const Contention none = Contend(Jitter::kNone);
  for (Jitter jitter : {Jitter::kFull, Jitter::kDecorrelated}) {
    const Contention jittered = Contend(jitter);
    EXPECT_GT(none.attempts, 3 * jittered.attempts) << ToString(jitter);
    EXPECT_GT(none.elapsed, 3 * jittered.elapsed) << ToString(jitter);
  }
}

TEST(JitterSimulationTest, EveryJitterIsBetterThanNone) {
  const Contention none = Contend(Jitter::kNone);
  for (Jitter jitter :
       {Jitter::kPlusMinusHalf, Jitter::kEqual, Jitter::kGrpcA6}) {
    const Contention jittered = Contend(jitter);
    EXPECT_GT(none.attempts, jittered.attempts) << ToString(jitter);
    EXPECT_GT(none.elapsed, jittered.elapsed) << ToString(jitter);
  }
}

}  // namespace
}  // namespace grpc_breaker
