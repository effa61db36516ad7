#include "grpc_breaker/internal/call_timeout.h"

namespace grpc_breaker {
namespace internal {

CallTimeout::CallTimeout(absl::Duration timeout, grpc::ClientContext* context,
                         Environment& environment)
    : environment_(environment),
      state_(std::make_shared<State>()),
      timer_(environment.RunAt(
          TimeAfter(environment.Now(), timeout), [state = state_, context] {
            state->expired.store(true, std::memory_order_relaxed);
            context->TryCancel();
            state->cancelled.Notify();
          })) {}

CallTimeout::~CallTimeout() {
  if (!environment_.Cancel(timer_)) {
    state_->cancelled.WaitForNotification();
  }
}

}  // namespace internal
}  // namespace grpc_breaker
