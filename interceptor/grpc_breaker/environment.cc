#include "grpc_breaker/environment.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "absl/random/random.h"
#include "absl/time/clock.h"
#include "grpc_breaker/internal/timer_queue.h"

namespace grpc_breaker {
namespace {

class RealEnvironment final : public Environment {
 public:
  MonotonicTime Now() override { return std::chrono::steady_clock::now(); }

  absl::Time WallNow() override { return absl::Now(); }

  double Uniform() override {
    thread_local absl::InsecureBitGen generator;
    return absl::Uniform(generator, 0.0, 1.0);
  }

  TimerId RunAt(MonotonicTime when,
                absl::AnyInvocable<void() &&> function) override {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!thread_started_) {
      thread_started_ = true;
      std::thread(&RealEnvironment::RunTimers, this).detach();
    }
    const std::optional<MonotonicTime> due_before = timers_.NextDue();
    const TimerId id = timers_.Add(when, std::move(function));
    const bool is_earliest = !due_before.has_value() || when < *due_before;
    lock.unlock();
    if (is_earliest) changed_.notify_one();
    return id;
  }

  bool Cancel(TimerId timer) override {
    std::optional<internal::TimerQueue::Function> function;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      function = timers_.Remove(timer);
    }
    return function.has_value();
  }

  void Sleep(absl::Duration duration) override {
    if (duration > absl::ZeroDuration()) absl::SleepFor(duration);
  }

 private:
  void RunTimers() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      const std::optional<MonotonicTime> due = timers_.NextDue();
      if (!due.has_value()) {
        changed_.wait(lock);
      } else if (*due > Now()) {
        changed_.wait_until(lock, *due);
      } else {
        internal::TimerQueue::Function function = timers_.PopNext();
        lock.unlock();
        std::move(function)();
        // What the function holds may call back into the environment.
        function = nullptr;
        lock.lock();
      }
    }
  }

  // Not absl::Mutex: its timed waits follow the wall clock, and a step of the
  // wall clock would fire or delay every timer.
  std::mutex mutex_;
  std::condition_variable changed_;
  internal::TimerQueue timers_;
  bool thread_started_ = false;
};

}  // namespace

MonotonicTime TimeAfter(MonotonicTime time, absl::Duration duration) {
  if (duration >= absl::FromChrono(MonotonicTime::max() - time)) {
    return MonotonicTime::max();
  }
  return time + absl::ToChronoNanoseconds(duration);
}

Environment& Environment::Default() {
  // Never destroyed: timers may be pending when the process exits.
  static RealEnvironment* const environment = new RealEnvironment;
  return *environment;
}

}  // namespace grpc_breaker
