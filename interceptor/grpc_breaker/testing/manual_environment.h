#ifndef GRPC_BREAKER_TESTING_MANUAL_ENVIRONMENT_H_
#define GRPC_BREAKER_TESTING_MANUAL_ENVIRONMENT_H_

// An Environment for tests: its clock stands still until it is told to move,
// its dice fall as scripted, and nothing in it ever waits.
//
//   ManualEnvironment env;
//   Object object(options, env);
//   env.Advance(absl::Seconds(60));  // Runs what falls due, here and now.
//
// Thread-safe. Timers run on the thread that moves the clock, without a lock
// held, so they may call back. Two threads that move the clock at once move it
// as two threads sleep: side by side, not one after the other.

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker {

class GRPC_BREAKER_EXPORT ManualEnvironment final : public Environment {
 public:
  // Starts at an arbitrary time, the same in every run.
  ManualEnvironment();
  ~ManualEnvironment() override;  // Pending timers do not run.

  ManualEnvironment(const ManualEnvironment&) = delete;
  ManualEnvironment& operator=(const ManualEnvironment&) = delete;

  // Moves the clock forward by `duration` >= 0, stopping at each timer that
  // falls due on the way to run it, in the order of their times; also those
  // that such a timer starts. Advance(0) runs what is due already.
  void Advance(absl::Duration duration);

  // Moves the clock to the earliest pending timer and runs what is due then.
  // False, and nothing happens, if no timer is pending.
  bool AdvanceToNextTimer();

  // Uniform() gives these values, each in [0, 1), in order and after what was
  // scripted before; then it goes on with 0.5, or with a seeded generator.
  void ScriptUniform(std::initializer_list<double> values);
  void SeedUniform(uint64_t seed);

  // Timers that have neither run nor been cancelled.
  size_t pending_timers() const;

  // What Sleep was asked for, in order; without durations <= 0.
  std::vector<absl::Duration> sleeps() const;

  // Since construction.
  absl::Duration elapsed() const;

  MonotonicTime Now() override;
  absl::Time WallNow() override;
  double Uniform() override;
  TimerId RunAt(MonotonicTime when,
                absl::AnyInvocable<void() &&> function) override;
  bool Cancel(TimerId timer) override;
  // Here and now.
  void Run(absl::AnyInvocable<void() &&> function) override;
  // Advances the clock.
  void Sleep(absl::Duration duration) override;

 private:
  struct State;

  void AdvanceTo(MonotonicTime target);

  const std::unique_ptr<State> state_;
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_TESTING_MANUAL_ENVIRONMENT_H_
