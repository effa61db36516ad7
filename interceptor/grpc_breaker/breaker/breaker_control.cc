// The part of BreakerImpl that people use: manual states, new options and what
// is shown of the breaker. What calls use is in breaker_impl.cc.

#include <algorithm>
#include <utility>

#include "grpc_breaker/breaker/breaker_impl.h"
#include "grpc_breaker/breaker/nanoseconds.h"
#include "grpc_breaker/mutex_lock.h"

namespace grpc_breaker::internal {

// --- Manual states ---

void BreakerImpl::EndManualIfOver(int64_t now_ns) {
  for (;;) {
    const StateWord state = LoadState();
    if (!state.manual() || now_ns < manual_.ends_ns()) return;
    EndManual(state, now_ns);
  }
}

// Dated at the end itself, whoever notices it and when.
void BreakerImpl::EndManual(StateWord from, int64_t now_ns) {
  Moment moment = ReadMoment(BreakerState::kClosed, now_ns);
  MutexLock lock(mutex_);
  if (LoadState().generation() != from.generation()) return;
  moment.now_ns = manual_.ends_ns();
  moment.wall -= absl::Nanoseconds(now_ns - moment.now_ns);
  manual_.Clear();
  Enter(InitialState(compiled().options), false,
        Cause::Of(Cause::Kind::kManualOver), moment);
}

absl::StatusOr<BreakerSnapshot> BreakerImpl::SetManualState(ManualState manual,
                                                            MonotonicTime now) {
  absl::Status status = ValidateManualState(manual);
  if (!status.ok()) return status;
  const int64_t now_ns = Nanoseconds(now);
  const int64_t ends_ns =
      AddSaturated(now_ns, absl::ToInt64Nanoseconds(manual.time_to_live));
  const bool shadow = manual.state == BreakerState::kMetricsOnly;
  const BreakerState to = shadow ? BreakerState::kClosed : manual.state;
  const Cause cause =
      Cause::ByHand(Cause::Kind::kManual, manual.reason, manual.actor);
  EndManualIfOver(now_ns);
  const Moment moment = ReadMoment(BreakerState::kClosed, now_ns);
  BreakerSnapshot after;
  {
    MutexLock lock(mutex_);
    manual_.Set(std::move(manual), ends_ns);
    Enter(to, shadow, cause, moment);
    after = SnapshotLocked(now_ns);
  }
  UpdateManualTimer();
  DeliverEvents();
  return after;
}

BreakerSnapshot BreakerImpl::Reset(std::string reason, std::string actor,
                                   MonotonicTime now) {
  reason.resize(std::min(reason.size(), kMaxManualTextBytes));
  actor.resize(std::min(actor.size(), kMaxManualTextBytes));
  const int64_t now_ns = Nanoseconds(now);
  EndManualIfOver(now_ns);
  const Moment moment = ReadMoment(BreakerState::kClosed, now_ns);
  BreakerSnapshot after;
  {
    MutexLock lock(mutex_);
    manual_.Clear();
    Enter(InitialState(compiled().options), false,
          Cause::ByHand(Cause::Kind::kReset, reason, actor), moment);
    after = SnapshotLocked(now_ns);
  }
  UpdateManualTimer();
  DeliverEvents();
  return after;
}

void BreakerImpl::Note(std::string text, MonotonicTime now) {
  text.resize(std::min(text.size(), kMaxNoteBytes));
  const Moment moment = ReadMoment(BreakerState::kClosed, Nanoseconds(now));
  MutexLock lock(mutex_);
  const StateWord state = LoadState();
  log_.Add(state.shown(), state.shown(), Cause::OfNote(std::move(text)),
           CountsIn(state, compiled(), window_, gate_, counts_at_change_,
                    moment.now_ns),
           std::max(now, AtNanoseconds(entered_ns_)), moment.wall);
}

// The timer may ring when nobody calls, and while the breaker is destroyed.
void BreakerImpl::UpdateManualTimer() {
  manual_.UpdateTimer(environment_, [this] {
    EndManualIfOver(Nanoseconds(environment_.Now()));
    return events_;
  });
}

// --- Options ---

absl::Status BreakerImpl::Reconfigure(const BreakerOptions& options,
                                      MonotonicTime now) {
  absl::Status status = options.Validate();
  if (!status.ok()) return status;
  const int64_t now_ns = Nanoseconds(now);
  EndManualIfOver(now_ns);
  const Moment moment = ReadMoment(BreakerState::kClosed, now_ns);
  StateWord state = LoadState();
  const CompiledOptions* next;
  {
    MutexLock lock(mutex_);
    const CompiledOptions& old = compiled();
    if (options.enabled != old.options.enabled && !manual_.is_set()) {
      Enter(InitialState(options), false, Cause::Of(Cause::Kind::kReconfigured),
            moment);
    }
    state = LoadState();
    next = Install(std::make_unique<const CompiledOptions>(options, old, now_ns,
                                                           state.generation()));
    if (state.state() == BreakerState::kHalfOpen) {
      state_ends_ns_.store(
          AddSaturated(entered_ns_, next->half_open_max_wait_ns),
          std::memory_order_relaxed);
    }
    const int64_t ramp_began_ns =
        ramp_began_ns_.load(std::memory_order_relaxed);
    if (ramp_began_ns != kNeverNs) {
      state_ends_ns_.store(ramp_began_ns + next->ramp_ns(),
                           std::memory_order_relaxed);
    }
    // Only what is CLOSED counts in the window; a generation of its own keeps
    // what is under way from counting in a window of another shape.
    const bool new_window = state.state() == BreakerState::kClosed &&
                            next->window.window_ns() != old.window.window_ns();
    StoreState(state.state(), state.shadow(),
               state.generation() + (new_window ? 1 : 0));
  }
  if (state.state() == BreakerState::kHalfOpen) {
    FollowDecision(state, gate_.Judge(state.generation(), next->probes), now_ns,
                   std::nullopt);
  }
  DeliverEvents();
  return absl::OkStatus();
}

const CompiledOptions* BreakerImpl::Install(
    std::unique_ptr<const CompiledOptions> compiled) {
  auto had =
      std::find_if(all_compiled_.begin(), all_compiled_.end(),
                   [&](const auto& old) { return old->SameAs(*compiled); });
  if (had == all_compiled_.end()) {
    had = all_compiled_.insert(had, std::move(compiled));
  }
  compiled_.store(had->get(), std::memory_order_release);
  return had->get();
}

// --- What is shown ---

BreakerSnapshot BreakerImpl::Snapshot(MonotonicTime now) const {
  const int64_t now_ns = Nanoseconds(now);
  MutexLock lock(mutex_);
  return SnapshotLocked(now_ns);
}

BreakerSnapshot BreakerImpl::SnapshotLocked(int64_t now_ns) const {
  return MakeSnapshot(
      {LoadState(), compiled(), window_, gate_, bulkhead_, run_, totals_,
       events_.get(), manual_.Get(now_ns), manual_.ends_ns(),
       state_ends_ns_.load(std::memory_order_relaxed),
       ramp_began_ns_.load(std::memory_order_relaxed), since_, since_wall_,
       counts_at_change_, transitions_.Total()},
      now_ns);
}

BreakerCounts BreakerImpl::Counts() const {
  BreakerCounts counts;
  counts.state = LoadState().shown();
  counts.transitions = transitions_.Get();
  counts.would_have_rejected =
      totals_.would_have_rejected.load(std::memory_order_relaxed);
  if (events_ != nullptr) {
    counts.events_dropped = events_->dropped();
    counts.events_failed = events_->failed();
  }
  return counts;
}

std::vector<BreakerTransition> BreakerImpl::History() const {
  MutexLock lock(mutex_);
  return log_.Get(name_);
}

}  // namespace grpc_breaker::internal
