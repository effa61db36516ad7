#ifndef GRPC_BREAKER_RPC_UNARY_CALL_H_
#define GRPC_BREAKER_RPC_UNARY_CALL_H_

// A unary call: the loop of permit, attempt, classification and backoff, and
// the fallback at its end. It knows nothing of batches: the interceptor feeds
// it a request and hands its result to the application.
//
//            Start
//              |
//         +-> Try --refused--------------------------+
//         |    | permit                              |
//      timer  Launch an attempt                      |
//         |    |                                     v
//         +- OnAttemptDone --no retry, cancelled-> Finish -> who waits
//
// A call that is hedged has several attempts under way: the timer then runs
// beside them, and leads to Hedge. The first one that decides the call finishes
// it and cancels the others, which tell the breaker nothing; one that does not
// leaves it to them.
//
// One step runs at a time, by a strand, on the caller's thread, the attempt
// queue's or the environment's; Cancel may come at any time.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/inlined_vector.h"
#include "absl/functional/any_invocable.h"
#include "grpc_breaker/call_history.h"
#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/retry_policy.h"
#include "grpc_breaker/rpc/added_trailers.h"
#include "grpc_breaker/rpc/attempt.h"
#include "grpc_breaker/rpc/attempt_recorder.h"
#include "grpc_breaker/rpc/backoff_wait.h"
#include "grpc_breaker/rpc/call_info.h"
#include "grpc_breaker/rpc/channel_context.h"
#include "grpc_breaker/rpc/context_access.h"
#include "grpc_breaker/rpc/deadline.h"
#include "grpc_breaker/rpc/shared_bytes.h"
#include "grpc_breaker/rpc/strand.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker::internal {

// What the application asked for.
struct UnaryRequest {
  SharedBytes message;
  std::multimap<std::string, std::string> metadata;
  ContextSettings settings;
  Deadline deadline;  // The caller's.
  // That of the call, which lives as long as the call; may be null.
  grpc_channel* core_channel;
};

struct UnaryResult {
  grpc::Status status;
  SharedBytes reply;  // Valid if the status is OK.
  // The last attempt, for its metadata; null if there was none. Where that was
  // the application's own call, there is none either, and its metadata stay.
  std::shared_ptr<Attempt> attempt;
  bool of_native_attempt = false;
  std::optional<Rejection> rejection;
  CallHistory history;
};

// A first attempt that the application's own call was, and that has failed.
struct NativeAttempt {
  grpc::Status status;
  grpc::ClientContext& context;
  const ReceivedMetadata* trailers;
  CircuitBreaker::Permit permit;
  MonotonicTime started;
  MonotonicTime ended;
  bool lacks_reply;  // The status is NoMessageReturned().
};

// Thread-safe.
class UnaryCall final : public std::enable_shared_from_this<UnaryCall> {
 public:
  using Waiter = absl::AnyInvocable<void() &&>;

  explicit UnaryCall(CallInfo info)
      : info_(std::move(info)), environment_(info_.environment()) {}

  const CallInfo& info() const { return info_; }

  // One of these, once. May finish the call before it returns.
  //
  // `rejection`: if the breaker was asked already, and refused. `waits`: that
  // the calling thread has nothing to do but wait for the call, so that the
  // first attempt can be made on it.
  void Start(std::unique_ptr<grpc::ChannelInterface> channel,
             UnaryRequest&& request, std::optional<Rejection> rejection,
             bool waits);
  void StartAfter(NativeAttempt first,
                  std::unique_ptr<grpc::ChannelInterface> channel,
                  UnaryRequest&& request);

  // Never finishes the call itself, so that it may be called under the locks of
  // the application's context. Also before Start.
  void Cancel() ABSL_LOCKS_EXCLUDED(mutex_);
  bool cancelled() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Nobody waits for the result any more. Cancels the call and finishes it;
  // waits for a step that another thread is in.
  void Abandon() ABSL_LOCKS_EXCLUDED(mutex_);

  // Runs `waiter` once there is a result: now, or on the thread that finishes
  // the call.
  void WhenDone(Waiter waiter) ABSL_LOCKS_EXCLUDED(mutex_);

