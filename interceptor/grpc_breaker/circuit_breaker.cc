#include "grpc_breaker/circuit_breaker.h"

#include <deque>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"

namespace grpc_breaker {

CircuitBreaker::Permit& CircuitBreaker::Permit::operator=(
    Permit&& other) noexcept {
  if (this != &other) {
    this->~Permit();
    new (this) Permit(std::move(other));
  }
  return *this;
}

Rejection CircuitBreaker::Permit::rejection() const {
  return {rejection_, rejected_in_,
          absl::Nanoseconds(admitted_ ? 0 : time_ns_)};
}

void CircuitBreaker::Permit::Record(Outcome outcome, MonotonicTime now,
                                    const FailureDetails& details) {
  if (breaker_ == nullptr) return;
  std::exchange(breaker_, nullptr)->Finish(*this, outcome, now, details);
}

// Everything under one mutex.
class BreakerImpl final : public CircuitBreaker {
 public:
  BreakerImpl(std::string name, const BreakerOptions& options,
              Environment& environment, BreakerListener* listener)
      : name_(std::move(name)),
        options_(options),
        environment_(environment),
        listener_(listener),
        since_(environment.Now()),
        since_wall_(environment.WallNow()) {}

  Permit TryAcquire(MonotonicTime now) override {
    Permit permit;
    if (!options_.enabled) {
      permit.admitted_ = true;
      return permit;
    }
    {
      absl::MutexLock lock(&mutex_);
      if (state_ == BreakerState::kOpen && now >= open_until_) {
        Enter(BreakerState::kHalfOpen, "open duration over", now);
      }
      ExpireLeases(now);
      if (state_ == BreakerState::kOpen) {
        Refuse(permit, RejectionReason::kOpen, open_until_ - now);
      } else if (state_ == BreakerState::kHalfOpen &&
                 static_cast<int>(probes_.size()) >=
                     options_.half_open_permits) {
        Refuse(permit, RejectionReason::kHalfOpenLimit,
               std::chrono::nanoseconds(0));
      } else {
        permit.breaker_ = this;
        permit.generation_ = transitions_;
        permit.time_ns_ = now.time_since_epoch().count();
        permit.admitted_ = true;
        if (state_ == BreakerState::kHalfOpen) {
          permit.token_ = ++last_token_;
          probes_.push_back({permit.token_, now});
        }
      }
    }
    Deliver();
    return permit;
  }

  BreakerSnapshot Snapshot(MonotonicTime now) const override {
    absl::MutexLock lock(&mutex_);
    BreakerSnapshot snapshot;
    snapshot.state = state_;
    snapshot.since = since_;
    snapshot.since_wall = since_wall_;
    snapshot.counts = Counts(now);
    snapshot.consecutive_failures = consecutive_;
    snapshot.permits_in_use = static_cast<int>(probes_.size());
    if (state_ == BreakerState::kOpen && open_until_ > now) {
      snapshot.next_probe_in = absl::FromChrono(open_until_ - now);
    }
    snapshot.rejections = rejections_;
    snapshot.transitions = transitions_;
    return snapshot;
  }

  const std::string& name() const override { return name_; }

 private:
  struct Call {
    MonotonicTime at;
    bool failed;
  };
  struct Probe {
    uint32_t token;
    MonotonicTime issued;
  };

  void Finish(Permit& permit, Outcome outcome, MonotonicTime now,
              const FailureDetails&) override {
    {
      absl::MutexLock lock(&mutex_);
      if (permit.generation_ != transitions_) return;
      if (state_ == BreakerState::kHalfOpen && !ReleaseProbe(permit.token_)) {
        return;
      }
      if (outcome == Outcome::kIgnored) return;
      const bool failed = outcome == Outcome::kFailure;
      calls_.push_back({now, failed});
      consecutive_ = failed ? consecutive_ + 1 : 0;
      if (state_ == BreakerState::kHalfOpen) {
        if (failed) {
          Enter(BreakerState::kOpen, "a probe failed", now);
        } else if (++probe_successes_ >= options_.half_open_successes) {
          Enter(BreakerState::kClosed,
                absl::StrCat(probe_successes_, " probes succeeded"), now);
        }
      } else {
        EvaluateRules(now);
      }
    }
    Deliver();
  }

