#ifndef GRPC_BREAKER_RPC_STREAM_CALL_H_
#define GRPC_BREAKER_RPC_STREAM_CALL_H_

// A streaming call that may be retried: the loop of permit, attempt,
// classification and backoff. It knows nothing of batches: the interceptor runs
// the attempts, tells what came of them, and is told to begin another one or to
// end the call.
//
//      Begin
//        |
//   +-> attempt --EndAttempt------> recorded --no retry, cancelled--> result
//   |                                  | retry
//   +--------- permit? <--timer--------+
//
// Lifetime: it is held while a batch of the application's is, and during
// backoffs; the interceptor is there as long.
//
// Thread-safe. One attempt ends at a time; Cancel may come at any time.

#include <atomic>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "grpc_breaker/call_history.h"
#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/retry_policy.h"
#include "grpc_breaker/rpc/added_trailers.h"
#include "grpc_breaker/rpc/backoff_wait.h"
#include "grpc_breaker/rpc/call_info.h"
#include "grpc_breaker/rpc/call_timeout.h"
#include "grpc_breaker/rpc/context_access.h"
#include "grpc_breaker/rpc/deadline.h"
#include "grpc_breaker/rpc/stream_attempt.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker::internal {

// How a call ended.
struct StreamResult {
  grpc::Status status;
  // Whose metadata the application gets; null after a rejection.
  std::shared_ptr<StreamAttempt> attempt;
  AddedTrailers trailers;
  CallHistory history;
};

class StreamCall final : public std::enable_shared_from_this<StreamCall> {
 public:
  // Takes the next attempt, to be begun; null if there is none, and result()
  // says why.
  using Next = absl::AnyInvocable<void(std::shared_ptr<StreamAttempt>) &&>;

  explicit StreamCall(CallInfo info)
      : info_(std::move(info)), environment_(info_.environment()) {}
  ~StreamCall();

  const CallInfo& info() const { return info_; }

  // Asks for the first attempt's permit. One that was refused is returned.
  std::optional<CircuitBreaker::Permit> Begin(
      std::shared_ptr<StreamAttempt> attempt,
      std::unique_ptr<grpc::ChannelInterface> channel,
      StreamAttempt::SentMetadata* metadata);

  // The first attempt is over before it sent anything.
  void Abandon() ABSL_LOCKS_EXCLUDED(mutex_);

  // Under the locks of the application's context.
  void Cancel() ABSL_LOCKS_EXCLUDED(mutex_);
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

  // What the server of the attempt under way has sent.
  void NoteMetadata() ABSL_LOCKS_EXCLUDED(mutex_);
  void NoteMessage() ABSL_LOCKS_EXCLUDED(mutex_);
  bool answered() const { return answered_.load(std::memory_order_relaxed); }

  // The attempt under way is over: records it, and unless the call has
  // committed goes on with another one: now, or after a backoff on a thread of
  // the environment. `lacks_reply`: the server said OK, but sent none.
  void EndAttempt(grpc::Status status, const ReceivedMetadata& trailers,
                  bool lacks_reply, bool committed, Next next)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Once `next` got null.
  const StreamResult& result() const { return result_; }

 private:
  std::optional<AttemptVerdict> Record(const grpc::Status& status,
                                       const ReceivedMetadata& trailers,
                                       bool lacks_reply, MonotonicTime now)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Wait(absl::Duration delay, MonotonicTime now, Next next)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void OnWaited(BackoffWait::End end, Next next) ABSL_LOCKS_EXCLUDED(mutex_);
  void Try(Next next) ABSL_LOCKS_EXCLUDED(mutex_);
  std::shared_ptr<StreamAttempt> MakeAttempt();
  void StartTimeout(MonotonicTime now);
  void Finish(grpc::Status status, StopReason stopped, Next next);

  const CallInfo info_;
  Environment& environment_;

  // Set by Begin.
  std::shared_ptr<StreamAttempt> first_;
  std::optional<grpc::GenericStub> stub_;
  StreamAttempt::SentMetadata* metadata_ = nullptr;
  std::optional<ContextSettings> settings_;
  Deadline call_deadline_ = Deadline::Infinite();
  MonotonicTime began_;
  MonotonicTime deadline_;
  std::optional<RetryPolicy> retry_;

  int attempts_ = 0;
  absl::Duration delay_ = absl::ZeroDuration();  // Before the last attempt.
  std::optional<CallTimeout> timeout_;
  grpc::Status last_status_;  // Of the last attempt, for the breaker.
  LastFailure last_failure_;
  StreamResult result_;

  std::atomic<bool> cancelled_{false};
  std::atomic<bool> answered_{false};

  Mutex mutex_;
  // What Cancel has to stop: an attempt of the library's, or a backoff.
  std::shared_ptr<StreamAttempt> attempt_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<BackoffWait> wait_ ABSL_GUARDED_BY(mutex_);
  CircuitBreaker::Permit permit_ ABSL_GUARDED_BY(mutex_);
  MonotonicTime started_ ABSL_GUARDED_BY(mutex_);
  std::optional<MonotonicTime> metadata_at_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_STREAM_CALL_H_
