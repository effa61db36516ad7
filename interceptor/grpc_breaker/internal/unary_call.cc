#include "grpc_breaker/internal/unary_call.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/internal/classify.h"

namespace grpc_breaker {
namespace internal {
namespace {

using WallTime = std::chrono::system_clock::time_point;

thread_local const void* making_attempt_for = nullptr;

WallTime CallDeadline(WallTime callers, const Policy& policy) {
  if (callers != WallTime::max() || !policy.timeout.has_value()) return callers;
  return std::chrono::system_clock::now() +
         absl::ToChronoNanoseconds(*policy.timeout);
}

// The same moment on the environment's clock.
MonotonicTime ToMonotonic(WallTime deadline, Environment& environment) {
  if (deadline == WallTime::max()) return MonotonicTime::max();
  return environment.Now() + (deadline - std::chrono::system_clock::now());
}

}  // namespace

AttemptScope::AttemptScope(const void* factory)
    : outer_(std::exchange(making_attempt_for, factory)) {}

AttemptScope::~AttemptScope() { making_attempt_for = outer_; }

bool AttemptScope::IsActive(const void* factory) {
  return making_attempt_for == factory;
}

UnaryCall::UnaryCall(std::shared_ptr<Registry> registry, Method& method,
                     const void* factory,
                     std::unique_ptr<grpc::ChannelInterface> channel,
                     UnaryRequest request)
    : registry_(std::move(registry)),
      method_(method),
      environment_(registry_->environment()),
      factory_(factory),
      stub_(std::move(channel)),
      request_(std::move(request)),
      wall_deadline_(CallDeadline(request_.deadline, method.policy())),
      deadline_(ToMonotonic(wall_deadline_, environment_)),
      retry_(method.policy().retry, method.repeatable(), environment_,
             method.retry_budget()) {}

void UnaryCall::Start(Done done) {
  done_ = std::move(done);
  Try();
}

void UnaryCall::Cancel() {
  std::shared_ptr<Attempt> attempt;
  bool in_backoff = false;
  {
    absl::MutexLock lock(&mutex_);
    cancelled_ = true;
    attempt = attempt_;
    if (timer_ != Environment::kNoTimer) {
      // If the timer cannot be stopped any more, OnTimer sees cancelled_.
      in_backoff =
          environment_.Cancel(std::exchange(timer_, Environment::kNoTimer));
    }
  }
  if (attempt != nullptr) attempt->Cancel();
  if (in_backoff) {
    PostToAttemptQueue(
        [self = shared_from_this()] { self->FinishCancelled(); });
  }
}

void UnaryCall::Try() {
  const MonotonicTime now = environment_.Now();
  if (now >= deadline_) {
    // Without asking the breaker: the attempt could only fail, through no fault
    // of the server.
    return Finish(End::kExhausted, DeadlineExceeded());
  }
  CircuitBreaker::Permit permit = method_.breaker().TryAcquire(now);
  if (!permit.admitted()) return OnRejected(permit.rejection(), now);

  std::shared_ptr<Attempt> attempt = MakeAttempt(now);
  bool cancelled;
  {
    absl::MutexLock lock(&mutex_);
    cancelled = cancelled_;
    if (!cancelled) attempt_ = attempt;
  }
  if (cancelled) return FinishCancelled();
  permit_ = std::move(permit);
  ++attempts_;
  AttemptScope scope(factory_);
  attempt->Start(&stub_, request_.method, request_.message,
                 [self = shared_from_this()] { self->OnAttemptDone(); });
}

std::shared_ptr<Attempt> UnaryCall::MakeAttempt(MonotonicTime now) {
  auto attempt = std::make_shared<Attempt>();
  grpc::ClientContext* context = attempt->mutable_context();
  request_.settings.ApplyTo(context);
  for (const auto& [key, value] : request_.metadata) {
    context->AddMetadata(key, value);
  }
  if (attempts_ > 0) {
    context->AddMetadata("grpc-previous-rpc-attempts", absl::StrCat(attempts_));
  }

  const std::optional<absl::Duration>& timeout =
      method_.policy().attempt_timeout;
  attempt_times_out_first_ =
      timeout.has_value() && (deadline_ == MonotonicTime::max() ||
                              *timeout < absl::FromChrono(deadline_ - now));
  if (attempt_times_out_first_) {
    context->set_deadline(std::chrono::system_clock::now() +
                          absl::ToChronoNanoseconds(*timeout));
  } else if (wall_deadline_ != WallTime::max()) {
    context->set_deadline(wall_deadline_);
  }
  return attempt;
}

void UnaryCall::OnRejected(const Rejection& rejection, MonotonicTime now) {
  if (method_.policy().wait_when_rejected) {
    const RetryDecision decision =
        retry_.NextAfterRejection(rejection.retry_after, now, deadline_);
    if (decision.retry()) return Wait(decision.delay, now);
  }
  rejection_ = rejection;
  grpc::Status status = MakeRejectionStatus(request_.method, rejection);
  if (last_attempt_ != nullptr) {
    status = grpc::Status(status.error_code(),
                          absl::StrCat(status.error_message(), "; last error: ",
                                       last_attempt_->status().error_message()),
                          status.error_details());
  }
  Finish(End::kRejected, std::move(status));
}

void UnaryCall::OnAttemptDone() {
  std::shared_ptr<Attempt> attempt;
  bool cancelled;
  {
    absl::MutexLock lock(&mutex_);
    attempt = std::move(attempt_);
    cancelled = cancelled_;
  }
  const MonotonicTime now = environment_.Now();
  const ErrorClass error = Classify(*attempt, cancelled, now);
  const Pushback pushback =
      PushbackOf(attempt->context().GetServerTrailingMetadata());
  permit_.Record(error.outcome, now, DetailsOf(error, pushback));
  const grpc::Status& status = attempt->status();
  last_attempt_ = attempt;
  if (!status.ok()) {
    method_.RecordError({status.error_code(), status.error_message(), error,
                         environment_.WallNow()});
    if (cancelled) return FinishCancelled();
  }
  const RetryDecision decision = retry_.Next(error, pushback, now, deadline_);
  if (decision.retry()) return Wait(decision.delay, now);
  Finish(EndOf(decision.verdict), status);
}

ErrorClass UnaryCall::Classify(const Attempt& attempt, bool cancelled,
                               MonotonicTime now) const {
  ErrorOrigin origin;
  origin.cancelled_by_caller = cancelled;
  origin.attempt_timeout = attempt_times_out_first_ && now < deadline_;
  return ClassifyAttempt(method_.policy(), attempt.status(), attempt.context(),
                         origin);
}

UnaryCall::End UnaryCall::EndOf(RetryDecision::Verdict verdict) {
  switch (verdict) {
    case RetryDecision::Verdict::kSucceeded:
      return End::kSucceeded;
    case RetryDecision::Verdict::kNotRetryable:
    case RetryDecision::Verdict::kNotIdempotent:
    case RetryDecision::Verdict::kPushback:
      return End::kNotRetryable;
    case RetryDecision::Verdict::kRetry:
    case RetryDecision::Verdict::kExhausted:
    case RetryDecision::Verdict::kBudget:
    case RetryDecision::Verdict::kDeadline:
      break;
  }
  return End::kExhausted;
}

void UnaryCall::Wait(absl::Duration delay, MonotonicTime now) {
  {
    absl::MutexLock lock(&mutex_);
    if (!cancelled_) {
      timer_ =
          environment_.RunAt(TimeAfter(now, delay),
                             [self = shared_from_this()] { self->OnTimer(); });
      return;
    }
  }
  FinishCancelled();
}

void UnaryCall::OnTimer() {
  bool cancelled;
  {
    absl::MutexLock lock(&mutex_);
    timer_ = Environment::kNoTimer;
    cancelled = cancelled_;
  }
  if (cancelled) return FinishCancelled();
  Try();
}

void UnaryCall::FinishCancelled() {
  Finish(End::kCancelled,
         grpc::Status(grpc::StatusCode::CANCELLED, "CANCELLED"));
}

void UnaryCall::Finish(End end, grpc::Status status) {
  UnaryResult result;
  result.status = std::move(status);
  // A rejection is ours: the metadata of an attempt before it is not its.
  if (end != End::kRejected) result.attempt = std::move(last_attempt_);
  if (end == End::kSucceeded) result.reply = result.attempt->reply();
  if (attempts_ > 1) result.notes.AddAttempts(attempts_);
  if (rejection_.has_value()) result.notes.AddRejection(*rejection_);
  if (end != End::kSucceeded && end != End::kCancelled) {
    OnFinalFailure(end, &result);
  }
  std::move(done_)(std::move(result));
}

void UnaryCall::OnFinalFailure(End end, UnaryResult* result) {
  const Policy& policy = method_.policy();
  const Fallback& fallback = policy.fallback;
  const bool falls_back =
      fallback.function != nullptr &&
      ((end == End::kRejected && fallback.on_rejection) ||
       (end == End::kNotRetryable && fallback.on_not_retryable) ||
       (end == End::kExhausted && fallback.on_exhaustion));
  if (!falls_back && policy.on_final_failure == nullptr) return;

  FailedCall call;
  call.method = request_.method;
  call.request = &request_.message;
  call.status = result->status;
  call.attempts = attempts_;
  call.rejected = end == End::kRejected;
  if (policy.on_final_failure != nullptr) policy.on_final_failure(call);
  if (!falls_back) return;
  FallbackResult answer = fallback.function(call);
  result->status = std::move(answer.status);
  grpc::Slice reply(answer.reply);
  result->reply = grpc::ByteBuffer(&reply, 1);
}

}  // namespace internal
}  // namespace grpc_breaker
