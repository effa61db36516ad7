#ifndef GRPC_BREAKER_CIRCUIT_BREAKER_H_
#define GRPC_BREAKER_CIRCUIT_BREAKER_H_

// A circuit breaker: ask for a permit before an attempt, record the outcome on
// the permit afterwards.
//
//   CircuitBreaker::Permit permit = breaker->TryAcquire();
//   if (!permit.admitted()) return Reject(permit.rejection());
//   ... the attempt ...
//   permit.Record(Outcome::kFailure);
//
// or, for a function that returns a status:
//
//   absl::Status status = breaker->Execute([&] { return Fetch(url); });
//
// Lifetime: the breaker outlives its permits.
//
// Thread-safe: every method of CircuitBreaker. Permit and the value types are
// Thread-compatible; a permit may be recorded on another thread than the one
// that acquired it.
//
// Memory order: acquiring a permit and recording it synchronise nothing but the
// breaker's own state.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/breaker_options.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/status_traits.h"

namespace grpc_breaker {

namespace internal {
class BreakerImpl;
}  // namespace internal

// A state that somebody sets by hand, which overrides the rules.
struct ManualState {
  // FORCED_OPEN, FORCED_CLOSED or METRICS_ONLY.
  BreakerState state = BreakerState::kForcedOpen;
  // For people; at most 256 bytes each.
  std::string reason;
  std::string actor;
  // >= 1 ms. Afterwards the breaker returns to CLOSED by itself, whether it is
  // called or not.
  absl::Duration time_to_live = absl::InfiniteDuration();
};

// Where all permits went, since construction. At rest,
//   issued = successes + failures + ignored + stale + returned + still held.
struct PermitTotals {
  uint64_t issued = 0;
  uint64_t successes = 0;  // Recorded, or noted by a probe, and counted.
  uint64_t failures = 0;   // Recorded and counted; each as one.
  uint64_t ignored = 0;    // Recorded, but not to be counted.
  uint64_t stale = 0;      // Recorded too late.
  uint64_t returned = 0;   // Destroyed unrecorded.
};

struct BreakerSnapshot {
  BreakerState state = BreakerState::kClosed;
  MonotonicTime since;
  absl::Time since_wall;
  // CLOSED: of the window. HALF_OPEN: of the probes. Otherwise those at the
  // last change of state.
  WindowCounts counts;
  int consecutive_failures = 0;
  int permits_in_use = 0;        // HALF_OPEN only.
  absl::Duration next_probe_in;  // OPEN only; >= 0.
  uint64_t rejections = 0;       // Since construction.
  uint64_t transitions = 0;      // Since construction.

  // Only with max_concurrent_calls.
  int64_t calls_under_way = 0;
  // The share of calls that the ramp admits; 1 without.
  double ramp_share = 1;
  // The probability with which the throttle refuses a call; 0 without.
  double throttle_probability = 0;

  // The manual state, if one is set; time_to_live is what is left of it.
  std::optional<ManualState> manual;
  // METRICS_ONLY: the state that the breaker would have.
  BreakerState shadow_state = BreakerState::kClosed;
  // Since construction: calls that METRICS_ONLY let pass and that would have
  // been refused.
  uint64_t would_have_rejected = 0;

  // Since construction: events that the listener did not get, because too many
  // waited for it, and those at which it threw.
  uint64_t events_dropped = 0;
  uint64_t events_failed = 0;

  PermitTotals permits;
};

// What monitoring reads of a breaker: see CircuitBreaker::Counts.
struct BreakerCounts {
  BreakerState state = BreakerState::kClosed;
  // Since construction: changes of state. Index: the state that was left, then
  // the one that was entered.
  std::array<std::array<uint64_t, kBreakerStates>, kBreakerStates>
      transitions{};
  // As in BreakerSnapshot.
  uint64_t would_have_rejected = 0;
  uint64_t events_dropped = 0;
  uint64_t events_failed = 0;
};

// `now` is always a reading of the environment's clock, and never negative; a
// coarse one will do. What takes it has an overload without it, which reads
// that clock itself: the former is for callers who have read it already.
//
// There is no thread behind a breaker: what is due by time happens when the
// next call asks for a permit. Only the end of a manual state is a timer of the
// environment.
//
// Memory: at most 4 KiB per breaker with the default options, its history full,
// not counting its name, what manual states leave (their texts and 288 bytes of
// counts) and, with a listener, up to 200 bytes and the events that wait. Most
// of it are the counters, which are spread over shards so that threads do not
// wait for each other. A lock is taken only for changes of state or options,
// for events and by Snapshot.
class GRPC_BREAKER_EXPORT CircuitBreaker {
 public:
  // What may be known of a failure beyond that it is one.
  struct FailureDetails {
    ErrorSeverity severity = ErrorSeverity::kNone;
    // How long the server asked to be left alone: a pushback, a RetryInfo.
    std::optional<absl::Duration> server_delay;
  };

