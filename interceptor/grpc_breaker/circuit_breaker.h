#ifndef GRPC_BREAKER_CIRCUIT_BREAKER_H_
#define GRPC_BREAKER_CIRCUIT_BREAKER_H_

// A circuit breaker: ask for a permit before an attempt, record the outcome on
// the permit afterwards.
//
//   CircuitBreaker::Permit permit = breaker->TryAcquire(env.Now());
//   if (!permit.admitted()) return Reject(permit.rejection());
//   ... the attempt ...
//   permit.Record(Outcome::kFailure, env.Now());
//
// or, for a function that returns a status:
//
//   absl::Status status = breaker->Execute([&] { return Fetch(url); });
//
// A permit that is destroyed unrecorded gives its place back and counts as
// nothing. A permit carries the generation of the breaker that issued it; an
// outcome that arrives after the breaker has changed state since is dropped.
//
// Lifetime: the breaker outlives its permits.
//
// Thread-safe: every method of CircuitBreaker. Permit and the value types are
// Thread-compatible; a permit may be recorded on another thread than the one
// that acquired it.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/breaker_options.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/status_traits.h"

namespace grpc_breaker {

class BreakerImpl;

struct BreakerSnapshot {
  BreakerState state = BreakerState::kClosed;
  MonotonicTime since;
  absl::Time since_wall;
  WindowCounts counts;
  int consecutive_failures = 0;
  int permits_in_use = 0;        // HALF_OPEN only.
  absl::Duration next_probe_in;  // OPEN only; >= 0.
  uint64_t rejections = 0;       // Since construction.
  uint64_t transitions = 0;      // Since construction.
};

class CircuitBreaker {
 public:
  // What may be known of a failure beyond that it is one.
  struct FailureDetails {
    ErrorSeverity severity = ErrorSeverity::kNone;
    // How long the server asked to be left alone: a pushback, a RetryInfo.
    std::optional<absl::Duration> server_delay;
  };

  // Leave for one attempt, or the reason why there is none. Move-only.
  class Permit {
   public:
    Permit() = default;  // Refused, with a default Rejection.
    Permit(Permit&& other) noexcept
        : breaker_(std::exchange(other.breaker_, nullptr)),
          generation_(other.generation_),
          time_ns_(other.time_ns_),
          token_(other.token_),
          rejection_(other.rejection_),
          rejected_in_(other.rejected_in_),
          admitted_(other.admitted_) {}
    Permit& operator=(Permit&& other) noexcept;
    ~Permit() {  // Gives an unrecorded permit back.
      if (breaker_ != nullptr) breaker_->GiveBack(*this);
    }

    bool admitted() const { return admitted_; }
    // Only if not admitted().
    Rejection rejection() const;

    // Only if admitted(); counts the first time only. `now` is the
    // environment's clock.
    void Record(Outcome outcome, MonotonicTime now) {
      Record(outcome, now, FailureDetails());
    }
    void Record(Outcome outcome, MonotonicTime now,
                const FailureDetails& details);

   private:
    friend class BreakerImpl;

    CircuitBreaker* breaker_ = nullptr;  // Null once recorded, and if refused.
    uint64_t generation_ = 0;
    int64_t time_ns_ = 0;  // When acquired; if refused, the retry-after.
    uint32_t token_ = 0;
    RejectionReason rejection_ = RejectionReason::kOpen;
    BreakerState rejected_in_ = BreakerState::kOpen;
    bool admitted_ = false;
  };

  // Fails with InvalidArgument if `options` is not valid. `listener` may be
  // null; it and `environment` outlive the breaker.
  static absl::StatusOr<std::unique_ptr<CircuitBreaker>> Create(
      std::string name, const BreakerOptions& options,
      Environment& environment = Environment::Default(),
      BreakerListener* listener = nullptr);

  CircuitBreaker(const CircuitBreaker&) = delete;
  CircuitBreaker& operator=(const CircuitBreaker&) = delete;
  virtual ~CircuitBreaker() = default;

  // Never blocks. `now` is the environment's clock, read by the caller.
  virtual Permit TryAcquire(MonotonicTime now) = 0;

  virtual BreakerSnapshot Snapshot(MonotonicTime now) const = 0;

  virtual const std::string& name() const = 0;

  // Calls `function` if the breaker admits it, records what it returns by the
  // status table, and returns that; else returns RejectionStatus(). The
  // function's result is of a type that StatusTraits knows.
  template <typename Function>
  std::invoke_result_t<Function> Execute(Function&& function);

 protected:
  CircuitBreaker() = default;

  virtual void Finish(Permit& permit, Outcome outcome, MonotonicTime now,
                      const FailureDetails& details) = 0;
  virtual void GiveBack(Permit& permit) = 0;
  virtual Environment& environment() const = 0;
};

template <typename Function>
std::invoke_result_t<Function> CircuitBreaker::Execute(Function&& function) {
  using Traits = StatusTraits<std::invoke_result_t<Function>>;
  Permit permit = TryAcquire(environment().Now());
  if (!permit.admitted()) {
    return Traits::FromStatus(RejectionStatus(name(), permit.rejection()));
  }
  auto result = std::forward<Function>(function)();
  const ErrorClass error = Traits::Classify(result);
  permit.Record(error.outcome, environment().Now(),
                {error.severity, error.retry_delay});
  return result;
}

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_CIRCUIT_BREAKER_H_
