#include "grpc_breaker/rpc/unary_call.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "grpc_breaker/base/user_code.h"
#include "grpc_breaker/error_origin.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/rpc/attempt_recorder.h"
#include "grpc_breaker/rpc/classify.h"
#include "grpc_breaker/stats/call_records.h"

namespace grpc_breaker::internal {
namespace {

// How much earlier a server may see an attempt's deadline: gRPC counts it in
// whole milliseconds, from each process's own first, and by a clock that it
// reads once for all that it does at a time, which may be long where the
// machine is busy.
constexpr std::chrono::milliseconds kDeadlineResolution{1};
constexpr std::chrono::milliseconds kMostDeadlineSkew{10};

std::chrono::nanoseconds DeadlineSkew(absl::Duration timeout) {
  return std::clamp<std::chrono::nanoseconds>(
      absl::ToChronoNanoseconds(timeout / 10), kDeadlineResolution,
      kMostDeadlineSkew);
}

thread_local const AttemptScope* innermost_scope = nullptr;

Deadline CallDeadline(const Deadline& callers, const Policy& policy) {
  return callers.infinite() && policy.timeout.has_value()
             ? Deadline::After(*policy.timeout)
             : callers;
}

absl::Duration HedgingDelay(const HedgingOptions& hedging, const Method& method,
                            MonotonicTime now) {
  if (hedging.delay_percentile == 0) return hedging.delay;
  return method.records()
      .AttemptQuantile(hedging.delay_percentile / 100, now)
      .value_or(hedging.delay);
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
                      UnaryRequest&& request,
                      std::optional<Rejection> rejection, bool waits) {
  Prepare(std::move(channel), std::move(request));
  Enter([&] {
    if (rejection.has_value()) {
      OnRejected(*rejection, environment_.Now());
    } else {
      // A hedge must be able to end the call while its caller waits.
      TryOn(waits && !info_.hedged());
    }
  });
}

void UnaryCall::StartAfter(NativeAttempt first,
                           std::unique_ptr<grpc::ChannelInterface> channel,
                           UnaryRequest&& request) {
  Prepare(std::move(channel), std::move(request));
  Enter([&] {
    began_ = first.started;
    attempts_ = 1;
    history_.attempts.emplace_back();
    last_.permit = std::move(first.permit);
    last_.times = {1, absl::ZeroDuration(), first.started, first.ended};
    ErrorOrigin origin;
    origin.cancelled_by_caller = cancelled();
    origin.bad_reply = first.lacks_reply;
    OnFailure(first.status, first.context, *first.trailers, origin);
  });
}

void UnaryCall::Prepare(std::unique_ptr<grpc::ChannelInterface> channel,
                        UnaryRequest&& request) {
  began_ = environment_.Now();
  stub_.emplace(std::move(channel));
  request_.emplace(std::move(request));
  call_deadline_ = CallDeadline(request_->deadline, info_.policy());
  deadline_ = call_deadline_.On(environment_);
  const Policy& policy = info_.policy();
  Method& method = info_.method();
  if (info_.hedged()) {
    retry_.emplace(policy.retry, policy.hedging, environment_,
                   method.retry_budget());
    hedging_delay_ = HedgingDelay(policy.hedging, method, began_);
  } else {
    retry_.emplace(policy.retry, method.MayRepeat(policy), environment_,
                   method.retry_budget());
  }
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
  absl::InlinedVector<std::shared_ptr<Attempt>, 1> attempts;
  std::shared_ptr<BackoffWait> wait;
  {
    MutexLock lock(mutex_);
    cancelled_ = true;
    for (const Trial& trial : under_way_) attempts.push_back(trial.attempt);
    wait = wait_;
  }
  for (const std::shared_ptr<Attempt>& attempt : attempts) attempt->Cancel();
  if (wait != nullptr) wait->Cancel();
}

void UnaryCall::Abandon() {
  if (done()) return;
  Cancel();
  Enter([this] {
    if (!done()) Finish(StopReason::kCancelled, Cancelled());
  });
  if (strand_.IsRunningHere()) return;
  absl::Notification finished;
  WhenDone([&finished] { finished.Notify(); });
  finished.WaitForNotification();
}

void UnaryCall::TryOn(bool callers_thread) {
  const MonotonicTime now = environment_.Now();
  if (now >= deadline_) {
    // Without asking the breaker: the attempt could only fail, through no fault
    // of the server.
    return GiveUp(StopReason::kDeadline, DeadlineExceeded());
  }
  CircuitBreaker::Permit permit = info_.method().breaker().TryAcquire(now);
  if (!permit.admitted()) return OnRejected(permit.rejection(), now);
  Launch(std::move(permit), now, callers_thread);
}

void UnaryCall::Hedge() {
  const MonotonicTime now = environment_.Now();
  CircuitBreaker::Permit permit = info_.method().breaker().TryAcquire(now);
  if (!permit.admitted()) return OnRejected(permit.rejection(), now);
  ExpectRecentMedian();
  // Asked last, since the budget is charged for what is going to be made.
  const RetryDecision::Verdict verdict = retry_->TakeHedge(now, deadline_);
  if (verdict != RetryDecision::Verdict::kRetry) {
    return GiveUp(StopReasonOf(verdict), last_status_);
  }
  Launch(std::move(permit), now, /*callers_thread=*/false);
}

void UnaryCall::Launch(CircuitBreaker::Permit permit, MonotonicTime now,
                       bool callers_thread) {
  Trial trial;
  const std::shared_ptr<Attempt> attempt = MakeAttempt(now, &trial.deadline);
  trial.attempt = attempt;
  trial.permit = std::move(permit);
  trial.times = {attempts_ + 1, std::exchange(waited_, absl::ZeroDuration()),
                 now, now};
  const absl::Duration delay = trial.times.delay;
  bool cancelled;
  {
    MutexLock lock(mutex_);
    cancelled = cancelled_;
    if (!cancelled) under_way_.push_back(std::move(trial));
  }
  if (cancelled) return GiveUp(StopReason::kCancelled, Cancelled());
  if (++attempts_ > 1) {
    CallRecords& records = info_.method().records();
    info_.hedged() ? records.AddHedge() : records.AddRetry();
  }
  // What it is if another one is answered first.
  history_.attempts.push_back({grpc::StatusCode::CANCELLED, delay});
  if (callers_thread) {
    IdleQueues::Queue queue = info_.channel->idle_queues.Take();
    {
      AttemptScope scope(info_.channel.get(), attempt->mutable_context());
      attempt->Run(&*stub_, queue.get(), info_.name,
                   request_->message.buffer());
    }
    info_.channel->idle_queues.GiveBack(std::move(queue));
    return OnAttemptDone(*attempt);
  }
  {
    AttemptScope scope(info_.channel.get(), attempt->mutable_context());
    attempt->Start(&*stub_, info_.channel->attempts.get(), info_.name,
                   request_->message.buffer(),
                   [self = shared_from_this()](Attempt& attempt) {
                     self->Enter([&self = *self, &attempt] {
                       self.OnAttemptDone(attempt);
                     });
                   });
  }
  if (retry_->may_hedge()) AwaitHedge(now);
}

void UnaryCall::AwaitHedge(MonotonicTime now) {
  if (hedging_delay_ > absl::ZeroDuration()) {
    return Wait(hedging_delay_, now, &UnaryCall::Hedge);
  }
  // Not here, since there may be a hundred of them.
  Enter([this] {
    if (AttemptsAreUnderWay()) Hedge();
  });
}

std::shared_ptr<Attempt> UnaryCall::MakeAttempt(MonotonicTime now,
                                                MonotonicTime* deadline) {
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
  *deadline = deadline_;
  Deadline for_grpc = call_deadline_;
  if (timeout.has_value() && TimeAfter(now, *timeout) < deadline_) {
    *deadline = TimeAfter(now, *timeout);
    for_grpc = Deadline::After(*timeout);
  }
  context->set_deadline(for_grpc.ForGrpc());
  return attempt;
}

// A server that knows gRPC ends the call at the attempt's deadline, too, and
// what it says of that may come first. Before that, it speaks of its own limit,
// or of that of a call further down.
bool UnaryCall::EndedByItsTimeout(const Trial& trial) const {
  const MonotonicTime ended = trial.times.ended;
  if (trial.deadline == deadline_ || ended >= deadline_) return false;
  Attempt& attempt = *trial.attempt;
  // Another deadline than the call's comes of this time-out.
  return ended >=
             trial.deadline - DeadlineSkew(*info_.policy().attempt_timeout) ||
         OriginOf(attempt.status(), *attempt.mutable_context())
                 .server_answered != true;
}

void UnaryCall::OnRejected(const Rejection& rejection, MonotonicTime now) {
  info_.method().records().AddRejection(rejection.reason);
  if (AttemptsAreUnderWay()) return;
  if (info_.policy().wait_when_rejected) {
    ExpectRecentMedian();
    const RetryDecision decision =
        retry_->NextAfterRejection(rejection.retry_after, now, deadline_);
    if (decision.retry()) return Wait(decision.delay, now, &UnaryCall::Try);
  }
  rejection_ = rejection;
  grpc::Status status = MakeRejectionStatus(info_.name, rejection);
  if (attempts_ > 0) {
    status = RejectionAfter(status, last_status_);
  }
  Finish(StopReason::kBreakerOpen, std::move(status));
}

void UnaryCall::OnAttemptDone(Attempt& attempt) {
  bool cancelled;
  {
    MutexLock lock(mutex_);
    const auto found = absl::c_find_if(under_way_, [&](const Trial& trial) {
      return trial.attempt.get() == &attempt;
    });
    if (found == under_way_.end()) return;  // It has lost.
    last_ = std::move(*found);
    under_way_.erase(found);
    cancelled = cancelled_;
  }
  last_.times.ended = environment_.Now();
  // Recorded when the reply has been read.
  if (attempt.status().ok()) {
    history_.attempts[last_.times.number - 1].code = grpc::StatusCode::OK;
    return Finish(StopReason::kSucceeded, grpc::Status());
  }
  ErrorOrigin origin;
  origin.cancelled_by_caller = cancelled;
  origin.attempt_timeout =
      attempt.status().error_code() == grpc::StatusCode::DEADLINE_EXCEEDED &&
      EndedByItsTimeout(last_);
  origin.bad_reply = attempt.lacks_reply();
  grpc::ClientContext& context = *attempt.mutable_context();
  OnFailure(attempt.status(), context, context.GetServerTrailingMetadata(),
            origin);
}

// Of last_.
void UnaryCall::OnFailure(const grpc::Status& status,
                          grpc::ClientContext& context,
                          const ReceivedMetadata& trailers,
                          const ErrorOrigin& origin) {
  StopWaiting();
  last_status_ = status;
  const AttemptTimes& times = last_.times;
  CircuitBreaker::Permit permit = std::exchange(last_.permit, {});
  const AttemptVerdict verdict = info_.recorder.RecordFailure(
      permit, status, context, trailers, origin, times.ended);
  history_.attempts[times.number - 1].code = status.error_code();
  last_failure_ = {status.error_code(), verdict.error.category};
  info_.recorder.EndAttempt(info_.name, times, status, verdict.error);
  if (origin.cancelled_by_caller) {
    return Finish(StopReason::kCancelled, Cancelled());
  }
  ExpectRecentMedian();
  const bool committed = info_.policy().commit_at_initial_metadata &&
                         HasInitialMetadata(status, context);
  const RetryDecision decision = retry_->Next(
      verdict.error, verdict.pushback, times.ended, deadline_, committed);
  if (decision.retry()) {
    if (!info_.hedged()) {
      return Wait(decision.delay, times.ended, &UnaryCall::Try);
    }
    if (decision.delay == absl::ZeroDuration()) return Hedge();
    return Wait(decision.delay, times.ended, &UnaryCall::Hedge);
  }
  const StopReason stopped = StopReasonOf(decision.verdict);
  // What the others would say is of no use.
  if (stopped == StopReason::kNotRetryable ||
      stopped == StopReason::kCommitted) {
    return Finish(stopped, status);
  }
  GiveUp(stopped, status);
}

void UnaryCall::ExpectRecentMedian() {
  if (deadline_ == MonotonicTime::max()) return;
  retry_->ExpectAttemptsToTake(info_.method()
                                   .records()
                                   .AttemptQuantile(0.5, environment_.Now())
                                   .value_or(absl::ZeroDuration()));
}

void UnaryCall::AcceptReply() {
  if (!last_.permit.admitted()) return;
  last_.permit.Record(Outcome::kSuccess, last_.times.ended);
  info_.recorder.EndAttempt(info_.name, last_.times, grpc::Status(),
                            ErrorClass());
  if (info_.hedged() && last_.times.number > 1) {
    info_.method().records().AddWonHedge();
  }
  retry_->Next(ErrorClass(), Pushback(), last_.times.ended, deadline_);
}

UnaryResult UnaryCall::RefuseReply() {
  UnaryResult result = this->result();
  if (!last_.permit.admitted()) return result;
  ErrorOrigin origin;
  origin.bad_reply = true;
  result.status = NoMessageReturned();
  grpc::ClientContext& context = *result.attempt->mutable_context();
  const AttemptVerdict verdict = info_.recorder.RecordFailure(
      last_.permit, result.status, context, context.GetServerTrailingMetadata(),
      origin, last_.times.ended);
  result.history.attempts[last_.times.number - 1].code =
      result.status.error_code();
  result.history.stopped = StopReason::kNotRetryable;
  last_failure_ = {result.status.error_code(), verdict.error.category};
  info_.recorder.EndAttempt(info_.name, last_.times, result.status,
                            verdict.error);
  OnFinalFailure(&result);
  ended_ = environment_.Now();
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

void UnaryCall::CountAs(const Ending& ending) const {
  info_.recorder.EndCall({ending.status, ending.history.stopped,
                          ending.history.attempts.size(), began_, ended_},
                         last_failure_);
}

void UnaryCall::Wait(absl::Duration delay, MonotonicTime now, Step next) {
  const int number = ++waits_;
  auto wait = std::make_shared<BackoffWait>(environment_);
  bool cancelled;
  bool attempts_are_under_way;
  {
    MutexLock lock(mutex_);
    cancelled = cancelled_;
    attempts_are_under_way = !under_way_.empty();
    wait_ = wait;
  }
  if (cancelled) wait->Cancel();
  // The application's call cannot end inside this, and its channel is there. An
  // attempt under way hears of a parent itself.
  wait->Start(
      TimeAfter(now, delay), info_.channel->attempts,
      attempts_are_under_way ? nullptr : request_->core_channel,
      request_->settings,
      [self = shared_from_this(), number, delay, next](BackoffWait::End end) {
        self->Enter([&self = *self, number, delay, next, end] {
          self.OnWaited(number, delay, next, end);
        });
      });
}

void UnaryCall::StopWaiting() {
  std::shared_ptr<BackoffWait> wait;
  {
    MutexLock lock(mutex_);
    wait = std::move(wait_);
  }
  ++waits_;
  waited_ = absl::ZeroDuration();  // For an attempt that was not made.
  if (wait != nullptr) wait->Drop();
}

void UnaryCall::OnWaited(int number, absl::Duration delay, Step next,
                         BackoffWait::End end) {
  if (number != waits_) return;  // Stopped meanwhile.
  bool cancelled;
  {
    MutexLock lock(mutex_);
    wait_ = nullptr;
    cancelled = cancelled_;
  }
  switch (end) {
    case BackoffWait::End::kOver:
      if (cancelled) break;
      waited_ += delay;
      return (this->*next)();
    case BackoffWait::End::kParentExpired:
      return GiveUp(StopReason::kDeadline, DeadlineExceeded());
    case BackoffWait::End::kCancelled:
    case BackoffWait::End::kParentCancelled:
      break;
  }
  GiveUp(StopReason::kCancelled, Cancelled());
}

bool UnaryCall::done() const {
  MutexLock lock(mutex_);
  return done_;
}

bool UnaryCall::AttemptsAreUnderWay() const {
  MutexLock lock(mutex_);
  return !under_way_.empty();
}

void UnaryCall::GiveUp(StopReason stopped, grpc::Status status) {
  if (!AttemptsAreUnderWay()) Finish(stopped, std::move(status));
}

void UnaryCall::Finish(StopReason stopped, grpc::Status status) {
  StopWaiting();
  DropLosers(stopped == StopReason::kSucceeded);
  UnaryResult result;
  result.status = std::move(status);
  result.history = std::move(history_);
  result.history.stopped = stopped;
  result.rejection = rejection_;
  // A rejection is ours: the metadata of an attempt before it is not its.
  if (stopped != StopReason::kBreakerOpen) {
    result.of_native_attempt = attempts_ > 0 && last_.attempt == nullptr;
    result.attempt = std::move(last_.attempt);
  }
  if (stopped == StopReason::kSucceeded) {
    result.reply = result.attempt->TakeReply();
  } else if (stopped != StopReason::kCancelled) {
    OnFinalFailure(&result);
  }
  ended_ = environment_.Now();
  std::vector<Waiter> waiters;
  {
    MutexLock lock(mutex_);
    result_ = std::move(result);
    done_ = true;
    waiters.swap(waiters_);
  }
  for (Waiter& waiter : waiters) std::move(waiter)();
}

void UnaryCall::DropLosers(bool succeeded) {
  Trials losers;
  {
    MutexLock lock(mutex_);
    losers.swap(under_way_);
  }
  for (Trial& loser : losers) {
    loser.attempt->Cancel();
    loser.times.ended = environment_.Now();
    info_.recorder.EndLost(info_.name, loser.times, succeeded);
  }
}

void UnaryCall::OnFinalFailure(UnaryResult* result) {
  const Policy& policy = info_.policy();
  const bool falls_back = policy.fallback.function != nullptr &&
                          RunsOn(policy.fallback, result->history.stopped);
  if (!falls_back && policy.on_final_failure == nullptr) return;

  FailedCall call;
  call.method = info_.name;
  call.request = &request_->message.buffer();
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
  if (result->status.ok()) info_.method().records().AddFallback();
  grpc::Slice reply(answer.reply);
  result->reply = SharedBytes(grpc::ByteBuffer(&reply, 1));
}

}  // namespace grpc_breaker::internal
