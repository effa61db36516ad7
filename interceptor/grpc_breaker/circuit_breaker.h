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
// A permit that is destroyed unrecorded gives its place back and counts as
// nothing. A permit carries the generation of the breaker that issued it; an
// outcome that arrives after the breaker has changed state since is dropped.
//
// Lifetime: the breaker outlives its permits.
//
// Thread-safe: every method of CircuitBreaker. Permit and the value types are
// Thread-compatible.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpc_breaker/breaker_options.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/error_class.h"

namespace grpc_breaker {

enum class BreakerState { kClosed, kOpen, kHalfOpen };

enum class RejectionReason {
  kOpen,           // The breaker is OPEN.
  kHalfOpenLimit,  // HALF_OPEN, and all probes are under way.
};

struct Rejection {
  RejectionReason reason = RejectionReason::kOpen;
  BreakerState state = BreakerState::kOpen;
  // When it makes sense to ask again, from the time of asking; >= 0.
  absl::Duration retry_after;
};

// The counts of the window at one moment.
struct WindowCounts {
  int64_t successes = 0;
  int64_t failures = 0;
  int64_t calls() const { return successes + failures; }
  // In [0, 1]; 0 without calls.
  double failure_rate() const;
};

// One change of state, told to listeners exactly once and in order.
struct BreakerTransition {
  std::string breaker;  // The breaker's name.
  BreakerState from = BreakerState::kClosed;
  BreakerState to = BreakerState::kClosed;
  std::string cause;    // For people: "5 consecutive failures", ...
  WindowCounts counts;  // At the moment of the change.
  MonotonicTime at;
  absl::Time wall_time;
};

// Hears what breakers do. Called on the thread that caused the event, after all
// locks are released; must not block.
class BreakerListener {
 public:
  virtual ~BreakerListener() = default;
  virtual void OnTransition(const BreakerTransition& /*transition*/) {}
};

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
  // Leave for one attempt, or the reason why there is none. Move-only.
  class Permit {
   public:
    Permit() = default;  // Refused, with a default Rejection.
    Permit(Permit&& other) noexcept;
    Permit& operator=(Permit&& other) noexcept;
    ~Permit();  // Gives an unrecorded permit back.

    bool admitted() const;
    // Only if not admitted().
    const Rejection& rejection() const;

    // At most once, and only if admitted(); `now` is the environment's clock.
    void Record(Outcome outcome, MonotonicTime now);
  };

  // Fails with InvalidArgument if `options` is not valid. `listener` may be
  // null; it and `environment` outlive the breaker.
  static absl::StatusOr<std::unique_ptr<CircuitBreaker>> Create(
      std::string name, const BreakerOptions& options,
      Environment& environment = Environment::Default(),
      BreakerListener* listener = nullptr);

  CircuitBreaker(const CircuitBreaker&) = delete;
  CircuitBreaker& operator=(const CircuitBreaker&) = delete;
  ~CircuitBreaker();

  // Never blocks. `now` is the environment's clock, read by the caller.
  Permit TryAcquire(MonotonicTime now);

  BreakerSnapshot Snapshot(MonotonicTime now) const;

  const std::string& name() const;
};

// "CLOSED", "OPEN", "HALF_OPEN"; "OPEN", "HALF_OPEN_LIMIT".
absl::string_view ToString(BreakerState state);
absl::string_view ToString(RejectionReason reason);

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_CIRCUIT_BREAKER_H_
