#ifndef GRPC_BREAKER_INTERNAL_CALL_TIMEOUT_H_
#define GRPC_BREAKER_INTERNAL_CALL_TIMEOUT_H_

// A time-out for a call that runs natively. gRPC fixes a call's deadline before
// interceptors see it, so the call is cancelled when its time is up.
//
// Thread-safe.

#include <atomic>
#include <memory>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "grpc_breaker/environment.h"
#include "grpcpp/client_context.h"

namespace grpc_breaker {
namespace internal {

class CallTimeout {
 public:
  // From now. Both outlive this object.
  CallTimeout(absl::Duration timeout, grpc::ClientContext* context,
              Environment& environment);
  // Waits for a cancellation that is under way.
  ~CallTimeout();
  CallTimeout(const CallTimeout&) = delete;
  CallTimeout& operator=(const CallTimeout&) = delete;

  bool expired() const {
    return state_->expired.load(std::memory_order_relaxed);
  }

 private:
  struct State {
    std::atomic<bool> expired{false};
    absl::Notification cancelled;
  };

  Environment& environment_;
  const std::shared_ptr<State> state_;
  const Environment::TimerId timer_;
};

}  // namespace internal
}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_INTERNAL_CALL_TIMEOUT_H_
