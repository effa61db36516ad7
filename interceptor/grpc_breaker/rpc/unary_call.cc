#include "grpc_breaker/rpc/unary_call.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc_breaker/base/user_code.h"
#include "grpc_breaker/error_origin.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/retry/recent_latencies.h"
#include "grpc_breaker/rpc/attempt_recorder.h"
#include "grpc_breaker/rpc/classify.h"

namespace grpc_breaker::internal {
namespace {

// gRPC counts deadlines in whole milliseconds, from each process's own first.
constexpr std::chrono::milliseconds kDeadlineResolution{1};

thread_local const AttemptScope* innermost_scope = nullptr;

Deadline CallDeadline(const Deadline& callers, const Policy& policy) {
  return callers.infinite() && policy.timeout.has_value()
             ? Deadline::After(*policy.timeout)
             : callers;
}

bool RunsOn(const Fallback& fallback, StopReason stopped) {
  switch (stopped) {
    case StopReason::kBreakerOpen:
      return fallback.on_rejection;
    case StopReason::kNotRetryable:
    case StopReason::kNotRepeatable:
    case StopReason::kPushback:
      return fallback.on_not_retryable;
    case StopReason::kExhausted:
    case StopReason::kBudget:
    case StopReason::kDeadline:
    case StopReason::kCommitted:
      return fallback.on_exhaustion;
    case StopReason::kSucceeded:
    case StopReason::kCancelled:
      break;
  }
  return false;
}

}  // namespace

AttemptScope::AttemptScope(const ChannelContext* channel,
                           const grpc::ClientContext* context)
    : channel_(channel),
      context_(context),
      outer_(std::exchange(innermost_scope, this)) {}

AttemptScope::~AttemptScope() { innermost_scope = outer_; }

const ChannelContext* AttemptScope::ChannelOf(
    const grpc::ClientContext* context) {
  return innermost_scope != nullptr && innermost_scope->context_ == context
             ? innermost_scope->channel_
             : nullptr;
}

void UnaryCall::Start(std::unique_ptr<grpc::ChannelInterface> channel,
                      UnaryRequest request, std::optional<Rejection> rejection,
                      bool waits) {
  Prepare(std::move(channel), std::move(request));
  if (rejection.has_value()) {
    OnRejected(*rejection, environment_.Now());
  } else {
    Try(waits);
  }
}

void UnaryCall::StartAfter(NativeAttempt first,
                           std::unique_ptr<grpc::ChannelInterface> channel,
                           UnaryRequest request) {
  Prepare(std::move(channel), std::move(request));
  permit_ = std::move(first.permit);
  attempts_ = 1;
  attempt_started_ = first.started;
  attempt_ended_ = first.ended;
  ErrorOrigin origin;
  origin.cancelled_by_caller = cancelled();
  origin.bad_reply = first.lacks_reply;
  OnFailure(first.status, first.context, *first.trailers, origin);
}

void UnaryCall::Prepare(std::unique_ptr<grpc::ChannelInterface> channel,
                        UnaryRequest request) {
  stub_.emplace(std::move(channel));
  request_.emplace(std::move(request));
  call_deadline_ = CallDeadline(request_->deadline, info_.policy());
  deadline_ = call_deadline_.On(environment_);
  Method& method = info_.method();
  retry_.emplace(info_.policy().retry, method.MayRepeat(info_.policy()),
                 environment_, method.retry_budget());
}

bool UnaryCall::cancelled() const {
  MutexLock lock(mutex_);
  return cancelled_;
}

void UnaryCall::WhenDone(Waiter waiter) {
  {
    MutexLock lock(mutex_);
    if (!done_) {
      waiters_.push_back(std::move(waiter));
      return;
    }
  }
  std::move(waiter)();
}

void UnaryCall::Cancel() {
  std::shared_ptr<Attempt> attempt;
  std::shared_ptr<BackoffWait> wait;
  {
    MutexLock lock(mutex_);
    cancelled_ = true;
    attempt = attempt_;
    wait = wait_;
  }
  if (attempt != nullptr) attempt->Cancel();
  if (wait != nullptr) wait->Cancel();
}

void UnaryCall::Try(bool waits) {
  const MonotonicTime now = environment_.Now();
  if (now >= deadline_) {
    // Without asking the breaker: the attempt could only fail, through no fault
    // of the server.
    return Finish(StopReason::kDeadline, DeadlineExceeded());
  }
  CircuitBreaker::Permit permit = info_.method().breaker().TryAcquire(now);
  if (!permit.admitted()) return OnRejected(permit.rejection(), now);

  std::shared_ptr<Attempt> attempt = MakeAttempt(now);
  bool cancelled;
  {
    MutexLock lock(mutex_);
    cancelled = cancelled_;
    if (!cancelled) attempt_ = attempt;
  }
  if (cancelled) return Finish(StopReason::kCancelled, Cancelled());
  permit_ = std::move(permit);
  attempt_started_ = now;
  attempt_delay_ = std::exchange(waited_, absl::ZeroDuration());
  ++attempts_;
  if (waits) {
    {
      AttemptScope scope(info_.channel.get(), attempt->mutable_context());
      attempt->Run(&*stub_, info_.name, request_->message);
    }
    return OnAttemptDone();
  }
  AttemptScope scope(info_.channel.get(), attempt->mutable_context());
  attempt->Start(&*stub_, info_.channel->attempts.get(), info_.name,
                 request_->message,
                 [self = shared_from_this()] { self->OnAttemptDone(); });
}

std::shared_ptr<Attempt> UnaryCall::MakeAttempt(MonotonicTime now) {
  auto attempt = std::make_shared<Attempt>();
  grpc::ClientContext* context = attempt->mutable_context();
  request_->settings.ApplyTo(context);
  for (const auto& [key, value] : request_->metadata) {
    context->AddMetadata(key, value);
  }
  if (attempts_ > 0) {
    context->AddMetadata("grpc-previous-rpc-attempts", absl::StrCat(attempts_));
  }

  const std::optional<absl::Duration>& timeout = info_.policy().attempt_timeout;
  attempt_deadline_ = deadline_;
  Deadline deadline = call_deadline_;
  if (timeout.has_value() && TimeAfter(now, *timeout) < deadline_) {
    attempt_deadline_ = TimeAfter(now, *timeout);
    deadline = Deadline::After(*timeout);
  }
  context->set_deadline(deadline.ForGrpc());
  return attempt;
}

// A server that knows gRPC ends the call at the attempt's deadline, too, and
// what it says of that may come first. Before that, it speaks of its own limit,
// or of that of a call further down.
bool UnaryCall::EndedByItsTimeout(Attempt& attempt) const {
  if (attempt_deadline_ == deadline_ || attempt_ended_ >= deadline_) {
    return false;
  }
  return attempt_ended_ >= attempt_deadline_ - kDeadlineResolution ||
         OriginOf(attempt.status(), *attempt.mutable_context())
                 .server_answered != true;
}

void UnaryCall::OnRejected(const Rejection& rejection, MonotonicTime now) {
  if (info_.policy().wait_when_rejected) {
    ExpectRecentMedian();
    const RetryDecision decision =
        retry_->NextAfterRejection(rejection.retry_after, now, deadline_);
    if (decision.retry()) return Wait(decision.delay, now);
  }
  rejection_ = rejection;
  grpc::Status status = MakeRejectionStatus(info_.name, rejection);
  if (attempts_ > 0) {
    status = RejectionAfter(status, last_status_);
  }
  Finish(StopReason::kBreakerOpen, std::move(status));
}

void UnaryCall::OnAttemptDone() {
  std::shared_ptr<Attempt> attempt;
  bool cancelled;
  {
    MutexLock lock(mutex_);
    attempt = std::move(attempt_);
    cancelled = cancelled_;
  }
  attempt_ended_ = environment_.Now();
  last_attempt_ = attempt;
  // Recorded when the reply has been read.
  if (attempt->status().ok()) {
    history_.attempts.push_back({grpc::StatusCode::OK, attempt_delay_});
    return Finish(StopReason::kSucceeded, grpc::Status());
  }
  ErrorOrigin origin;
  origin.cancelled_by_caller = cancelled;
  origin.attempt_timeout =
      attempt->status().error_code() == grpc::StatusCode::DEADLINE_EXCEEDED &&
      EndedByItsTimeout(*attempt);
  origin.bad_reply = attempt->lacks_reply();
  grpc::ClientContext& context = *attempt->mutable_context();
  OnFailure(attempt->status(), context, context.GetServerTrailingMetadata(),
            origin);
}

void UnaryCall::OnFailure(const grpc::Status& status,
                          grpc::ClientContext& context,
                          const ReceivedMetadata& trailers,
                          const ErrorOrigin& origin) {
  last_status_ = status;
  CircuitBreaker::Permit permit = std::exchange(permit_, {});
  const AttemptVerdict verdict = info_.recorder.RecordFailure(
      permit, status, context, trailers, origin, attempt_ended_);
  history_.attempts.push_back({status.error_code(), attempt_delay_});
  info_.recorder.NotifyAttempt(info_.name, times(), status, verdict.error);
  if (origin.cancelled_by_caller) {
    return Finish(StopReason::kCancelled, Cancelled());
  }
  ExpectRecentMedian();
  const bool committed = info_.policy().commit_at_initial_metadata &&
                         HasInitialMetadata(status, context);
  const RetryDecision decision = retry_->Next(
      verdict.error, verdict.pushback, attempt_ended_, deadline_, committed);
  if (decision.retry()) return Wait(decision.delay, attempt_ended_);
  Finish(StopReasonOf(decision.verdict), status);
}

void UnaryCall::ExpectRecentMedian() {
  if (deadline_ == MonotonicTime::max()) return;
  retry_->ExpectAttemptsToTake(info_.method()
                                   .latencies()
                                   .Quantile(0.5, environment_.Now())
                                   .value_or(absl::ZeroDuration()));
}

void UnaryCall::AcceptReply() {
  if (!permit_.admitted()) return;
  info_.recorder.RecordUnarySuccess(std::exchange(permit_, {}), info_.name,
                                    times());
  retry_->Next(ErrorClass(), Pushback(), attempt_ended_, deadline_);
}

UnaryResult UnaryCall::RefuseReply() {
  UnaryResult result = this->result();
  if (!permit_.admitted()) return result;
  ErrorOrigin origin;
  origin.bad_reply = true;
  result.status = NoMessageReturned();
  CircuitBreaker::Permit permit = std::exchange(permit_, {});
  grpc::ClientContext& context = *result.attempt->mutable_context();
  const AttemptVerdict verdict = info_.recorder.RecordFailure(
      permit, result.status, context, context.GetServerTrailingMetadata(),
      origin, attempt_ended_);
  result.history.attempts.back().code = result.status.error_code();
  result.history.stopped = StopReason::kNotRetryable;
  info_.recorder.NotifyAttempt(info_.name, times(), result.status,
                               verdict.error);
  OnFinalFailure(&result);
  return result;
}

void UnaryCall::SetEnding(Ending ending) {
  MutexLock lock(mutex_);
  ending_ = std::move(ending);
}

UnaryCall::Ending UnaryCall::ending() const {
  MutexLock lock(mutex_);
  return ending_.value_or(Ending{result_.status, result_.history});
}

void UnaryCall::Wait(absl::Duration delay, MonotonicTime now) {
  waited_ += delay;
  auto wait = std::make_shared<BackoffWait>(environment_);
  bool cancelled;
  {
    MutexLock lock(mutex_);
    cancelled = cancelled_;
    wait_ = wait;
  }
  if (cancelled) wait->Cancel();
  // The application's call cannot end inside this, and its channel is there.
  wait->Start(TimeAfter(now, delay), info_.channel->attempts,
              request_->core_channel, request_->settings,
              [self = shared_from_this()](BackoffWait::End end) {
                self->OnWaited(end);
              });
}

void UnaryCall::OnWaited(BackoffWait::End end) {
  bool cancelled;
  {
    MutexLock lock(mutex_);
    wait_ = nullptr;
    cancelled = cancelled_;
  }
  switch (end) {
    case BackoffWait::End::kOver:
      if (!cancelled) return Try();
      break;
    case BackoffWait::End::kParentExpired:
      return Finish(StopReason::kDeadline, DeadlineExceeded());
    case BackoffWait::End::kCancelled:
    case BackoffWait::End::kParentCancelled:
      break;
  }
  Finish(StopReason::kCancelled, Cancelled());
}

void UnaryCall::Finish(StopReason stopped, grpc::Status status) {
  UnaryResult result;
  result.status = std::move(status);
  result.history = std::move(history_);
  result.history.stopped = stopped;
  result.rejection = rejection_;
  // A rejection is ours: the metadata of an attempt before it is not its.
  if (stopped != StopReason::kBreakerOpen) {
    result.of_native_attempt = attempts_ > 0 && last_attempt_ == nullptr;
    result.attempt = std::move(last_attempt_);
  }
  if (stopped == StopReason::kSucceeded) {
    result.reply = result.attempt->reply();
  } else if (stopped != StopReason::kCancelled) {
    OnFinalFailure(&result);
  }
  std::vector<Waiter> waiters;
  {
    MutexLock lock(mutex_);
    result_ = std::move(result);
    done_ = true;
    waiters.swap(waiters_);
  }
  for (Waiter& waiter : waiters) std::move(waiter)();
}

void UnaryCall::OnFinalFailure(UnaryResult* result) {
  const Policy& policy = info_.policy();
  const bool falls_back = policy.fallback.function != nullptr &&
                          RunsOn(policy.fallback, result->history.stopped);
  if (!falls_back && policy.on_final_failure == nullptr) return;

  FailedCall call;
  call.method = info_.name;
  call.request = &request_->message;
  call.status = result->status;
  call.attempts = attempts_;
  call.rejected = result->history.stopped == StopReason::kBreakerOpen;
  call.history = result->history;
  info_.recorder.NotifyFinalFailure(call);
  if (!falls_back) return;
  FallbackResult answer;
  // One that throws has no answer: the call has failed as it has.
  if (!CallUserCode([&] { answer = policy.fallback.function(call); })) return;
  result->status = std::move(answer.status);
  grpc::Slice reply(answer.reply);
  result->reply = grpc::ByteBuffer(&reply, 1);
}

}  // namespace grpc_breaker::internal
