#ifndef GRPC_BREAKER_RPC_ATTEMPT_RECORDER_H_
#define GRPC_BREAKER_RPC_ATTEMPT_RECORDER_H_

// What one call tells of its attempts and of its end: the one way from a status
// to an outcome for the breaker, the method's last error, its counts and the
// application's hook; for unary calls and streams.
//
// Thread-safe: it does not change. A permit belongs to one thread at a time.

#include <cstddef>
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
#include "grpc_breaker/stop_reason.h"
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

// The last attempt of a call that failed, if any did.
struct LastFailure {
  grpc::StatusCode code = grpc::StatusCode::OK;
  ErrorCategory category = ErrorCategory::kNone;
};

// How a call ended for the application.
struct CallEnd {
  const grpc::Status& status;
  StopReason stopped;
  size_t attempts;
  MonotonicTime began;
  MonotonicTime ended;
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

  // Counts an attempt of a call of `name`, and calls the hook for attempts, if
  // there is one.
  void EndAttempt(const std::string& name, const AttemptTimes& times,
                  const grpc::Status& status, const ErrorClass& error) const;
  // The same for a call that has succeeded at its first attempt, which is
  // counted with it.
  void EndAtOnce(const std::string& name, const AttemptTimes& times) const;
  // The same for an attempt that another one of its call made pointless, so
  // that it has been cancelled. `succeeded`: that other one did.
  void EndLost(const std::string& name, const AttemptTimes& times,
               bool succeeded) const;

  // Counts a call, but for those of EndAtOnce. Its category is that of the last
  // failure, if it has its code.
  void EndCall(const CallEnd& call, const LastFailure& last = {}) const;
  // Counts one that the application lets go of without asking how it ends,
  // while the last of its attempts, begun at `attempt_began`, is under way.
  void EndAbandoned(size_t attempts, MonotonicTime attempt_began,
                    MonotonicTime began) const;

  // Calls the hook for calls that have failed for good, if there is one.
  void NotifyFinalFailure(const FailedCall& call) const;

 private:
  void NotifyAttempt(const std::string& name, const AttemptTimes& times,
                     const grpc::Status& status, const ErrorClass& error) const;
  void Notify(const FinishedAttempt& attempt) const;

  Method& method_;
  Environment& environment_;
  std::shared_ptr<const Policy> policy_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_ATTEMPT_RECORDER_H_