  // For waiters: it does not change any more.
  const UnaryResult& result() const ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return result_;
  }

  // What comes of the reply, which only the application's message can tell; one
  // of these, once. One that parses is the server's success. One that does not
  // is a failure, hook and fallback included: returns what is the result then.
  void AcceptReply();
  UnaryResult RefuseReply();
  // Those of the result, unless others were set.
  struct Ending {
    grpc::Status status;
    CallHistory history;
  };
  void SetEnding(Ending ending) ABSL_LOCKS_EXCLUDED(mutex_);
  Ending ending() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Counts the call, which is done, by how it ended for the application. Once.
  void CountAs(const Ending& ending) const;

 private:
  // One attempt, from its permit to what is recorded of it.
  struct Trial {
    std::shared_ptr<Attempt> attempt;  // Null if it was the application's call.
    CircuitBreaker::Permit permit;
    AttemptTimes times;
    MonotonicTime deadline;  // Not after the call's.
  };
  using Trials = absl::InlinedVector<Trial, 1>;
  using Step = void (UnaryCall::*)();

  // Runs a step, which may drop the last reference to the call.
  template <typename Function>
  void Enter(Function step) {
    const std::shared_ptr<UnaryCall> self = shared_from_this();
    strand_.Run(std::move(step));
  }

  void Prepare(std::unique_ptr<grpc::ChannelInterface> channel,
               UnaryRequest&& request);

  // All below are steps, or parts of one.

  // Makes the next attempt.
  void Try() { TryOn(/*callers_thread=*/false); }
  void TryOn(bool callers_thread) ABSL_LOCKS_EXCLUDED(mutex_);
  // Makes one of a call that is hedged, if there may be one.
  void Hedge() ABSL_LOCKS_EXCLUDED(mutex_);
  void Launch(CircuitBreaker::Permit permit, MonotonicTime now,
              bool callers_thread) ABSL_LOCKS_EXCLUDED(mutex_);
  std::shared_ptr<Attempt> MakeAttempt(MonotonicTime now,
                                       MonotonicTime* deadline);
  void AwaitHedge(MonotonicTime now) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnRejected(const Rejection& rejection, MonotonicTime now)
      ABSL_LOCKS_EXCLUDED(mutex_);

  void OnAttemptDone(Attempt& attempt) ABSL_LOCKS_EXCLUDED(mutex_);
  // For an attempt that has ended with DEADLINE_EXCEEDED.
  bool EndedByItsTimeout(const Trial& trial) const;
  // For a decision on whether another attempt ends before the deadline.
  void ExpectRecentMedian();
  void OnFailure(const grpc::Status& status, grpc::ClientContext& context,
                 const ReceivedMetadata& trailers, const ErrorOrigin& origin)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Runs `next` after the delay, unless StopWaiting is called.
  void Wait(absl::Duration delay, MonotonicTime now, Step next)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void StopWaiting() ABSL_LOCKS_EXCLUDED(mutex_);
  void OnWaited(int number, absl::Duration delay, Step next,
                BackoffWait::End end) ABSL_LOCKS_EXCLUDED(mutex_);

  bool done() const ABSL_LOCKS_EXCLUDED(mutex_);
  bool AttemptsAreUnderWay() const ABSL_LOCKS_EXCLUDED(mutex_);
  // There are no more attempts: finishes when those under way have failed.
  void GiveUp(StopReason stopped, grpc::Status status)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Finish(StopReason stopped, grpc::Status status)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Cancels the attempts that are still under way.
  void DropLosers(bool succeeded) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnFinalFailure(UnaryResult* result);

  const CallInfo info_;
  Environment& environment_;
  Strand strand_;

  // Set by Prepare.
  std::optional<grpc::GenericStub> stub_;
  std::optional<UnaryRequest> request_;
  // One moment, for gRPC and on the environment's clock.
  Deadline call_deadline_ = Deadline::Infinite();
  MonotonicTime deadline_;
  std::optional<RetryPolicy> retry_;
  absl::Duration hedging_delay_;

  int attempts_ = 0;
  absl::Duration waited_ = absl::ZeroDuration();  // Since the last attempt.
  int waits_ = 0;
  // The attempt that has ended last; its permit stays until its reply was read.
  Trial last_;
  grpc::Status last_status_;
  LastFailure last_failure_;
  // When it began, and when its result was there, the fallback's if there is
  // one.
  MonotonicTime began_;
  MonotonicTime ended_;
  std::optional<Rejection> rejection_;
  CallHistory history_;  // Until it is the result's.

  mutable Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  // What Cancel has to stop.
  Trials under_way_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<BackoffWait> wait_ ABSL_GUARDED_BY(mutex_);
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
  UnaryResult result_ ABSL_GUARDED_BY(mutex_);
  std::optional<Ending> ending_ ABSL_GUARDED_BY(mutex_);
};

// Marks the calling thread as starting an attempt of `channel` on `context`.
// gRPC may then ask that very factory for an interceptor, if one before it
// returned null: it must decline, or the attempt would retry itself until the
// stack is full. Calls that the application's interceptors make meanwhile have
// contexts of their own.
class AttemptScope {
 public:
  AttemptScope(const ChannelContext* channel,
               const grpc::ClientContext* context);
  ~AttemptScope();
  AttemptScope(const AttemptScope&) = delete;
  AttemptScope& operator=(const AttemptScope&) = delete;

  // Whose attempt is being started on `context` by this thread; null if none.
  static const ChannelContext* ChannelOf(const grpc::ClientContext* context);

 private:
  const ChannelContext* const channel_;
  const grpc::ClientContext* const context_;
  const AttemptScope* const outer_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_UNARY_CALL_H_
