#ifndef GRPC_BREAKER_TESTS_E2E_PROBE_LISTENER_H_
#define GRPC_BREAKER_TESTS_E2E_PROBE_LISTENER_H_

#include <functional>
#include <utility>

#include "grpc_breaker/breaker_events.h"

namespace grpc_breaker::e2e {

// Runs a function when a breaker begins to probe, where it does: on the thread
// of a call, or the library's for an early probe.
//
// Thread-safe if the function is.
class ProbeListener final : public BreakerListener {
 public:
  explicit ProbeListener(std::function<void()> function)
      : function_(std::move(function)) {}
  void OnTransition(const BreakerTransition& transition) override {
    if (transition.to == BreakerState::kHalfOpen) function_();
  }

 private:
  const std::function<void()> function_;
};

}  // namespace grpc_breaker::e2e

#endif  // GRPC_BREAKER_TESTS_E2E_PROBE_LISTENER_H_