  // The permission to make one attempt, or the reason why it is refused.
  // Move-only. Destroyed unrecorded, it gives its place back and counts as
  // nothing.
  //
  // An outcome that is recorded after the breaker has changed its state is
  // dropped. Those of probes count however late, as long as HALF_OPEN lasts.
  class Permit {
   public:
    Permit() = default;  // Refused, with a default Rejection.
    Permit(Permit&& other) noexcept
        : breaker_(std::exchange(other.breaker_, nullptr)),
          ticket_(other.ticket_) {}
    Permit& operator=(Permit&& other) noexcept {
      std::swap(breaker_, other.breaker_);
      std::swap(ticket_, other.ticket_);
      other.GiveBack();
      return *this;
    }
    ~Permit() { GiveBack(); }

    bool admitted() const { return ticket_.admitted; }
    // Only if not admitted().
    Rejection rejection() const;

    // Only if admitted(); counts the first time only.
    void Record(Outcome outcome, MonotonicTime now,
                const FailureDetails& details) {
      Record(outcome, now, &details);
    }
    void Record(Outcome outcome, MonotonicTime now) {
      Record(outcome, now, nullptr);
    }
    void Record(Outcome outcome, const FailureDetails& details) {
      if (breaker_ != nullptr) Record(outcome, breaker_->Now(), &details);
    }
    void Record(Outcome outcome) {
      if (breaker_ != nullptr) Record(outcome, breaker_->Now(), nullptr);
    }

    // The server has begun to answer: for calls that may go on for long after
    // that, such as streams. Counts the first time only, before Record. For
    // slow_call, the time that the call takes ends here. A probe of HALF_OPEN
    // succeeds by it, if it is not slow, and what is recorded later is dropped.
    void NoteResponse(MonotonicTime now) {
      if (breaker_ != nullptr && !ticket_.answered) {
        breaker_->NoteResponse(ticket_, now);
      }
    }
    void NoteResponse() {
      if (breaker_ != nullptr) NoteResponse(breaker_->Now());
    }

   private:
    friend class CircuitBreaker;
    friend class internal::BreakerImpl;

    // What the breaker has to know when the permit is recorded or returned.
    struct Ticket {
      uint64_t issued_in = 0;  // The breaker's state and generation.
      // When acquired; once answered, how long that took; if refused, the
      // retry-after.
      int64_t time_ns = 0;
      uint32_t probe_id = 0;
      RejectionReason reason = RejectionReason::kOpen;
      BreakerState refused_in = BreakerState::kOpen;
      bool admitted = false;
      bool uncounted = false;
      bool in_bulkhead = false;
      bool beyond_bulkhead = false;
      bool answered = false;  // The response was noted, ...
      bool counted = false;   // ... and counted already, as a probe's outcome.
    };

    // Admitted by the short way: no probe, and in no bulkhead.
    Permit(CircuitBreaker* breaker, uint64_t issued_in, int64_t time_ns)
        : breaker_(breaker) {
      ticket_.issued_in = issued_in;
      ticket_.time_ns = time_ns;
      ticket_.admitted = true;
    }

    Permit(RejectionReason reason, BreakerState state, int64_t retry_after_ns) {
      ticket_.time_ns = retry_after_ns;
      ticket_.reason = reason;
      ticket_.refused_in = state;
    }

    void Record(Outcome outcome, MonotonicTime now,
                const FailureDetails* details) {
      if (breaker_ == nullptr) return;
      std::exchange(breaker_, nullptr)->Finish(ticket_, outcome, now, details);
    }
    void GiveBack() {
      if (breaker_ != nullptr)
        std::exchange(breaker_, nullptr)->Return(ticket_);
    }

    CircuitBreaker* breaker_ = nullptr;  // Null once recorded, and if refused.
    Ticket ticket_;
  };

  // Fails with InvalidArgument if `options` is not valid. `listener` may be
  // null; it outlives the breaker, and `environment` outlives all use of it but
  // its destruction.
  static absl::StatusOr<std::unique_ptr<CircuitBreaker>> Create(
      std::string name, const BreakerOptions& options,
      Environment& environment = Environment::Default(),
      BreakerListener* listener = nullptr);

  CircuitBreaker(const CircuitBreaker&) = delete;
  CircuitBreaker& operator=(const CircuitBreaker&) = delete;
  // Drops the events that wait, and waits for one that another thread is
  // delivering.
  virtual ~CircuitBreaker() = default;

  // Never blocks on other calls.
  virtual Permit TryAcquire(MonotonicTime now) = 0;
  Permit TryAcquire() { return TryAcquire(Now()); }

  // Ends OPEN now, so that the next call is a probe: for who learns that what
  // made calls fail is over. Once until the breaker has been CLOSED, for such a
  // sign may be wrong again and again. False if that was used up, or if the
  // breaker is not OPEN.
  virtual bool ProbeEarly(MonotonicTime now) = 0;
  bool ProbeEarly() { return ProbeEarly(Now()); }

