#ifndef GRPC_BREAKER_INTERNAL_UNARY_CALL_H_
#define GRPC_BREAKER_INTERNAL_UNARY_CALL_H_

// A unary call: the loop of permit, attempt, classification and backoff, and
// the fallback at its end. It knows nothing of interceptors: call.cc feeds it a
// request and hands its result to the application.
//
//            Start
//              |
//         +-> Try --refused--------------------------+
//         |    | permit                              |
//      timer  attempt                                |
//         |    |                                     v
//         +- OnAttemptDone --no retry, cancelled-> Finish -> done
//
// One step runs at a time, on the caller's thread, the attempt queue or the
// environment's timer thread; Cancel alone may come at any time.

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/internal/attempt.h"
#include "grpc_breaker/internal/context_access.h"
#include "grpc_breaker/internal/notes.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/retry_policy.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker {
namespace internal {

// What the application asked for.
struct UnaryRequest {
  std::string method;  // As called; a Method may stand for several.
  grpc::ByteBuffer message;
  std::multimap<std::string, std::string> metadata;
  ContextSettings settings;
  // The caller's; max() if none was set.
  std::chrono::system_clock::time_point deadline;
};

struct UnaryResult {
  grpc::Status status;
  grpc::ByteBuffer reply;  // Valid if the status is OK.
  // The last attempt, for its metadata; null if there was none.
  std::shared_ptr<Attempt> attempt;
  Notes notes;
};

// Thread-safe.
class UnaryCall final : public std::enable_shared_from_this<UnaryCall> {
 public:
  using Done = absl::AnyInvocable<void(UnaryResult) &&>;

  // `factory` is whose recursion to guard against while attempts are made.
  UnaryCall(std::shared_ptr<Registry> registry, Method& method,
            const void* factory,
            std::unique_ptr<grpc::ChannelInterface> channel,
            UnaryRequest request);

  // Calls `done` once, possibly before it returns.
  void Start(Done done);

  // Never calls `done` itself, so that it may be called under the locks of the
  // application's context.
  void Cancel() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // Why there is no further attempt.
  enum class End {
    kSucceeded,
    kCancelled,
    kRejected,
    kNotRetryable,
    kExhausted
  };

  void Try() ABSL_LOCKS_EXCLUDED(mutex_);
  std::shared_ptr<Attempt> MakeAttempt(MonotonicTime now);
  void OnRejected(const Rejection& rejection, MonotonicTime now);
  ErrorClass Classify(const Attempt& attempt, bool cancelled,
                      MonotonicTime now) const;
  void OnAttemptDone() ABSL_LOCKS_EXCLUDED(mutex_);
  void Wait(absl::Duration delay, MonotonicTime now)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void OnTimer() ABSL_LOCKS_EXCLUDED(mutex_);
  void Finish(End end, grpc::Status status);
  void FinishCancelled();
  static End EndOf(RetryDecision::Verdict verdict);
  void OnFinalFailure(End end, UnaryResult* result);

  const std::shared_ptr<Registry> registry_;
  Method& method_;
  Environment& environment_;
  const void* const factory_;
  grpc::GenericStub stub_;
  const UnaryRequest request_;
  // One moment, for gRPC and on the environment's clock.
  const std::chrono::system_clock::time_point wall_deadline_;
  const MonotonicTime deadline_;

  RetryPolicy retry_;
  CircuitBreaker::Permit permit_;
  int attempts_ = 0;
  // The attempt under way ends before the call's deadline does.
  bool attempt_times_out_first_ = false;
  std::optional<Rejection> rejection_;
  std::shared_ptr<Attempt> last_attempt_;
  Done done_;

  absl::Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  // At most one of these is set: what Cancel has to stop.
  std::shared_ptr<Attempt> attempt_ ABSL_GUARDED_BY(mutex_);
  Environment::TimerId timer_ ABSL_GUARDED_BY(mutex_) = Environment::kNoTimer;
};

// Marks the calling thread as making an attempt for `factory`. gRPC may then
// ask that very factory for an interceptor, if one before it returned null: it
// must decline, or the attempt would retry itself until the stack is full.
class AttemptScope {
 public:
  explicit AttemptScope(const void* factory);
  ~AttemptScope();
  AttemptScope(const AttemptScope&) = delete;
  AttemptScope& operator=(const AttemptScope&) = delete;

  static bool IsActive(const void* factory);

 private:
  const void* const outer_;
};

}  // namespace internal
}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_INTERNAL_UNARY_CALL_H_
