#ifndef GRPC_BREAKER_TESTS_ENVIRONMENTS_H_
#define GRPC_BREAKER_TESTS_ENVIRONMENTS_H_

// Manual environments that tell tests more about how they are used.

#include <atomic>
#include <cstddef>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/testing/manual_environment.h"

namespace grpc_breaker {

// Passes everything on to a ManualEnvironment, whose wall clock can be set.
//
// Thread-safe, but for StepWallClock().
class DelegatingEnvironment : public Environment {
 public:
  MonotonicTime Now() override { return manual_.Now(); }
  absl::Time WallNow() override { return manual_.WallNow() + wall_step_; }
  double Uniform() override { return manual_.Uniform(); }
  TimerId RunAt(MonotonicTime when,
                absl::AnyInvocable<void() &&> function) override {
    return manual_.RunAt(when, std::move(function));
  }
  bool Cancel(TimerId timer) override { return manual_.Cancel(timer); }
  void Run(absl::AnyInvocable<void() &&> function) override {
    manual_.Run(std::move(function));
  }
  void Sleep(absl::Duration duration) override { manual_.Sleep(duration); }

  void Advance(absl::Duration duration) { manual_.Advance(duration); }
  // As if somebody set the wall clock forward or back.
  void StepWallClock(absl::Duration step) { wall_step_ += step; }

 private:
  ManualEnvironment manual_;
  absl::Duration wall_step_;
};

// Keeps the functions given to Run() until the test runs them.
//
// Thread-compatible.
class QueuedEnvironment : public DelegatingEnvironment {
 public:
  void Run(absl::AnyInvocable<void() &&> function) override {
    functions_.push_back(std::move(function));
  }
  size_t size() const { return functions_.size(); }
  void RunAll() {
    for (auto& function : std::exchange(functions_, {})) {
      std::move(function)();
    }
  }

 private:
  std::vector<absl::AnyInvocable<void() &&>> functions_;
};

// Counts how often its clocks are read: the wall clock once for each message
// that the admin service builds, the other one for each look at a breaker.
//
// Thread-safe.
class CountingEnvironment : public DelegatingEnvironment {
 public:
  MonotonicTime Now() override {
    ++clock_reads_;
    return DelegatingEnvironment::Now();
  }
  absl::Time WallNow() override {
    ++wall_clock_reads_;
    return DelegatingEnvironment::WallNow();
  }
  int clock_reads() const { return clock_reads_; }
  int wall_clock_reads() const { return wall_clock_reads_; }

 private:
  std::atomic<int> clock_reads_{0};
  std::atomic<int> wall_clock_reads_{0};
};

// Counts how often it is used while it must not be.
//
// Thread-safe, but for Forbid().
class ForbiddenEnvironment : public DelegatingEnvironment {
 public:
  MonotonicTime Now() override { return Check(), DelegatingEnvironment::Now(); }
  absl::Time WallNow() override {
    return Check(), DelegatingEnvironment::WallNow();
  }
  double Uniform() override {
    return Check(), DelegatingEnvironment::Uniform();
  }
  TimerId RunAt(MonotonicTime when,
                absl::AnyInvocable<void() &&> function) override {
    return Check(), DelegatingEnvironment::RunAt(when, std::move(function));
  }
  bool Cancel(TimerId timer) override {
    return Check(), DelegatingEnvironment::Cancel(timer);
  }
  void Run(absl::AnyInvocable<void() &&> function) override {
    Check();
    DelegatingEnvironment::Run(std::move(function));
  }
  void Sleep(absl::Duration duration) override {
    Check();
    DelegatingEnvironment::Sleep(duration);
  }

  void Forbid(bool forbidden) { forbidden_ = forbidden; }
  int forbidden_uses() const { return uses_; }

 private:
  void Check() {
    if (forbidden_) ++uses_;
  }
  bool forbidden_ = false;
  std::atomic<int> uses_{0};
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_TESTS_ENVIRONMENTS_H_
