#ifndef GRPC_BREAKER_ENVIRONMENT_H_
#define GRPC_BREAKER_ENVIRONMENT_H_

// The outside world as the library sees it: a monotonic clock, a wall clock for
// display, timers and randomness. Everything that waits or rolls dice takes an
// Environment, so that tests run on a manual clock and never sleep.
//
// Lifetime: an Environment outlives every object that was given it. The default
// one is never destroyed, so calls may still be pending when the process exits.
// In the child of a fork() it starts afresh, with threads of its own; what was
// pending in the parent does not run there.
//
// Thread-safe: every method may be called from any thread, also from inside a
// function that the environment runs.

#include <chrono>
#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker {

// A reading of the monotonic clock, in nanoseconds. Only differences mean
// anything.
using MonotonicTime = std::chrono::time_point<std::chrono::steady_clock,
                                              std::chrono::nanoseconds>;

// `time` + `duration`, but no later than MonotonicTime::max(), which stands for
// "never".
GRPC_BREAKER_EXPORT MonotonicTime TimeAfter(MonotonicTime time,
                                            absl::Duration duration);

class GRPC_BREAKER_EXPORT Environment {
 public:
  // Names a pending timer; kNoTimer is never handed out.
  using TimerId = uint64_t;
  static constexpr TimerId kNoTimer = 0;

  virtual ~Environment() = default;

  // The monotonic clock: never goes backwards, unrelated to the wall clock.
  virtual MonotonicTime Now() = 0;

  // The wall clock, for people to read; no decision is taken from it.
  virtual absl::Time WallNow() = 0;

  // Uniform in [0, 1).
  virtual double Uniform() = 0;

  // Runs `function` once, at `when` or as soon after as possible, on a thread
  // of the environment and never inside this call. If `function` blocks, others
  // that are due run on further threads, so two may run at the same time.
  virtual TimerId RunAt(MonotonicTime when,
                        absl::AnyInvocable<void() &&> function) = 0;

  // True if the timer was still pending: its function will never run and has
  // been destroyed. False if it ran, is running, or never existed.
  virtual bool Cancel(TimerId timer) = 0;

  // Runs `function` soon, as if it were due. A manual environment runs it here
  // and now, so no lock may be held. Without an override: as the default
  // environment does.
  virtual void Run(absl::AnyInvocable<void() &&> function);

  // Blocks the calling thread. Durations <= 0 return at once.
  virtual void Sleep(absl::Duration duration) = 0;

  // The real world: steady clock, threads started at first use, a random
  // generator per thread.
  static Environment& Default();
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_ENVIRONMENT_H_
