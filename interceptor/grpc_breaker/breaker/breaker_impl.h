#ifndef GRPC_BREAKER_BREAKER_BREAKER_IMPL_H_
#define GRPC_BREAKER_BREAKER_BREAKER_IMPL_H_

// The state machine:
//
//              a rule trips                    open duration over
//   CLOSED  ------------------>  OPEN  --------------------------->  HALF_OPEN
//      ^                           ^      probes fail, or take too long   |
//      |                           +--------------------------------------+
//      +-------------------- enough probes succeed -----------------------+
//
// SetManualState leads from anywhere to FORCED_OPEN, FORCED_CLOSED or
// METRICS_ONLY, and from there back to CLOSED.
//
// Thread-safe. Calls read one atomic word, `state_`, and touch counters of
// their own thread; what changes the state takes the mutex.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpc_breaker/breaker/cause.h"
#include "grpc_breaker/breaker/compiled_options.h"
#include "grpc_breaker/breaker/event_queue.h"
#include "grpc_breaker/breaker/failure_run.h"
#include "grpc_breaker/breaker/half_open.h"
#include "grpc_breaker/breaker/load_shedding.h"
#include "grpc_breaker/breaker/manual_control.h"
#include "grpc_breaker/breaker/nanoseconds.h"
#include "grpc_breaker/breaker/snapshot.h"
#include "grpc_breaker/breaker/state_word.h"
#include "grpc_breaker/breaker/transition_counts.h"
#include "grpc_breaker/breaker/transition_log.h"
#include "grpc_breaker/breaker/trip_rules.h"
#include "grpc_breaker/breaker/window.h"
#include "grpc_breaker/circuit_breaker.h"

namespace grpc_breaker::internal {

class alignas(64) BreakerImpl final : public CircuitBreaker {
 public:
  // `options` must be valid.
  BreakerImpl(std::string name, const BreakerOptions& options,
              Environment& environment, BreakerListener* listener);
  ~BreakerImpl() override;

  Permit TryAcquire(MonotonicTime now) override;
  bool ProbeEarly(MonotonicTime now) override ABSL_LOCKS_EXCLUDED(mutex_);
  BreakerSnapshot Snapshot(MonotonicTime now) const override;
  BreakerCounts Counts() const override;
  std::vector<BreakerTransition> History() const override;
  absl::StatusOr<BreakerSnapshot> SetManualState(ManualState manual,
                                                 MonotonicTime now) override;
  BreakerSnapshot Reset(std::string reason, std::string actor,
                        MonotonicTime now) override;
  void Note(std::string text, MonotonicTime now) override;
  absl::Status Reconfigure(const BreakerOptions& options,
                           MonotonicTime now) override;
  BreakerOptions options() const override { return compiled().options; }
  const std::string& name() const override { return name_; }

 private:
  enum class Verdict { kAdmitted, kAdmittedUncounted, kRefused, kTryAgain };
  struct Admission {
    Verdict verdict = Verdict::kAdmitted;
    RejectionReason reason = RejectionReason::kOpen;
    int64_t retry_after_ns = 0;
  };
  // A call whose outcome is known.
  struct Call {
    bool failed;
    int64_t now_ns;
    int64_t took_ns;
    FailureDetails details;
  };
  // What is read of the environment before the lock is taken.
  struct Moment {
    int64_t now_ns;
    absl::Time wall;
    double uniform;  // For the jitter of the open duration.
  };

  Environment& environment() const override { return environment_; }

  StateWord LoadState() const {
    return StateWord(state_.load(std::memory_order_acquire));
  }
  const CompiledOptions& compiled() const {
    return *compiled_.load(std::memory_order_acquire);
  }