  // A manual state whose time is over is shown as over, even in the moment
  // until the timer comes.
  virtual BreakerSnapshot Snapshot(MonotonicTime now) const = 0;
  BreakerSnapshot Snapshot() const { return Snapshot(Now()); }

  // For who looks at many breakers often: takes no lock, and reads no clock and
  // nothing else of the environment. Each value is right, though they may be of
  // slightly different moments, and none of the counts ever goes down. A manual
  // state whose time is over is shown until its timer has come.
  virtual BreakerCounts Counts() const = 0;

  // The last 32 changes of state, the oldest first. Among them is what was done
  // by hand and left the state as it was, and notes: `from` and `to` are equal
  // there.
  virtual std::vector<BreakerTransition> History() const = 0;

  // Returns the breaker as the change has left it, before anything else has
  // happened to it. Fails with InvalidArgument, naming the field. Replaces an
  // earlier manual state; no event comes of it if that is the same but for
  // reason, actor and time. Every manual state starts with an empty window and
  // ends with one.
  virtual absl::StatusOr<BreakerSnapshot> SetManualState(ManualState manual,
                                                         MonotonicTime now) = 0;
  absl::StatusOr<BreakerSnapshot> SetManualState(ManualState manual) {
    return SetManualState(std::move(manual), Now());
  }

  // Ends a manual state and anything else: CLOSED, with an empty window. The
  // totals and the history stay. Texts are cut at 256 bytes. No event comes of
  // it if the breaker is CLOSED already. Returns what SetManualState does.
  virtual BreakerSnapshot Reset(std::string reason, std::string actor,
                                MonotonicTime now) = 0;
  BreakerSnapshot Reset(std::string reason, std::string actor) {
    return Reset(std::move(reason), std::move(actor), Now());
  }

  // Adds a line to the History(), for people: what was done by hand that leaves
  // the state as it is, such as to change a policy. Cut at 600 bytes.
  virtual void Note(std::string text, MonotonicTime now) = 0;

  // Changes the options of a live breaker; fails with InvalidArgument if they
  // are not valid.
  //  - The state, a manual state, probes and the open duration under way stay,
  //    but the outcomes of probes are judged by the new options at once.
  //  - The window and the run of failures stay unless `window` changes. Then
  //    they start empty, and the outcomes of calls under way are dropped.
  //  - The last calls stay unless `last_calls` changes; then they start empty.
  //  - `enabled` moves a breaker to or from FORCED_CLOSED.
  //  - Calls under way that began without `max_concurrent_calls` do not count
  //    for a new one.
  //
  // Calls may still be reading the former options, so a breaker keeps them,
  // some half a KiB each, until it is destroyed.
  virtual absl::Status Reconfigure(const BreakerOptions& options,
                                   MonotonicTime now) = 0;
  absl::Status Reconfigure(const BreakerOptions& options) {
    return Reconfigure(options, Now());
  }

  // The options in force.
  virtual BreakerOptions options() const = 0;

  virtual const std::string& name() const = 0;

  // Calls `function` if the breaker admits it, records what it returns by the
  // status table, and returns that; else returns RejectionStatus(). The
  // function's result is of a type that StatusTraits knows.
  //
  // If it throws, the permit is recorded as a failure of severity HIGH, as the
  // status UNKNOWN is, and the exception goes on to the caller unchanged.
  template <typename Function>
  std::invoke_result_t<Function> Execute(Function&& function);

 protected:
  CircuitBreaker() = default;

  // What a permit does when it is recorded, and when it is destroyed before.
  // `details` may be null.
  virtual void Finish(const Permit::Ticket& ticket, Outcome outcome,
                      MonotonicTime now, const FailureDetails* details) = 0;
  virtual void NoteResponse(Permit::Ticket& ticket, MonotonicTime now) = 0;
  virtual void Return(const Permit::Ticket& ticket) = 0;
  virtual Environment& environment() const = 0;

 private:
  MonotonicTime Now() const { return environment().Now(); }
};

template <typename Function>
std::invoke_result_t<Function> CircuitBreaker::Execute(Function&& function) {
  using Traits = StatusTraits<std::invoke_result_t<Function>>;
  Permit permit = TryAcquire();
  if (!permit.admitted()) {
    return Traits::FromStatus(RejectionStatus(name(), permit.rejection()));
  }
  // Without try and catch, for those who compile without exceptions.
  struct FailureIfThrown {
    ~FailureIfThrown() {
      permit.Record(Outcome::kFailure, {ErrorSeverity::kHigh, std::nullopt});
    }
    Permit& permit;
  } failure_if_thrown{permit};
  auto result = std::forward<Function>(function)();
  const ErrorClass error = Traits::Classify(result);
  permit.Record(error.outcome, {error.severity, error.retry_delay});
  return result;
}

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_CIRCUIT_BREAKER_H_
