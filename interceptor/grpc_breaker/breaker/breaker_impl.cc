#include "grpc_breaker/breaker/breaker_impl.h"

#include <algorithm>
#include <utility>

#include "absl/base/optimization.h"
#include "grpc_breaker/breaker/nanoseconds.h"
#include "grpc_breaker/breaker/open_duration.h"
#include "grpc_breaker/mutex_lock.h"

namespace grpc_breaker::internal {
namespace {

void Increment(std::atomic<uint64_t>& counter) {
  counter.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

BreakerImpl::BreakerImpl(std::string name, const BreakerOptions& options,
                         Environment& environment, BreakerListener* listener)
    : state_(StateWord(BreakerState::kClosed, false, false, 1).bits()),
      next_rejection_event_ns_(listener == nullptr ? kNeverNs : 0),
      name_(std::move(name)),
      environment_(environment),
      events_(listener == nullptr
                  ? nullptr
                  : std::make_shared<EventQueue>(*listener, environment)),
      since_(environment.Now()),
      since_wall_(environment.WallNow()) {
  MutexLock lock(mutex_);
  const CompiledOptions* compiled =
      Install(std::make_unique<const CompiledOptions>(options));
  state_ =
      StateWord(InitialState(options), compiled->needs_slow_path(), false, 1)
          .bits();
}

BreakerImpl::~BreakerImpl() {
  manual_.Mute();
  if (events_ != nullptr) events_->Close();
}

// --- Admission ---

CircuitBreaker::Permit BreakerImpl::TryAcquire(MonotonicTime now) {
  const StateWord state = LoadState();
  const int64_t now_ns = Nanoseconds(now);
  if (ABSL_PREDICT_TRUE(state.plainly_closed())) {
    window_.AddIssued(ThreadSlot::Current());
    return Permit(this, state.bits(), now_ns);
  }
  if (state.plainly_open()) {
    const int64_t ends_ns = state_ends_ns_.load(std::memory_order_relaxed);
    // kNeverNs is of the state that followed: OPEN has been left meanwhile.
    if (now_ns < ends_ns && ends_ns != kNeverNs &&
        now_ns < next_rejection_event_ns_.load(std::memory_order_relaxed)) {
      window_.AddRejected(ThreadSlot::Current());
      return Permit(RejectionReason::kOpen, BreakerState::kOpen,
                    ends_ns - now_ns);
    }
  }
  return TryAcquireSlow(now_ns);
}

CircuitBreaker::Permit BreakerImpl::TryAcquireSlow(int64_t now_ns) {
  const ThreadSlot slot = ThreadSlot::Current();
  Permit permit;
  StateWord state = LoadState();
  const CompiledOptions* compiled;
  Admission admission;
  do {
    state = ApplyDueTransitions(now_ns);
    // After the state, so that the options are not older than the generation.
    compiled = &this->compiled();
    admission = Admit(*compiled, state, now_ns, permit);
  } while (admission.verdict == Verdict::kTryAgain);
  if (admission.verdict == Verdict::kRefused && state.shadow()) {
    Increment(totals_.would_have_rejected);
    admission.verdict = Verdict::kAdmittedUncounted;
    if (compiled->options.max_concurrent_calls > 0) {
      bulkhead_.EnterBeyond();
      permit.ticket_.beyond_bulkhead = true;
    }
  }
  if (admission.verdict == Verdict::kRefused) {
    permit.ticket_.time_ns = admission.retry_after_ns;
    permit.ticket_.reason = admission.reason;
    permit.ticket_.refused_in = state.shown();
    window_.AddRejected(slot);
    NotifyRejections(admission.reason, now_ns);
  } else {
    permit.breaker_ = this;
    permit.ticket_.issued_in = state.bits();
    permit.ticket_.time_ns = now_ns;
    permit.ticket_.admitted = true;
    permit.ticket_.uncounted = admission.verdict == Verdict::kAdmittedUncounted;
    window_.AddIssued(slot);
  }
  DeliverEvents();
  return permit;
}

StateWord BreakerImpl::ApplyDueTransitions(int64_t now_ns) {
  for (;;) {
    const StateWord state = LoadState();
    if (state.manual() && now_ns >= manual_.ends_ns()) {
      EndManual(state, now_ns);
    } else if (now_ns < state_ends_ns_.load(std::memory_order_relaxed)) {
      return state;
    } else if (state.state() == BreakerState::kOpen) {
      Change(state, BreakerState::kHalfOpen,
             Cause::Of(Cause::Kind::kOpenDurationOver), now_ns);
    } else if (state.state() == BreakerState::kHalfOpen) {
      Change(state, BreakerState::kOpen, Cause::Of(Cause::Kind::kNoDecision),
             now_ns);
    } else {
      EndRamp(state);
    }
  }
}

BreakerImpl::Admission BreakerImpl::Admit(const CompiledOptions& compiled,
                                          StateWord state, int64_t now_ns,
                                          Permit& permit) {
  Admission admission;
  switch (state.state()) {
    case BreakerState::kForcedClosed:
    case BreakerState::kMetricsOnly:  // Is a flag, never a state.
      admission = {Verdict::kAdmittedUncounted};
      break;
    case BreakerState::kForcedOpen: {
      const int64_t ends_ns = manual_.ends_ns();
      // Without an end, callers try again at the pace of an OPEN breaker.
      return Refused(RejectionReason::kForcedOpen,
                     ends_ns == kNeverNs ? absl::ToInt64Nanoseconds(
                                               compiled.options.open_duration)
                                         : ends_ns - now_ns);
    }
    case BreakerState::kOpen: {
      const int64_t ends_ns = state_ends_ns_.load(std::memory_order_relaxed);
      // As in TryAcquire.
      if (ends_ns == kNeverNs) return {Verdict::kTryAgain};
      return Refused(RejectionReason::kOpen, ends_ns - now_ns);
    }
    case BreakerState::kHalfOpen:
      admission = AdmitProbe(compiled, state, now_ns, permit);
      break;
    case BreakerState::kClosed:
      admission = AdmitClosed(compiled, state, now_ns);
      break;
  }
  const bool admitted = admission.verdict == Verdict::kAdmitted ||
                        admission.verdict == Verdict::kAdmittedUncounted;
  if (admitted && compiled.options.max_concurrent_calls > 0) {
    permit.ticket_.in_bulkhead =
        bulkhead_.TryEnter(compiled.options.max_concurrent_calls,
                           /*count_beyond=*/!state.shadow());
    if (!permit.ticket_.in_bulkhead) {
      if (state.state() == BreakerState::kHalfOpen) {
        gate_.Return(state.generation(), permit.ticket_.probe_id);
      }
      return Refused(RejectionReason::kBulkhead);
    }
  }
  return admission;
}

BreakerImpl::Admission BreakerImpl::Refused(RejectionReason reason,
                                            int64_t retry_after_ns) {
  return {Verdict::kRefused, reason, std::max<int64_t>(retry_after_ns, 0)};
}

BreakerImpl::Admission BreakerImpl::AdmitProbe(const CompiledOptions& compiled,
                                               StateWord state, int64_t now_ns,
                                               Permit& permit) {
  switch (gate_.TryIssue(state.generation(), compiled.probes, now_ns,
                         &permit.ticket_.probe_id)) {
    case ProbeGate::Issued::kYes:
      return {Verdict::kAdmitted};
    case ProbeGate::Issued::kFull:
      // A probe that was reported by former options may have been the last that
      // these ones await.
      if (FollowDecision(state,
                         gate_.Judge(state.generation(), compiled.probes),
                         now_ns, std::nullopt)) {
        break;
      }
      return Refused(RejectionReason::kHalfOpenLimit);
    case ProbeGate::Issued::kOtherGeneration:
      break;
  }
  return {Verdict::kTryAgain};
}

BreakerImpl::Admission BreakerImpl::AdmitClosed(const CompiledOptions& compiled,
                                                StateWord state,
                                                int64_t now_ns) {
  const double ramp_share = RampShare(
      compiled, ramp_began_ns_.load(std::memory_order_relaxed), now_ns);
  if (ramp_share < 1 && environment_.Uniform() >= ramp_share) {
    return Refused(RejectionReason::kRamp);
  }
  if (compiled.options.throttle_k > 0) {
    const uint64_t epoch = compiled.window.Epoch(now_ns, state.generation());
    const double probability = ThrottleProbability(compiled, window_, epoch);
    if (probability > 0 && environment_.Uniform() < probability) {
      window_.AddShed(epoch);
      return Refused(RejectionReason::kThrottled);
    }
  }
  return {Verdict::kAdmitted};
}

void BreakerImpl::NotifyRejections(RejectionReason reason, int64_t now_ns) {
  if (now_ns < next_rejection_event_ns_.load(std::memory_order_relaxed)) return;
  MutexLock lock(mutex_);
  if (now_ns < next_rejection_event_ns_.load(std::memory_order_relaxed)) return;
  next_rejection_event_ns_.store(
      now_ns + compiled().rejection_event_interval_ns,
      std::memory_order_relaxed);
  const uint64_t rejected = window_.total_rejected();
  if (events_ != nullptr) {
    events_->Push(BreakerRejections{name_, "", reason,
                                    rejected - rejections_notified_,
                                    AtNanoseconds(now_ns), absl::Time()});
  }
  rejections_notified_ = rejected;
}

// --- Outcomes ---

void BreakerImpl::Finish(const Permit::Ticket& ticket, Outcome outcome,
                         MonotonicTime now, const FailureDetails* details) {
  const StateWord issued_in(ticket.issued_in);
  const int64_t now_ns = Nanoseconds(now);
  if (ABSL_PREDICT_TRUE(outcome == Outcome::kSuccess &&
                        issued_in.plainly_closed() &&
                        issued_in == LoadState() && run_.quiet())) {
    const CompiledOptions& compiled = this->compiled();
    if (ABSL_PREDICT_TRUE(now_ns - ticket.time_ns < compiled.slow_call_ns)) {
      if (!window_.AddSuccess(
              ThreadSlot::Current(),
              compiled.window.Epoch(now_ns, issued_in.generation()))) {
        Increment(totals_.stale);
      }
      return;
    }
  }
  FinishSlow(ticket, outcome, now_ns, details);
}

void BreakerImpl::FinishSlow(const Permit::Ticket& ticket, Outcome outcome,
                             int64_t now_ns, const FailureDetails* details) {
  LeaveBulkhead(ticket);
  if (ticket.uncounted || outcome == Outcome::kIgnored) {
    if (ticket.counted) return;
    ReturnProbe(ticket);
    Increment(totals_.ignored);
    return;
  }
  FinishCall(ticket,
             {outcome == Outcome::kFailure, now_ns,
              ticket.answered ? ticket.time_ns : now_ns - ticket.time_ns,
              details != nullptr ? *details : FailureDetails()});
}

void BreakerImpl::FinishCall(const Permit::Ticket& ticket, const Call& call) {
  const StateWord state = LoadState();
  if (state.generation() != StateWord(ticket.issued_in).generation()) {
    Increment(totals_.stale);
    return;
  }
  const CompiledOptions& compiled = this->compiled();
  if (state.state() == BreakerState::kHalfOpen) {
    FinishProbe(compiled, state, ticket.probe_id, call);
  } else {
    FinishCounted(compiled, state, call);
  }
  DeliverEvents();
}

void BreakerImpl::NoteResponse(Permit::Ticket& ticket, MonotonicTime now) {
  const StateWord issued_in(ticket.issued_in);
  const int64_t now_ns = Nanoseconds(now);
  ticket.answered = true;
  ticket.time_ns = now_ns - ticket.time_ns;
  // The short way of Finish() does not look at what was noted.
  ticket.issued_in = issued_in.WithSlowPath().bits();
  if (issued_in.state() != BreakerState::kHalfOpen || ticket.uncounted) return;
  ticket.uncounted = ticket.counted = true;
  FinishCall(ticket, {/*failed=*/false, now_ns, ticket.time_ns, {}});
}

void BreakerImpl::Return(const Permit::Ticket& ticket) {
  LeaveBulkhead(ticket);
  if (ticket.counted) return;
  ReturnProbe(ticket);
  Increment(totals_.returned);
}

void BreakerImpl::LeaveBulkhead(const Permit::Ticket& ticket) {
  if (ticket.in_bulkhead) {
    bulkhead_.Leave();
  } else if (ABSL_PREDICT_FALSE(ticket.beyond_bulkhead)) {
    bulkhead_.LeaveBeyond();
  }
}

void BreakerImpl::ReturnProbe(const Permit::Ticket& ticket) {
  const StateWord issued_in(ticket.issued_in);
  if (issued_in.state() == BreakerState::kHalfOpen && !ticket.uncounted &&
      LoadState().generation() == issued_in.generation()) {
    gate_.Return(issued_in.generation(), ticket.probe_id);
  }
}

void BreakerImpl::FinishProbe(const CompiledOptions& compiled, StateWord state,
                              uint32_t probe_id, const Call& call) {
  const bool slow = call.took_ns >= compiled.slow_call_ns;
  const bool failed = call.failed || (slow && compiled.options.slow_rate > 0);
  const ProbeGate::Reported reported =
      gate_.Report(state.generation(), probe_id, !failed, compiled.probes);
  if (reported == ProbeGate::Reported::kDropped) {
    Increment(totals_.stale);
    return;
  }
  Increment(call.failed ? totals_.failures : totals_.probe_successes);
  if (slow) NotifySlowCall(call);
  FollowDecision(state, reported, call.now_ns, call.details.server_delay);
}

// False if there is none.
bool BreakerImpl::FollowDecision(StateWord state, ProbeGate::Reported reported,
                                 int64_t now_ns,
                                 std::optional<absl::Duration> server_delay) {
  if (reported == ProbeGate::Reported::kDecidedToClose) {
    Change(state, BreakerState::kClosed,
           Cause::Of(Cause::Kind::kProbesSucceeded, gate_.Load().succeeded),
           now_ns);
    return true;
  }
  if (reported == ProbeGate::Reported::kDecidedToOpen) {
    Change(state, BreakerState::kOpen,
           Cause::Of(Cause::Kind::kProbesFailed, gate_.Load().failed), now_ns,
           server_delay);
    return true;
  }
  return false;
}

void BreakerImpl::FinishCounted(const CompiledOptions& compiled,
                                StateWord state, const Call& call) {
  const uint64_t generation = state.generation();
  const uint64_t epoch = compiled.window.Epoch(call.now_ns, generation);
  const bool critical =
      call.failed && call.details.severity == ErrorSeverity::kCritical;
  const uint32_t weight = critical ? compiled.options.critical_weight : 1;
  const bool counted = call.failed
                           ? window_.AddFailures(epoch, weight)
                           : window_.AddSuccess(ThreadSlot::Current(), epoch);
  if (!counted) {
    Increment(totals_.stale);
    return;
  }
  const bool slow = call.took_ns >= compiled.slow_call_ns;
  if (slow) {
    window_.AddSlow(epoch);
    NotifySlowCall(call);
  }

  std::optional<Trip> trip;
  bool rates_may_have_crossed = slow;
  if (call.failed) {
    Increment(totals_.failures);
    const uint32_t run = run_.AddFailures(generation, weight);
    const uint32_t failed_of_last =
        compiled.last_calls ? compiled.last_calls->Add(true, weight) : 0;
    trip = CheckSequence(compiled.options, critical, run, failed_of_last);
    rates_may_have_crossed = true;
  } else {
    if (compiled.last_calls) compiled.last_calls->Add(false);
    rates_may_have_crossed |= run_.AddSuccess(generation);
  }
  if (!trip && rates_may_have_crossed) {
    trip = CheckRatesNow(compiled, generation, epoch);
  }
  if (trip) {
    Change(state, BreakerState::kOpen, Cause::OfRule(*trip), call.now_ns,
           call.details.server_delay);
  }
}

std::optional<Trip> BreakerImpl::CheckRatesNow(const CompiledOptions& compiled,
                                               uint64_t generation,
                                               uint64_t epoch) {
  RateVerdict verdict;
  if (RatesArePossible(compiled.options, window_.Failures(epoch),
                       window_.Slow(epoch))) {
    verdict = CheckRates(compiled.options, window_.Counts(epoch));
  }
  run_.SetRateWaits(generation, verdict.waits);
  return verdict.trip;
}

void BreakerImpl::NotifySlowCall(const Call& call) {
  if (events_ == nullptr) return;
  events_->Push(BreakerSlowCall{name_, "", absl::Nanoseconds(call.took_ns),
                                call.failed, AtNanoseconds(call.now_ns)});
}

// --- Changes of state ---

BreakerImpl::Moment BreakerImpl::ReadMoment(BreakerState to,
                                            int64_t now_ns) const {
  const bool jitter =
      to == BreakerState::kOpen && compiled().options.open_jitter > 0;
  return {now_ns, environment_.WallNow(), jitter ? environment_.Uniform() : 0};
}

void BreakerImpl::Change(StateWord from, BreakerState to, const Cause& cause,
                         int64_t now_ns,
                         std::optional<absl::Duration> server_delay) {
  const Moment moment = ReadMoment(to, now_ns);
  MutexLock lock(mutex_);
  if (LoadState().generation() != from.generation()) return;
  Enter(to, from.shadow(), cause, moment, server_delay);
}

bool BreakerImpl::ProbeEarly(MonotonicTime now) {
  const int64_t now_ns = Nanoseconds(now);
  const Moment moment = ReadMoment(BreakerState::kHalfOpen, now_ns);
  {
    MutexLock lock(mutex_);
    const StateWord state = LoadState();
    if (state.state() != BreakerState::kOpen || probed_early_) return false;
    probed_early_ = true;
    Enter(BreakerState::kHalfOpen, state.shadow(),
          Cause::Of(Cause::Kind::kProbedEarly), moment);
  }
  DeliverEvents();
  return true;
}

// Not a change of state: what was counted and who is under way stay.
void BreakerImpl::EndRamp(StateWord from) {
  MutexLock lock(mutex_);
  if (!(LoadState() == from)) return;
  ramp_began_ns_.store(kNeverNs, std::memory_order_relaxed);
  state_ends_ns_.store(kNeverNs, std::memory_order_relaxed);
  StoreState(from.state(), from.shadow(), from.generation());
}

void BreakerImpl::Enter(BreakerState to, bool shadow, const Cause& cause,
                        Moment moment,
                        std::optional<absl::Duration> server_delay) {
  // Threads read their clocks before they take the lock, hence in any order.
  if (moment.now_ns < entered_ns_) {
    moment.now_ns = entered_ns_;
    moment.wall = std::max(moment.wall, since_wall_);
  }
  entered_ns_ = moment.now_ns;
  const StateWord from = LoadState();
  const uint64_t generation = from.generation() + 1;
  const CompiledOptions& compiled = this->compiled();
  counts_at_change_ = CountsIn(from, compiled, window_, gate_,
                               counts_at_change_, moment.now_ns);

  int64_t ends_ns = kNeverNs;
  int64_t ramp_began_ns = kNeverNs;
  switch (to) {
    case BreakerState::kOpen:
      ends_ns = AddSaturated(
          moment.now_ns,
          absl::ToInt64Nanoseconds(OpenDuration(compiled.options, opened_++,
                                                moment.uniform, server_delay)));
      break;
    case BreakerState::kHalfOpen:
      ends_ns = AddSaturated(moment.now_ns, compiled.half_open_max_wait_ns);
      gate_.Begin(generation, moment.now_ns);
      break;
    default:
      opened_ = 0;
      probed_early_ = false;
      if (from.state() == BreakerState::kHalfOpen &&
          !compiled.options.ramp.empty()) {
        ramp_began_ns = moment.now_ns;
        ends_ns = moment.now_ns + compiled.ramp_ns();
      }
  }
  if (compiled.last_calls) compiled.last_calls->Clear();

  state_ends_ns_.store(ends_ns, std::memory_order_relaxed);
  ramp_began_ns_.store(ramp_began_ns, std::memory_order_relaxed);
  StoreState(to, shadow, generation);
  NotifyTransition(from, LoadState(), cause, moment);
}

void BreakerImpl::NotifyTransition(StateWord from, StateWord to,
                                   const Cause& cause, const Moment& moment) {
  const MonotonicTime at = AtNanoseconds(moment.now_ns);
  if (cause.kind == Cause::Kind::kRule && events_ != nullptr) {
    events_->Push(
        BreakerThreshold{name_, "", cause.rule, counts_at_change_, at});
  }
  // Not so for a move in the shadow, a reset of a CLOSED breaker, and a manual
  // state that is set anew.
  const bool changed = from.shown() != to.shown();
  if (changed || cause.by_hand()) {
    log_.Add(from.shown(), to.shown(), cause, counts_at_change_, at,
             moment.wall);
  }
  if (!changed) return;
  transitions_.Add(from.shown(), to.shown());
  since_ = at;
  since_wall_ = moment.wall;
  if (events_ != nullptr) events_->Push(log_.Last(name_));
}

// Makes all that was stored before visible to whoever loads the state.
void BreakerImpl::StoreState(BreakerState state, bool shadow,
                             uint64_t generation) {
  const bool needs_slow_path =
      compiled().needs_slow_path() ||
      ramp_began_ns_.load(std::memory_order_relaxed) != kNeverNs;
  state_.store(StateWord(state, needs_slow_path, shadow, generation).bits(),
               std::memory_order_release);
}

}  // namespace grpc_breaker::internal
