#include "grpc_breaker/testing/manual_environment.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <random>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/random/distributions.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/base/timer_queue.h"
#include "grpc_breaker/mutex_lock.h"

namespace grpc_breaker {
namespace {

constexpr MonotonicTime kStart = MonotonicTime(std::chrono::hours(1));

}  // namespace

struct ManualEnvironment::State {
  mutable absl::Mutex mutex;
  MonotonicTime now ABSL_GUARDED_BY(mutex) = kStart;
  internal::TimerQueue timers ABSL_GUARDED_BY(mutex);
  std::deque<double> uniform_script ABSL_GUARDED_BY(mutex);
  std::optional<std::mt19937_64> generator ABSL_GUARDED_BY(mutex);
  std::vector<absl::Duration> sleeps ABSL_GUARDED_BY(mutex);
};

ManualEnvironment::ManualEnvironment() : state_(std::make_unique<State>()) {}
ManualEnvironment::~ManualEnvironment() = default;

void ManualEnvironment::Advance(absl::Duration duration) {
  AdvanceTo(TimeAfter(Now(), duration));
}

bool ManualEnvironment::AdvanceToNextTimer() {
  std::optional<MonotonicTime> due;
  {
    internal::MutexLock lock(state_->mutex);
    due = state_->timers.NextDue();
  }
  if (!due.has_value()) return false;
  AdvanceTo(*due);
  return true;
}

void ManualEnvironment::AdvanceTo(MonotonicTime target) {
  for (;;) {
    internal::TimerQueue::Function function;
    {
      internal::MutexLock lock(state_->mutex);
      const std::optional<MonotonicTime> due = state_->timers.NextDue();
      if (!due.has_value() || *due > std::max(target, state_->now)) {
        state_->now = std::max(state_->now, target);
        return;
      }
      state_->now = std::max(state_->now, *due);
      function = state_->timers.PopNext();
    }
    std::move(function)();
  }
}

void ManualEnvironment::ScriptUniform(std::initializer_list<double> values) {
  internal::MutexLock lock(state_->mutex);
  state_->uniform_script.insert(state_->uniform_script.end(), values);
}

void ManualEnvironment::SeedUniform(uint64_t seed) {
  internal::MutexLock lock(state_->mutex);
  state_->generator.emplace(seed);
}

size_t ManualEnvironment::pending_timers() const {
  internal::MutexLock lock(state_->mutex);
  return state_->timers.size();
}

std::vector<absl::Duration> ManualEnvironment::sleeps() const {
  internal::MutexLock lock(state_->mutex);
  return state_->sleeps;
}

absl::Duration ManualEnvironment::elapsed() const {
  internal::MutexLock lock(state_->mutex);
  return absl::FromChrono(state_->now - kStart);
}

MonotonicTime ManualEnvironment::Now() {
  internal::MutexLock lock(state_->mutex);
  return state_->now;
}

absl::Time ManualEnvironment::WallNow() {
  return absl::FromUnixSeconds(1'600'000'000) + elapsed();
}

double ManualEnvironment::Uniform() {
  internal::MutexLock lock(state_->mutex);
  if (!state_->uniform_script.empty()) {
    const double value = state_->uniform_script.front();
    state_->uniform_script.pop_front();
    return value;
  }
  if (state_->generator.has_value()) {
    return absl::Uniform(*state_->generator, 0.0, 1.0);
  }
  return 0.5;
}

Environment::TimerId ManualEnvironment::RunAt(
    MonotonicTime when, absl::AnyInvocable<void() &&> function) {
  internal::MutexLock lock(state_->mutex);
  return state_->timers.Add(when, std::move(function));
}

bool ManualEnvironment::Cancel(TimerId timer) {
  std::optional<internal::TimerQueue::Function> function;
  {
    internal::MutexLock lock(state_->mutex);
    function = state_->timers.Remove(timer);
  }
  return function.has_value();
}

void ManualEnvironment::Run(absl::AnyInvocable<void() &&> function) {
  std::move(function)();
}

void ManualEnvironment::Sleep(absl::Duration duration) {
  if (duration <= absl::ZeroDuration()) return;
  {
    internal::MutexLock lock(state_->mutex);
    state_->sleeps.push_back(duration);
  }
  Advance(duration);
}

}  // namespace grpc_breaker