  void GiveBack(Permit& permit) override {
    absl::MutexLock lock(&mutex_);
    if (permit.generation_ == transitions_) ReleaseProbe(permit.token_);
  }

  Environment& environment() const override { return environment_; }

  void Refuse(Permit& permit, RejectionReason reason,
              std::chrono::nanoseconds retry_after)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ++rejections_;
    permit.rejection_ = reason;
    permit.rejected_in_ = state_;
    permit.time_ns_ = retry_after.count();
  }

  void EvaluateRules(MonotonicTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const WindowCounts counts = Counts(now);
    if (options_.consecutive_failures > 0 &&
        consecutive_ >= options_.consecutive_failures) {
      Enter(BreakerState::kOpen,
            absl::StrCat(consecutive_, " consecutive failures"), now);
    } else if (options_.failure_rate > 0 &&
               counts.calls() >= options_.minimum_calls &&
               counts.failure_rate() >= options_.failure_rate) {
      Enter(BreakerState::kOpen,
            absl::StrCat("failure rate ", counts.failure_rate()), now);
    }
  }

  void Enter(BreakerState state, std::string cause, MonotonicTime now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    pending_.push_back({name_, state_, state, std::move(cause), Counts(now),
                        now, environment_.WallNow()});
    state_ = state;
    since_ = now;
    since_wall_ = pending_.back().wall_time;
    ++transitions_;
    calls_.clear();
    probes_.clear();
    consecutive_ = 0;
    probe_successes_ = 0;
    open_until_ = now + absl::ToChronoNanoseconds(options_.open_duration);
  }

  bool ReleaseProbe(uint32_t token) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (auto it = probes_.begin(); it != probes_.end(); ++it) {
      if (it->token == token) {
        probes_.erase(it);
        return true;
      }
    }
    return false;
  }

  void ExpireLeases(MonotonicTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto lease = absl::ToChronoNanoseconds(options_.permit_lease);
    while (!probes_.empty() && now - probes_.front().issued >= lease) {
      probes_.pop_front();
    }
  }

  WindowCounts Counts(MonotonicTime now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto window = absl::ToChronoNanoseconds(options_.window);
    WindowCounts counts;
    for (const Call& call : calls_) {
      if (now - call.at >= window) continue;
      ++(call.failed ? counts.failures : counts.successes);
    }
    return counts;
  }

  // One thread at a time tells the listener, so that events stay in order; an
  // event that arrives meanwhile is told by that thread.
  void Deliver() {
    for (;;) {
      std::vector<BreakerTransition> events;
      {
        absl::MutexLock lock(&mutex_);
        if (delivering_ || pending_.empty()) return;
        delivering_ = true;
        events.swap(pending_);
      }
      for (const BreakerTransition& event : events) {
        if (listener_ != nullptr) listener_->OnTransition(event);
      }
      absl::MutexLock lock(&mutex_);
      delivering_ = false;
    }
  }

  const std::string name_;
  const BreakerOptions options_;
  Environment& environment_;
  BreakerListener* const listener_;

  mutable absl::Mutex mutex_;
  BreakerState state_ ABSL_GUARDED_BY(mutex_) = BreakerState::kClosed;
  MonotonicTime since_ ABSL_GUARDED_BY(mutex_);
  absl::Time since_wall_ ABSL_GUARDED_BY(mutex_);
  MonotonicTime open_until_ ABSL_GUARDED_BY(mutex_);
  std::deque<Call> calls_ ABSL_GUARDED_BY(mutex_);
  std::deque<Probe> probes_ ABSL_GUARDED_BY(mutex_);
  int consecutive_ ABSL_GUARDED_BY(mutex_) = 0;
  int probe_successes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint32_t last_token_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t transitions_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t rejections_ ABSL_GUARDED_BY(mutex_) = 0;
  bool delivering_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<BreakerTransition> pending_ ABSL_GUARDED_BY(mutex_);
};

absl::StatusOr<std::unique_ptr<CircuitBreaker>> CircuitBreaker::Create(
    std::string name, const BreakerOptions& options, Environment& environment,
    BreakerListener* listener) {
  absl::Status status = options.Validate();
  if (!status.ok()) return status;
  return std::make_unique<BreakerImpl>(std::move(name), options, environment,
                                       listener);
}

}  // namespace grpc_breaker