  // --- Admission ---
  Permit TryAcquireSlow(int64_t now_ns);
  // Makes the changes of state that are due by this time, and returns the
  // state that they lead to.
  StateWord ApplyDueTransitions(int64_t now_ns);
  Admission Admit(const CompiledOptions& compiled, StateWord state,
                  int64_t now_ns, Permit& permit);
  Admission AdmitProbe(const CompiledOptions& compiled, StateWord state,
                       int64_t now_ns, Permit& permit);
  Admission AdmitClosed(const CompiledOptions& compiled, StateWord state,
                        int64_t now_ns);
  static Admission Refused(RejectionReason reason, int64_t retry_after_ns = 0);
  void NotifyRejections(RejectionReason reason, int64_t now_ns)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // --- Outcomes ---
  void Finish(const Permit::Ticket& ticket, Outcome outcome, MonotonicTime now,
              const FailureDetails* details) override;
  void FinishSlow(const Permit::Ticket& ticket, Outcome outcome, int64_t now_ns,
                  const FailureDetails* details);
  void NoteResponse(Permit::Ticket& ticket, MonotonicTime now) override;
  void Return(const Permit::Ticket& ticket) override;
  void ReturnProbe(const Permit::Ticket& ticket);
  void LeaveBulkhead(const Permit::Ticket& ticket);
  inline void FinishCall(const Permit::Ticket& ticket, const Call& call);
  void FinishProbe(const CompiledOptions& compiled, StateWord state,
                   uint32_t probe_id, const Call& call);
  bool FollowDecision(StateWord state, ProbeGate::Reported reported,
                      int64_t now_ns,
                      std::optional<absl::Duration> server_delay);
  void FinishCounted(const CompiledOptions& compiled, StateWord state,
                     const Call& call);
  std::optional<Trip> CheckRatesNow(const CompiledOptions& compiled,
                                    uint64_t generation, uint64_t epoch);
  void NotifySlowCall(const Call& call);
  void DeliverEvents() {
    if (events_ != nullptr) events_->Deliver();
  }

  // --- Changes of state ---
  // Whoever wants a change names the state that it is to start `from`. Nothing
  // happens if that has been left already, so that of many threads that want
  // the same change, one makes it.
  Moment ReadMoment(BreakerState to, int64_t now_ns) const;
  void Change(StateWord from, BreakerState to, const Cause& cause,
              int64_t now_ns,
              std::optional<absl::Duration> server_delay = std::nullopt)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void EndRamp(StateWord from) ABSL_LOCKS_EXCLUDED(mutex_);
  void Enter(BreakerState to, bool shadow, const Cause& cause, Moment moment,
             std::optional<absl::Duration> server_delay = std::nullopt)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StoreState(BreakerState state, bool shadow, uint64_t generation)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NotifyTransition(StateWord from, StateWord to, const Cause& cause,
                        const Moment& moment)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  const CompiledOptions* Install(
      std::unique_ptr<const CompiledOptions> compiled)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  BreakerSnapshot SnapshotLocked(int64_t now_ns) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // --- Manual states ---
  void EndManualIfOver(int64_t now_ns) ABSL_LOCKS_EXCLUDED(mutex_);
  void EndManual(StateWord from, int64_t now_ns) ABSL_LOCKS_EXCLUDED(mutex_);
  void UpdateManualTimer() ABSL_LOCKS_EXCLUDED(mutex_);

  // Read by every call; written by changes, and run_ by failures. Every change
  // of state happens in Enter() and starts a new generation.
  std::atomic<uint64_t> state_;
  std::atomic<const CompiledOptions*> compiled_;
  FailureRun run_;
  // Written before the state that they belong to: when OPEN or HALF_OPEN is
  // over, and when the ramp began.
  std::atomic<int64_t> state_ends_ns_{kNeverNs};
  std::atomic<int64_t> ramp_began_ns_{kNeverNs};
  std::atomic<int64_t> next_rejection_event_ns_;  // Never without a listener.
  uint64_t rejections_notified_ ABSL_GUARDED_BY(mutex_) = 0;

  Window window_;
  ProbeGate gate_;
  Bulkhead bulkhead_;
  PermitCounters totals_;
  TransitionCounts transitions_;  // Added to under the mutex.
  ManualControl manual_;

  const std::string name_;
  Environment& environment_;
  const std::shared_ptr<EventQueue> events_;  // Null without a listener.

  mutable absl::Mutex mutex_;
  // Every one that there was, as calls may still read an older one.
  std::vector<std::unique_ptr<const CompiledOptions>> all_compiled_
      ABSL_GUARDED_BY(mutex_);
  TransitionLog log_ ABSL_GUARDED_BY(mutex_);
  // When the state, shadows included, was entered.
  int64_t entered_ns_ ABSL_GUARDED_BY(mutex_) = 0;
  // When the state that is shown was.
  MonotonicTime since_ ABSL_GUARDED_BY(mutex_);
  absl::Time since_wall_ ABSL_GUARDED_BY(mutex_);
  WindowCounts counts_at_change_ ABSL_GUARDED_BY(mutex_);
  // How often OPEN since the breaker last was CLOSED, for the growing open
  // duration.
  int opened_ ABSL_GUARDED_BY(mutex_) = 0;
  bool probed_early_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_BREAKER_IMPL_H_
