// The states of a circuit: CLOSED, OPEN, HALF_OPEN, and CLOSED again. A breaker
// by itself, without gRPC, guards anything. Callers may say what time it is;
// this one does, so as not to wait for the open duration.

#include <iostream>

#include "examples/support/check.h"
#include "grpc_breaker/circuit_breaker.h"

namespace {

using grpc_breaker::BreakerState;
using grpc_breaker::CircuitBreaker;
using grpc_breaker::MonotonicTime;
using grpc_breaker::Outcome;

void Expect(const CircuitBreaker& breaker, MonotonicTime now,
            BreakerState state) {
  std::cout << ToString(breaker.Snapshot(now).state) << "\n";
  shop::Check(breaker.Snapshot(now).state == state, ToString(state));
}

}  // namespace

int main() {
  grpc_breaker::BreakerOptions options;
  options.consecutive_failures = 3;
  options.open_duration = absl::Seconds(60);
  options.half_open_permits = 1;
  options.half_open_successes = 2;
  const auto breaker =
      shop::ValueOrExit(CircuitBreaker::Create("warehouse", options));
  MonotonicTime now = grpc_breaker::Environment::Default().Now();
  Expect(*breaker, now, BreakerState::kClosed);

  for (int i = 0; i < 3; ++i) {
    CircuitBreaker::Permit permit = breaker->TryAcquire(now);
    shop::Check(permit.admitted(), "a closed circuit lets calls through");
    permit.Record(Outcome::kFailure, now);
  }
  Expect(*breaker, now, BreakerState::kOpen);
  CircuitBreaker::Permit refused = breaker->TryAcquire(now);
  shop::Check(!refused.admitted(), "an open circuit lets nothing through");
  std::cout << "  next try in " << refused.rejection().retry_after << "\n";

  now += absl::ToChronoNanoseconds(options.open_duration);
  for (int i = 0; i < 2; ++i) {
    CircuitBreaker::Permit probe = breaker->TryAcquire(now);
    shop::Check(probe.admitted(), "after its open duration, probes pass");
    Expect(*breaker, now, BreakerState::kHalfOpen);
    shop::Check(!breaker->TryAcquire(now).admitted(), "one probe at a time");
    probe.Record(Outcome::kSuccess, now);
  }
  Expect(*breaker, now, BreakerState::kClosed);
}
