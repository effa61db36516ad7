#ifndef GRPC_BREAKER_RPC_DEADLINE_H_
#define GRPC_BREAKER_RPC_DEADLINE_H_

// When a call has to end. Fixed on gRPC's monotonic clock when the call is
// seen, as gRPC itself does, so that a step of the wall clock changes nothing
// after that.
//
// Thread-compatible: a value.

#include "absl/time/time.h"
#include "grpc/support/time.h"
#include "grpc_breaker/environment.h"
#include "grpcpp/client_context.h"

namespace grpc_breaker::internal {

class Deadline {
 public:
  static Deadline Infinite();
  // The one that the application has set, of whatever clock; infinite if none.
  static Deadline Of(const grpc::ClientContext& context);
  // From now.
  static Deadline After(absl::Duration duration);

  bool infinite() const;
  bool passed() const;

  // The same moment on the environment's clock, which a test moves by hand.
  MonotonicTime On(Environment& environment) const;

  gpr_timespec ForGrpc() const { return time_; }

 private:
  explicit Deadline(gpr_timespec time) : time_(time) {}

  gpr_timespec time_;  // GPR_CLOCK_MONOTONIC.
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_DEADLINE_H_
