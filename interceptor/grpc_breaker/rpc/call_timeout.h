#ifndef GRPC_BREAKER_RPC_CALL_TIMEOUT_H_
#define GRPC_BREAKER_RPC_CALL_TIMEOUT_H_

// A time-out for a call that runs natively. gRPC fixes a call's deadline before
// interceptors see it, so the core is told to end the call when its time is up,
// with the status that a deadline has. The application's context, which may go
// at any time once the call has ended, is not touched.
//
// Thread-safe.

#include <memory>

#include "absl/time/time.h"
#include "grpc/grpc.h"
#include "grpc_breaker/environment.h"

namespace grpc_breaker::internal {

class CallTimeout {
 public:
  // From now. `library` keeps gRPC from shutting down while the call is
  // referred to; `environment` outlives this object.
  CallTimeout(absl::Duration timeout, grpc_call* call,
              std::shared_ptr<void> library, Environment& environment);
  // The time-out may be happening, and goes on then.
  ~CallTimeout();
  CallTimeout(const CallTimeout&) = delete;
  CallTimeout& operator=(const CallTimeout&) = delete;

 private:
  Environment& environment_;
  const Environment::TimerId timer_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_CALL_TIMEOUT_H_
