#include "grpc_breaker/environment.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <random>
#include <utility>

#include "absl/random/random.h"
#include "absl/time/clock.h"
#include "grpc_breaker/base/timer_queue.h"

namespace grpc_breaker {
namespace {

using Function = internal::TimerQueue::Function;

// A timer thread that hands what is due to workers, and the workers. There is
// one worker as long as none blocks. The timer thread, which runs no function
// itself, adds one whenever what is due has waited for kPatience, up to
// kMostWorkers; those that have had nothing to do for kIdleTime end.
//
// Not absl::Mutex: its timed waits follow the wall clock, and a step of the
// wall clock would fire or delay every timer.
//
// Thread-safe.
class Scheduler {
 public:
  Environment::TimerId RunAt(MonotonicTime when, Function function) {
    std::lock_guard<std::mutex> lock(mutex_);
    const Environment::TimerId id = timers_.Add(when, std::move(function));
    WakeTimerThreadAt(when);
    return id;
  }

  std::optional<Function> Remove(Environment::TimerId timer) {
    std::lock_guard<std::mutex> lock(mutex_);
    return timers_.Remove(timer);
  }

  void Run(Function function) {
    std::lock_guard<std::mutex> lock(mutex_);
    Enqueue(std::move(function));
    WakeTimerThreadAt(StalledAt());
  }

  // For fork(), whose child has none of the threads.
  void Lock() { mutex_.lock(); }
  void Unlock() { mutex_.unlock(); }

 private:
  static constexpr std::chrono::milliseconds kPatience{5};
  static constexpr std::chrono::seconds kIdleTime{10};
  static constexpr size_t kMostWorkers = 1000;

  static MonotonicTime Now() { return std::chrono::steady_clock::now(); }

  // The rest is called with mutex_ held.

  // When another worker is needed, if nothing happens until then.
  MonotonicTime StalledAt() const {
    return due_.size() > idle_workers_ && workers_ < kMostWorkers
               ? last_progress_ + kPatience
               : MonotonicTime::max();
  }

  void Enqueue(Function function) {
    if (due_.empty()) last_progress_ = Now();
    due_.push_back(std::move(function));
    if (workers_ == 0) {
      AddWorker();
    } else if (idle_workers_ > 0) {
      has_work_.notify_one();
    }
  }

  // Where the system refuses a thread, the next patience is over soon.
  void AddWorker() {
    last_progress_ = Now();
    if (StartThread<&Scheduler::Work>()) ++workers_;
  }

  template <void (Scheduler::*kFunction)()>
  bool StartThread() {
    pthread_t thread;
    const auto run = [](void* self) -> void* {
      (static_cast<Scheduler*>(self)->*kFunction)();
      return nullptr;
    };
    return pthread_create(&thread, nullptr, run, this) == 0 &&
           pthread_detach(thread) == 0;
  }

  void WakeTimerThreadAt(MonotonicTime when) {
    if (!timer_thread_started_ && when != MonotonicTime::max()) {
      timer_thread_started_ = StartThread<&Scheduler::RunTimers>();
    } else if (when < wakes_at_) {
      timers_changed_.notify_one();
    }
  }

  void RunTimers() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      const MonotonicTime now = Now();
      while (timers_.NextDue().value_or(MonotonicTime::max()) <= now) {
        Enqueue(timers_.PopNext());
      }
      if (StalledAt() <= now) AddWorker();
      wakes_at_ = std::min(timers_.NextDue().value_or(MonotonicTime::max()),
                           StalledAt());
      if (wakes_at_ == MonotonicTime::max()) {
        timers_changed_.wait(lock);
      } else {
        timers_changed_.wait_until(lock, wakes_at_);
      }
      wakes_at_ = MonotonicTime::min();  // Awake.
    }
  }

  void Work() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      if (due_.empty()) {
        ++idle_workers_;
        const bool has_work = has_work_.wait_for(
            lock, kIdleTime, [this] { return !due_.empty(); });
        --idle_workers_;
        if (!has_work) break;
      }
      Function function = std::move(due_.front());
      due_.pop_front();
      last_progress_ = Now();
      lock.unlock();
      std::move(function)();
      // What the function holds may call back into the environment.
      function = nullptr;
      lock.lock();
    }
    --workers_;
  }

  std::mutex mutex_;
  std::condition_variable timers_changed_;
  std::condition_variable has_work_;
  internal::TimerQueue timers_;
  std::deque<Function> due_;
  size_t workers_ = 0;
  size_t idle_workers_ = 0;
  // When one of due_ was last taken, or could have been.
  MonotonicTime last_progress_;
  bool timer_thread_started_ = false;
  MonotonicTime wakes_at_ = MonotonicTime::min();
};

// Never destroyed: functions may be pending when the process exits, and after a
// fork() what they hold belongs to the parent.
Scheduler* scheduler = nullptr;
std::atomic<int> forks{0};

Scheduler& TheScheduler() {
  static const bool started = [] {
    scheduler = new Scheduler;
    return pthread_atfork([] { scheduler->Lock(); },
                          [] { scheduler->Unlock(); },
                          [] {
                            scheduler = new Scheduler;
                            ++forks;
                          }) == 0;
  }();
  (void)started;
  return *scheduler;
}

// After a fork(), parent and child would throw the same dice: Abseil's source
// of seeds is copied as well.
class Dice {
 public:
  double Uniform() {
    const int forks_now = forks.load(std::memory_order_relaxed);
    if (forks_now != forks_) {
      forks_ = forks_now;
      std::seed_seq seed{static_cast<uint64_t>(getpid()),
                         absl::Uniform<uint64_t>(generator_)};
      generator_ = absl::InsecureBitGen(seed);
    }
    return absl::Uniform(generator_, 0.0, 1.0);
  }

 private:
  absl::InsecureBitGen generator_;
  int forks_ = forks.load(std::memory_order_relaxed);
};

class RealEnvironment final : public Environment {
 public:
  MonotonicTime Now() override { return std::chrono::steady_clock::now(); }

  absl::Time WallNow() override { return absl::Now(); }

  double Uniform() override {
    thread_local Dice dice;
    return dice.Uniform();
  }

  TimerId RunAt(MonotonicTime when, Function function) override {
    return TheScheduler().RunAt(when, std::move(function));
  }

  bool Cancel(TimerId timer) override {
    return TheScheduler().Remove(timer).has_value();
  }

  void Sleep(absl::Duration duration) override {
    if (duration > absl::ZeroDuration()) absl::SleepFor(duration);
  }
};

}  // namespace

void Environment::Run(absl::AnyInvocable<void() &&> function) {
  TheScheduler().Run(std::move(function));
}

MonotonicTime TimeAfter(MonotonicTime time, absl::Duration duration) {
  if (duration >= absl::FromChrono(MonotonicTime::max() - time)) {
    return MonotonicTime::max();
  }
  return time + absl::ToChronoNanoseconds(duration);
}

Environment& Environment::Default() {
  TheScheduler();  // Notices forks from now on.
  // Never destroyed: timers may be pending when the process exits.
  static RealEnvironment* const environment = new RealEnvironment;
  return *environment;
}

}  // namespace grpc_breaker
