#include "grpc_breaker/rpc/observing_interceptor.h"

#include <utility>

#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/registry/status_details.h"
#include "grpc_breaker/rpc/classify.h"
#include "grpc_breaker/rpc/deadline.h"
#include "grpc_breaker/stats/call_records.h"

namespace grpc_breaker::internal {

using Type = CallInfo::RpcInfo::Type;

namespace {

// Of a call that was cancelled or too late before it began.
StopReason StoppedWithoutAttempt(const grpc::Status& status) {
  if (status.ok()) return StopReason::kSucceeded;  // Another interceptor's.
  return status.error_code() == grpc::StatusCode::CANCELLED
             ? StopReason::kCancelled
             : StopReason::kDeadline;
}

}  // namespace

ObservingInterceptor::~ObservingInterceptor() {
  if (permit_.admitted()) call_.recorder.EndAbandoned(1, started_, started_);
}

void ObservingInterceptor::Intercept(Batch* batch) {
  if (Has(batch, HookPoint::PRE_SEND_CANCEL)) return OnCancel();
  const Phase phase = phase_.load(std::memory_order_acquire);
  if (Rejected(phase)) {
    // First, because the batches of a hijacked CQ stream claim again and again
    // to send initial metadata.
    EndCorked(batch);
    FailOperations(batch);
  } else if (Has(batch, HookPoint::PRE_SEND_INITIAL_METADATA) &&
             (phase == Phase::kIdle || phase == Phase::kCorked)) {
    KeepRequest(batch);
    if (!Admit()) return Reject(batch);
  } else {
    Observe(batch);
  }
  batch->Proceed();
}

void ObservingInterceptor::Refuse(CircuitBreaker::Permit permit, bool corked,
                                  Batch* batch) {
  permit_ = std::move(permit);
  if (corked) NoteCorked();
  Reject(batch);
}

bool ObservingInterceptor::server_streams() const {
  return call_.type == Type::SERVER_STREAMING ||
         call_.type == Type::BIDI_STREAMING;
}

bool ObservingInterceptor::client_streams() const {
  return call_.type == Type::CLIENT_STREAMING ||
         call_.type == Type::BIDI_STREAMING;
}

void ObservingInterceptor::NoteCorked() {
  Phase idle = Phase::kIdle;
  phase_.compare_exchange_strong(idle, Phase::kCorked,
                                 std::memory_order_relaxed);
}

// Returns the phase before, and changes nothing if the call has begun, or has
// ended before it did.
ObservingInterceptor::Phase ObservingInterceptor::BeginAs(Phase next) {
  Phase before = phase_.load(std::memory_order_relaxed);
  while (!Begun(before) && !phase_.compare_exchange_weak(
                               before, next, std::memory_order_acq_rel)) {
  }
  return before;
}

// A hook may ask for it at the end.
void ObservingInterceptor::KeepRequest(Batch* batch) {
  if (call_.type == Type::UNARY && Has(batch, HookPoint::PRE_SEND_MESSAGE) &&
      call_.policy().on_final_failure != nullptr) {
    request_ = *batch->GetSerializedSendMessage();
  }
}

bool ObservingInterceptor::Admit() {
  started_ = call_.environment().Now();
  if (Deadline::Of(call_.context).passed()) {
    // It can only fail, through no fault of the server.
    BeginAs(Phase::kUncounted);
    return true;
  }
  permit_ = call_.method().breaker().TryAcquire(started_);
  if (!permit_.admitted()) return false;
  StartTimeout();
  if (Begun(BeginAs(Phase::kAdmitted))) {
    timeout_.reset();
    permit_ = {};
  }
  return true;
}

void ObservingInterceptor::StartTimeout() {
  const std::optional<absl::Duration>& timeout = call_.policy().timeout;
  if (timeout.has_value() && Deadline::Of(call_.context).infinite()) {
    timeout_.emplace(*timeout, call_.context.c_call(), call_.channel,
                     call_.environment());
  }
}

void ObservingInterceptor::Reject(Batch* batch) {
  const Rejection rejection = permit_.rejection();
  const MonotonicTime now = call_.environment().Now();
  call_.method().records().AddRejection(rejection.reason);
  const CallHistory history{{}, StopReason::kBreakerOpen};
  const grpc::Status status = MakeRejectionStatus(call_.name, rejection);
  bool ended;
  {
    MutexLock lock(mutex_);
    ended = Begun(phase_.load(std::memory_order_relaxed));
    if (!ended) {
      refused_ = true;
      status_ = status;
      AddHistory(history, &status_);
      trailers_.AddHistory(history);
      trailers_.AddRejection(rejection);
    }
  }
  // Its batches find that out by themselves.
  if (ended) return batch->Proceed();
  call_.recorder.EndCall({status, history.stopped, /*attempts=*/0, now, now});
  NotifyFinalFailure(status, history);
  FailSend(batch);
  if (phase_.exchange(Phase::kRejected, std::memory_order_acq_rel) ==
      Phase::kCorked) {
    ends_corked_.store(batch, std::memory_order_relaxed);
  }
  // Enters Intercept again, with the receive operations of this batch.
  batch->Hijack();
}

// A corked stream's receive operations have reached the core, and would wait
// there for ever. Not before gRPC has noted that the call is hijacked: they
// come back on other threads, which ask for that.
void ObservingInterceptor::EndCorked(Batch* batch) {
  if (ends_corked_.load(std::memory_order_relaxed) != batch) return;
  ends_corked_.store(nullptr, std::memory_order_relaxed);
  call_.context.TryCancel();
}

// Not for calls with one request, whose send shares a batch with what delivers
// the status.
void ObservingInterceptor::FailSend(Batch* batch) {
  if (client_streams() && Has(batch, HookPoint::PRE_SEND_MESSAGE)) {
    batch->FailHijackedSendMessage();
  }
}

void ObservingInterceptor::FailOperations(Batch* batch) {
  FailSend(batch);
  if (AsksForMetadataAlone(batch)) {
    FailInitialMetadata(batch, call_.context.c_call());
  }
  // Without this a reader would see messages that nobody sent.
  if (Has(batch, HookPoint::PRE_RECV_MESSAGE)) batch->FailHijackedRecvMessage();
  // POST: what the core says of a corked stream that EndCorked cancelled.
  if (Has(batch, HookPoint::PRE_RECV_STATUS) ||
      Has(batch, HookPoint::POST_RECV_STATUS)) {
    FillRejection(batch);
  }
}

void ObservingInterceptor::FillRejection(Batch* batch) {
  if (phase_.exchange(Phase::kRejectionTold, std::memory_order_relaxed) ==
      Phase::kRejectionTold) {
    return;
  }
  *batch->GetRecvStatus() = status_;
  trailers_.AppendTo(batch->GetRecvTrailingMetadata());
}

void ObservingInterceptor::Observe(Batch* batch) {
  NoteCorked();
  if (server_streams()) ObserveResponse(batch);
  if (Has(batch, HookPoint::POST_RECV_STATUS)) OnStatus(batch);
}

// A stream may run for hours: what tells of its server is when it begins to
// answer.
void ObservingInterceptor::ObserveResponse(Batch* batch) {
  if (phase_.load(std::memory_order_acquire) != Phase::kAdmitted) return;
  if (Has(batch, HookPoint::POST_RECV_MESSAGE) &&
      batch->GetRecvMessage() != nullptr) {
    MutexLock lock(mutex_);
    Phase admitted = Phase::kAdmitted;
    if (phase_.compare_exchange_strong(admitted, Phase::kAnswered,
                                       std::memory_order_release)) {
      permit_.NoteResponse(call_.environment().Now());
    }
  } else if (Has(batch, HookPoint::POST_RECV_INITIAL_METADATA) &&
             !cancelled_.load(std::memory_order_relaxed)) {
    // Comes for calls that have failed as well: see OnStatus.
    MutexLock lock(mutex_);
    metadata_at_ = call_.environment().Now();
  }
}

void ObservingInterceptor::OnStatus(Batch* batch) {
  bool refused = false;
  bool unbegun = false;
  if (!Begun(phase_.load(std::memory_order_relaxed))) {
    // The core ends a corked stream before it begins if that is cancelled, or
    // its deadline passes.
    MutexLock lock(mutex_);
    refused = refused_;
    unbegun = !refused && !Begun(BeginAs(Phase::kUncounted));
  }
  const Phase phase = phase_.load(std::memory_order_acquire);
  if (refused || Rejected(phase)) return FillRejection(batch);
  grpc::Status status = TakeStatus(batch);
  ErrorOrigin origin;
  origin.cancelled_by_caller =
      cancelled_.load(std::memory_order_relaxed) &&
      status.error_code() == grpc::StatusCode::CANCELLED;
  StopReason stopped;
  if (Admitted(phase)) {
    timeout_.reset();
    stopped = Record(status, origin, batch);
  } else {
    stopped = StoppedWithoutAttempt(status);
    const MonotonicTime now = call_.environment().Now();
    call_.recorder.EndCall(
        {status, stopped, /*attempts=*/0, unbegun ? now : started_, now},
        {status.error_code(), ClassifyError(status, origin).category});
  }
  if (status.ok()) return;
  CallHistory history{{}, stopped};
  if (Admitted(phase)) {
    history.attempts.push_back({status.error_code(), absl::ZeroDuration()});
  }
  if (!origin.cancelled_by_caller) NotifyFinalFailure(status, history);
  // Where the application is going to see an OK without a reply, it has no more
  // to read.
  if (batch->GetRecvStatus()->ok()) return;
  AddHistory(history, batch->GetRecvStatus());
  trailers_.AddHistory(history);
  trailers_.AppendTo(batch->GetRecvTrailingMetadata());
}

// A status that tells of the server may say OK; `status` then becomes what
// gRPC's synchronous stubs make of it. Returns why it stopped, if it failed.
StopReason ObservingInterceptor::Record(grpc::Status& status,
                                        ErrorOrigin origin, Batch* batch) {
  const MonotonicTime now = call_.environment().Now();
  const bool cancelled = origin.cancelled_by_caller;
  origin.bad_reply = LacksReply(batch);
  if (origin.bad_reply) status = NoMessageReturned();
  CircuitBreaker::Permit permit;
  std::optional<MonotonicTime> answered;
  bool enough;
  {
    // The first message of a stream may be noted on another thread.
    MutexLock lock(mutex_);
    permit = std::exchange(permit_, {});
    answered = AnsweredAt();
    // A reader that has seen enough says nothing against the server.
    enough = cancelled &&
             (phase_.load(std::memory_order_relaxed) == Phase::kAnswered ||
              metadata_at_.has_value());
  }
  ErrorClass error;
  if (!status.ok() && !enough) {
    error = call_.recorder
                .RecordFailure(permit, status, call_.context,
                               *batch->GetRecvTrailingMetadata(), origin, now)
                .error;
  } else {
    if (answered.has_value()) permit.NoteResponse(*answered);
    permit.Record(Outcome::kSuccess, now);
  }
  const AttemptTimes times{1, absl::ZeroDuration(), started_, now};
  if (status.ok()) {
    call_.recorder.EndAtOnce(call_.name, times);
    return StopReason::kSucceeded;
  }
  call_.recorder.EndAttempt(call_.name, times, status, error);
  const StopReason stopped = cancelled         ? StopReason::kCancelled
                             : error.retryable ? StopReason::kExhausted
                                               : StopReason::kNotRetryable;
  call_.recorder.EndCall({status, stopped, /*attempts=*/1, started_, now},
                         {status.error_code(), error.category});
  return stopped;
}

// When the server began to answer a stream that went well, where that is known
// only now. How long the application took to send its messages is not the
// server's doing, so that no stream of those is slow.
std::optional<MonotonicTime> ObservingInterceptor::AnsweredAt() const {
  return call_.type == Type::CLIENT_STREAMING ? started_ : metadata_at_;
}

void ObservingInterceptor::NotifyFinalFailure(
    const grpc::Status& status, const CallHistory& history) const {
  const Phase phase = phase_.load(std::memory_order_relaxed);
  FailedCall call;
  call.method = call_.name;
  call.request = request_.has_value() ? &*request_ : nullptr;
  call.status = status;
  call.history = history;
  call.attempts = Admitted(phase) ? 1 : 0;
  call.rejected = !Admitted(phase) && phase != Phase::kUncounted;
  call_.recorder.NotifyFinalFailure(call);
}

}  // namespace grpc_breaker::internal
