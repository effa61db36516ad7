#include "grpc_breaker/rpc/stream_call.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/registry/status_details.h"
#include "grpc_breaker/rpc/classify.h"
#include "grpc_breaker/rpc/unary_call.h"
#include "grpc_breaker/stats/call_records.h"

namespace grpc_breaker::internal {

using Type = CallInfo::RpcInfo::Type;

StreamCall::~StreamCall() {
  MutexLock lock(mutex_);
  if (!permit_.admitted()) return;
  info_.recorder.EndAbandoned(static_cast<size_t>(attempts_), started_, began_);
}

std::optional<CircuitBreaker::Permit> StreamCall::Begin(
    std::shared_ptr<StreamAttempt> attempt,
    std::unique_ptr<grpc::ChannelInterface> channel,
    StreamAttempt::SentMetadata* metadata) {
  const MonotonicTime now = environment_.Now();
  Method& method = info_.method();
  const Policy& policy = info_.policy();
  CircuitBreaker::Permit permit = method.breaker().TryAcquire(now);
  if (!permit.admitted()) return permit;

  first_ = std::move(attempt);
  stub_.emplace(std::move(channel));
  metadata_ = metadata;
  settings_.emplace(info_.context);
  call_deadline_ = Deadline::Of(info_.context);
  if (call_deadline_.infinite() && policy.timeout.has_value()) {
    call_deadline_ = Deadline::After(*policy.timeout);
    deadline_ = TimeAfter(now, *policy.timeout);
    StartTimeout(now);
  } else {
    deadline_ = call_deadline_.On(environment_);
  }
  retry_.emplace(policy.retry, method.MayRepeat(policy), environment_,
                 method.retry_budget());
  began_ = now;
  attempts_ = 1;
  MutexLock lock(mutex_);
  permit_ = std::move(permit);
  started_ = now;
  return std::nullopt;
}

// An attempt of the library's has a deadline as well, for its server to know.
void StreamCall::StartTimeout(MonotonicTime now) {
  const auto left = absl::FromChrono(deadline_ - now);
  timeout_.emplace(left,
                   attempts_ == 0 ? info_.context.c_call()
                                  : result_.attempt->context().c_call(),
                   info_.channel, environment_);
}

void StreamCall::Abandon() {
  timeout_.reset();
  MutexLock lock(mutex_);
  permit_ = {};
}

void StreamCall::Cancel() {
  std::shared_ptr<StreamAttempt> attempt;
  std::shared_ptr<BackoffWait> wait;
  {
    MutexLock lock(mutex_);
    cancelled_.store(true, std::memory_order_relaxed);
    attempt = attempt_;
    wait = wait_;
  }
  if (attempt != nullptr) attempt->Cancel();
  if (wait != nullptr) wait->Cancel();
}

void StreamCall::NoteMetadata() {
  if (cancelled()) return;
  MutexLock lock(mutex_);
  metadata_at_ = environment_.Now();
}

void StreamCall::NoteMessage() {
  if (answered()) return;
  MutexLock lock(mutex_);
  if (answered_.exchange(true, std::memory_order_relaxed)) return;
  permit_.NoteResponse(environment_.Now());
}

void StreamCall::EndAttempt(grpc::Status status,
                            const ReceivedMetadata& trailers, bool lacks_reply,
                            bool committed, Next next) {
  timeout_.reset();
  const MonotonicTime now = environment_.Now();
  const std::optional<AttemptVerdict> verdict =
      Record(status, trailers, lacks_reply, now);
  const RetryDecision decision =
      verdict.has_value()
          ? retry_->Next(verdict->error, verdict->pushback, now, deadline_,
                         committed || cancelled())
          : retry_->Next(ErrorClass(), Pushback(), now, deadline_);
  last_status_ = lacks_reply ? NoMessageReturned() : status;
  result_.history.attempts.push_back({last_status_.error_code(), delay_});
  if (decision.retry()) return Wait(decision.delay, now, std::move(next));
  // Who cancels after a failure forbids a retry of it, no more.
  const bool no_retry_by_caller =
      decision.verdict == RetryDecision::Verdict::kCommitted && !committed;
  const bool by_caller =
      no_retry_by_caller ||
      (cancelled() && status.error_code() == grpc::StatusCode::CANCELLED);
  Finish(std::move(status),
         by_caller ? StopReason::kCancelled : StopReasonOf(decision.verdict),
         std::move(next));
}

// Nothing for a success. A stream may run for hours: what tells of its server
// is when it begins to answer. Of those whose client streams, nothing is slow.
std::optional<AttemptVerdict> StreamCall::Record(
    const grpc::Status& status, const ReceivedMetadata& trailers,
    bool lacks_reply, MonotonicTime now) {
  ErrorOrigin origin;
  origin.cancelled_by_caller =
      cancelled() && status.error_code() == grpc::StatusCode::CANCELLED;
  origin.bad_reply = lacks_reply;
  CircuitBreaker::Permit permit;
  std::optional<MonotonicTime> metadata_at;
  MonotonicTime started;
  {
    MutexLock lock(mutex_);
    permit = std::exchange(permit_, {});
    metadata_at = metadata_at_;
    started = started_;
  }
  // A reader that has seen enough says nothing against the server.
  const bool enough = origin.cancelled_by_caller &&
                      info_.type != Type::CLIENT_STREAMING &&
                      (answered() || metadata_at.has_value());
  if (!enough && (!status.ok() || lacks_reply)) {
    grpc::ClientContext& context =
        result_.attempt != nullptr ? result_.attempt->context() : info_.context;
    const grpc::Status failure = lacks_reply ? NoMessageReturned() : status;
    AttemptVerdict verdict = info_.recorder.RecordFailure(
        permit, failure, context, trailers, origin, now);
    last_failure_ = {failure.error_code(), verdict.error.category};
    info_.recorder.EndAttempt(info_.name, {attempts_, delay_, started, now},
                              failure, verdict.error);
    return verdict;
  }
  if (info_.type == Type::CLIENT_STREAMING) metadata_at = started;
  if (metadata_at.has_value()) permit.NoteResponse(*metadata_at);
  permit.Record(Outcome::kSuccess, now);
  last_failure_ = {status.error_code(), ErrorCategory::kNone};
  info_.recorder.EndAttempt(info_.name, {attempts_, delay_, started, now},
                            status, ErrorClass());
  return std::nullopt;
}

void StreamCall::Wait(absl::Duration delay, MonotonicTime now, Next next) {
  delay_ = delay;
  auto wait = std::make_shared<BackoffWait>(environment_);
  bool cancelled;
  {
    MutexLock lock(mutex_);
    cancelled = this->cancelled();
    attempt_ = nullptr;
    wait_ = wait;
  }
  if (cancelled) wait->Cancel();
  wait->Start(TimeAfter(now, delay), info_.channel->attempts,
              CoreChannelOf(info_.channel_interface), *settings_,
              [self = shared_from_this(),
               next = std::move(next)](BackoffWait::End end) mutable {
                self->OnWaited(end, std::move(next));
              });
}

void StreamCall::OnWaited(BackoffWait::End end, Next next) {
  {
    MutexLock lock(mutex_);
    wait_ = nullptr;
  }
  switch (end) {
    case BackoffWait::End::kOver:
      if (!cancelled()) return Try(std::move(next));
      break;
    case BackoffWait::End::kParentExpired:
      return Finish(DeadlineExceeded(), StopReason::kDeadline, std::move(next));
    case BackoffWait::End::kCancelled:
    case BackoffWait::End::kParentCancelled:
      break;
  }
  Finish(Cancelled(), StopReason::kCancelled, std::move(next));
}

void StreamCall::Try(Next next) {
  const MonotonicTime now = environment_.Now();
  if (now >= deadline_) {
    return Finish(DeadlineExceeded(), StopReason::kDeadline, std::move(next));
  }
  Method& method = info_.method();
  CircuitBreaker::Permit permit = method.breaker().TryAcquire(now);
  if (!permit.admitted()) {
    const Rejection rejection = permit.rejection();
    method.records().AddRejection(rejection.reason);
    result_.trailers.AddRejection(rejection);
    return Finish(RejectionAfter(MakeRejectionStatus(info_.name, rejection),
                                 last_status_),
                  StopReason::kBreakerOpen, std::move(next));
  }
  std::shared_ptr<StreamAttempt> attempt = MakeAttempt();
  bool cancelled;
  {
    MutexLock lock(mutex_);
    cancelled = this->cancelled();
    if (!cancelled) {
      attempt_ = attempt;
      permit_ = std::move(permit);
      started_ = now;
      metadata_at_.reset();
    }
  }
  if (cancelled) {
    return Finish(Cancelled(), StopReason::kCancelled, std::move(next));
  }
  result_.attempt = attempt;
  ++attempts_;
  method.records().AddRetry();
  if (info_.policy().timeout.has_value() &&
      Deadline::Of(info_.context).infinite()) {
    StartTimeout(now);
  }
  std::move(next)(std::move(attempt));
}

std::shared_ptr<StreamAttempt> StreamCall::MakeAttempt() {
  // As interceptors after ours have left them.
  StreamAttempt::SentMetadata metadata = *metadata_;
  metadata.emplace("grpc-previous-rpc-attempts", absl::StrCat(attempts_));
  auto attempt = std::make_shared<StreamAttempt>(*settings_, call_deadline_,
                                                 std::move(metadata));
  AttemptScope scope(info_.channel.get(), &attempt->context());
  attempt->SetUp(*stub_, info_.name, *first_);
  return attempt;
}

void StreamCall::Finish(grpc::Status status, StopReason stopped, Next next) {
  const bool rejected = stopped == StopReason::kBreakerOpen;
  result_.history.stopped = stopped;
  // A stub is content with an OK that lacks its reply; the hook is not.
  const grpc::Status& failure = status.ok() ? last_status_ : status;
  info_.recorder.EndCall({failure, stopped, static_cast<size_t>(attempts_),
                          began_, environment_.Now()},
                         last_failure_);
  if (rejected) result_.attempt = nullptr;
  if (!rejected && result_.attempt == nullptr) result_.attempt = first_;
  if (attempts_ > 1 || !status.ok()) {
    result_.trailers.AddHistory(result_.history);
  }
  const bool cancelled =
      this->cancelled() && failure.error_code() == grpc::StatusCode::CANCELLED;
  if (!failure.ok() && !cancelled) {
    FailedCall call;
    call.method = info_.name;
    call.request = nullptr;
    call.status = failure;
    call.attempts = attempts_;
    call.rejected = rejected;
    call.history = result_.history;
    info_.recorder.NotifyFinalFailure(call);
  }
  AddHistory(result_.history, &status);
  result_.status = std::move(status);
  std::move(next)(nullptr);
}

}  // namespace grpc_breaker::internal
