#ifndef GRPC_BREAKER_RPC_ATTEMPT_RECORDER_H_
#define GRPC_BREAKER_RPC_ATTEMPT_RECORDER_H_

// What one call tells of its attempts and of its end: the one way from a status
// to an outcome for the breaker, the method's last error and the application's
// hook; for unary calls and streams.
//
// Thread-safe: it does not change. A permit belongs to one thread at a time.

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/method.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/retry_policy.h"
#include "grpc_breaker/rpc/added_trailers.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker::internal {

struct AttemptVerdict {
  ErrorClass error;
  Pushback pushback;
};

// Which attempt of its call one was, and when.
struct AttemptTimes {
  int number = 1;
  absl::Duration delay;  // Before it.
  MonotonicTime started;
  MonotonicTime ended;

  absl::Duration took() const { return absl::FromChrono(ended - started); }
};

class AttemptRecorder {
 public:
  // `method` and `environment` outlive it.
  AttemptRecorder(Method& method, Environment& environment,
                  std::shared_ptr<const Policy> policy)
      : method_(method),
        environment_(environment),
        policy_(std::move(policy)) {}

  Method& method() const { return method_; }
  const Policy& policy() const { return *policy_; }

  // Classifies an attempt that has failed on `context`, and records it on its
  // permit and as the method's last error. `origin` says what only the caller
  // knows.
  AttemptVerdict RecordFailure(CircuitBreaker::Permit& permit,
                               const grpc::Status& status,
                               grpc::ClientContext& context,
                               const ReceivedMetadata& trailers,
                               const ErrorOrigin& origin,
                               MonotonicTime now) const;

  // Records an attempt of a unary call of `name` that went well, also among the
  // method's latencies, and notifies.
  void RecordUnarySuccess(CircuitBreaker::Permit permit,
                          const std::string& name,
                          const AttemptTimes& times) const;

  // Calls the hook for attempts, if there is one.
  void NotifyAttempt(const std::string& name, const AttemptTimes& times,
                     const grpc::Status& status, const ErrorClass& error) const;

  // For an attempt that another one of its call made pointless, so that it has
  // been cancelled: calls the hook.
  void NotifyLost(const std::string& name, const AttemptTimes& times) const;

  // Calls the hook for calls that have failed for good, if there is one.
  void NotifyFinalFailure(const FailedCall& call) const;

 private:
  void Notify(const FinishedAttempt& attempt) const;

  Method& method_;
  Environment& environment_;
  std::shared_ptr<const Policy> policy_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_ATTEMPT_RECORDER_H_
