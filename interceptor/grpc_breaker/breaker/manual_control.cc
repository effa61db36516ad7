#include "grpc_breaker/breaker/manual_control.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "grpc_breaker/base/rundown.h"
#include "grpc_breaker/mutex_lock.h"

namespace grpc_breaker::internal {

absl::Status ValidateManualState(const ManualState& manual) {
  if (manual.state != BreakerState::kForcedOpen &&
      manual.state != BreakerState::kForcedClosed &&
      manual.state != BreakerState::kMetricsOnly) {
    return absl::InvalidArgumentError(absl::StrCat(
        "manual.state: must be FORCED_OPEN, FORCED_CLOSED or METRICS_ONLY, "
        "got ",
        ToString(manual.state)));
  }
  if (manual.time_to_live < absl::Milliseconds(1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("manual.time_to_live: must be at least 1ms, got ",
                     absl::FormatDuration(manual.time_to_live)));
  }
  const auto check_length = [](const char* field, const std::string& text) {
    if (text.size() <= kMaxManualTextBytes) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": must have at most ", kMaxManualTextBytes,
                     " bytes, got ", text.size()));
  };
  absl::Status status = check_length("manual.reason", manual.reason);
  status.Update(check_length("manual.actor", manual.actor));
  return status;
}

// What the timer holds, as it may ring when the breaker is being destroyed.
class ManualControl::Alarm {
 public:
  explicit Alarm(EndIfOver end_if_over)
      : end_if_over_(std::move(end_if_over)) {}

  void Ring() {
    std::shared_ptr<EventQueue> events;
    {
      const Rundown::Use use(rundown_);
      if (!use.allowed()) return;
      // No listener is called meanwhile, so Mute() waits for nobody else.
      events = end_if_over_();
    }
    if (events != nullptr) events->Deliver();
  }

  void Mute() { rundown_.End(); }

 private:
  const EndIfOver end_if_over_;
  Rundown rundown_;  // Of the breaker.
};

void ManualControl::Set(ManualState manual, int64_t ends_ns) {
  MutexLock lock(mutex_);
  manual_ = std::make_unique<const ManualState>(std::move(manual));
  ends_ns_.store(ends_ns, std::memory_order_relaxed);
}

void ManualControl::Clear() {
  MutexLock lock(mutex_);
  manual_.reset();
  ends_ns_.store(kNeverNs, std::memory_order_relaxed);
}

bool ManualControl::is_set() const {
  MutexLock lock(mutex_);
  return manual_ != nullptr;
}

std::optional<ManualState> ManualControl::Get(int64_t now_ns) const {
  MutexLock lock(mutex_);
  if (manual_ == nullptr) return std::nullopt;
  ManualState manual = *manual_;
  if (ends_ns() != kNeverNs) {
    manual.time_to_live = absl::Nanoseconds(ends_ns() - now_ns);
  }
  return manual;
}

void ManualControl::UpdateTimer(Environment& environment,
                                EndIfOver end_if_over) {
  int64_t ends_ns;
  std::shared_ptr<Alarm> alarm;
  {
    MutexLock lock(mutex_);
    ends_ns = this->ends_ns();
    if (alarm_ == nullptr && ends_ns != kNeverNs) {
      alarm_ = std::make_shared<Alarm>(std::move(end_if_over));
    }
    alarm = alarm_;
  }
  // The environment is called without the lock.
  Environment::TimerId timer = Environment::kNoTimer;
  if (ends_ns != kNeverNs) {
    timer = environment.RunAt(AtNanoseconds(ends_ns),
                              [alarm = std::move(alarm)] { alarm->Ring(); });
  }
  {
    MutexLock lock(mutex_);
    // Else the state is over, or another one was set, whose own update follows.
    if (this->ends_ns() == ends_ns) std::swap(timer, timer_);
  }
  environment.Cancel(timer);
}

void ManualControl::Mute() {
  std::shared_ptr<Alarm> alarm;
  {
    MutexLock lock(mutex_);
    alarm = alarm_;
  }
  if (alarm != nullptr) alarm->Mute();
}

}  // namespace grpc_breaker::internal
