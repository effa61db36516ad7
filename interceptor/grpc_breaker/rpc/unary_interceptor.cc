#include "grpc_breaker/rpc/unary_interceptor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/registry/status_details.h"
#include "grpc_breaker/rpc/classify.h"
#include "grpc_breaker/rpc/context_access.h"
#include "grpc_breaker/rpc/deadline.h"

namespace grpc_breaker::internal {
namespace {

// Those of an attempt before have no place beside it.
void Replace(const ReceivedMetadata& metadata, ReceivedMetadata* received) {
  received->clear();
  received->insert(metadata.begin(), metadata.end());
}

}  // namespace

UnaryInterceptor::~UnaryInterceptor() {
  if (call_owner_ == nullptr) return;
  call_owner_->Abandon();
  if (status_delivered_.load()) return;
  UnaryCall::Ending ending = call_owner_->ending();
  ending.status = Cancelled();
  ending.history.stopped = StopReason::kCancelled;
  call_owner_->CountAs(ending);
}

void UnaryInterceptor::Intercept(Batch* batch) {
  if (Has(batch, HookPoint::PRE_SEND_CANCEL)) return Cancel();
  if (ObservingInterceptor* native = native_.load(std::memory_order_acquire)) {
    return native->Intercept(batch);
  }
  switch (way_) {
    case Way::kUndecided:
      if (!Has(batch, HookPoint::PRE_SEND_INITIAL_METADATA)) break;
      return Begin(batch);
    case Way::kNativeFirst:
      if (!Has(batch, HookPoint::POST_RECV_STATUS)) break;
      return FinishNatively(batch);
    case Way::kHijacked:
      if (!Has(batch, HookPoint::PRE_RECV_INITIAL_METADATA) &&
          !Has(batch, HookPoint::PRE_RECV_MESSAGE) &&
          !Has(batch, HookPoint::PRE_RECV_STATUS)) {
        break;
      }
      return call_owner_->WhenDone([this, batch] { Deliver(batch); });
    case Way::kOver:
      break;
  }
  batch->Proceed();
}

void UnaryInterceptor::Begin(Batch* batch) {
  if (!Has(batch, HookPoint::PRE_SEND_MESSAGE) || !CanFillReply(batch)) {
    RunNatively(batch);
  } else if (CanStartNatively(batch)) {
    StartNatively(batch);
  } else {
    Hijack(batch, std::nullopt);
  }
}

// Under the locks of the application's context. What is stored meanwhile by
// RunNatively or MakeCall sees cancelled_.
void UnaryInterceptor::Cancel() {
  cancelled_.store(true);
  if (UnaryCall* call = call_.load()) call->Cancel();
  if (ObservingInterceptor* native = native_.load()) native->OnCancel();
}

void UnaryInterceptor::RunNatively(Batch* batch) {
  native_owner_ = std::make_unique<ObservingInterceptor>(info_);
  native_.store(native_owner_.get());
  if (cancelled_.load()) native_owner_->OnCancel();
  native_owner_->Intercept(batch);
}

bool UnaryInterceptor::CanStartNatively(Batch* batch) const {
  const Policy& policy = info_.policy();
  if (!EndsWithStatus(batch) || info_.hedged() ||
      policy.attempt_timeout.has_value() || policy.wait_for_ready.has_value() ||
      !policy.authority.empty()) {
    return false;
  }
  const Deadline deadline = Deadline::Of(info_.context);
  // The server shall be told of the policy's, and a call that is too late
  // says nothing of it.
  return deadline.infinite() ? !policy.timeout.has_value() : !deadline.passed();
}

// Interceptors before ours may have gone on on a thread that others wait for.
bool UnaryInterceptor::CallerWaits(Batch* batch) const {
  return std::this_thread::get_id() == callers_thread_ && IsSynchronous(batch);
}

void UnaryInterceptor::StartNatively(Batch* batch) {
  started_ = info_.environment().Now();
  permit_ = info_.method().breaker().TryAcquire(started_);
  if (!permit_.admitted()) return Hijack(batch, permit_.rejection());
  way_ = Way::kNativeFirst;
  // Both are gone, or changed by other interceptors, when the call has failed.
  request_ = SharedBytes(*batch->GetSerializedSendMessage());
  metadata_ = *batch->GetSendInitialMetadata();
  reply_ = batch->GetRecvMessage();
  batch->Proceed();
}

// May end the call, and with it this interceptor.
void UnaryInterceptor::FinishNatively(Batch* batch) {
  way_ = Way::kOver;
  const MonotonicTime now = info_.environment().Now();
  grpc::Status status = TakeStatus(batch);
  const bool lacks_reply = LacksReply(batch);
  if (status.ok() && !lacks_reply) {
    permit_.Record(Outcome::kSuccess, now);
    info_.recorder.EndAtOnce(info_.name,
                             {1, absl::ZeroDuration(), started_, now});
    if (RetryBudget* budget = info_.method().retry_budget()) {
      budget->RecordCall(info_.environment());
      budget->RecordSuccess();
    }
    return batch->Proceed();
  }
  if (lacks_reply) {
    status = NoMessageReturned();
    FinishOk(batch);
  }
  NativeAttempt first{
      std::move(status),  info_.context, batch->GetRecvTrailingMetadata(),
      std::move(permit_), started_,      now,
      lacks_reply};
  MakeCall().StartAfter(std::move(first), batch->GetInterceptedChannel(),
                        RequestOf(std::move(request_), std::move(metadata_)));
  call_owner_->WhenDone([this, batch] { Deliver(batch); });
}

void UnaryInterceptor::Hijack(Batch* batch,
                              std::optional<Rejection> rejection) {
  way_ = Way::kHijacked;
  UnaryCall& call = MakeCall();
  UnaryRequest request =
      RequestOf(SharedBytes(*batch->GetSerializedSendMessage()),
                *batch->GetSendInitialMetadata());
  std::unique_ptr<grpc::ChannelInterface> channel =
      batch->GetInterceptedChannel();
  const std::shared_ptr<UnaryCall> keeps_call = call_owner_;
  const bool waits = CallerWaits(batch);
  // Enters Intercept again, with the receive operations of this batch.
  batch->Hijack();
  // May end the call, and with it this interceptor.
  call.Start(std::move(channel), std::move(request), rejection, waits);
}

UnaryCall& UnaryInterceptor::MakeCall() {
  call_owner_ = std::make_shared<UnaryCall>(info_);
  call_.store(call_owner_.get());
  if (cancelled_.load()) call_owner_->Cancel();
  return *call_owner_;
}

UnaryRequest UnaryInterceptor::RequestOf(
    SharedBytes message, std::multimap<std::string, std::string> metadata) {
  UnaryRequest request{
      std::move(message), std::move(metadata), ContextSettings(info_.context),
      Deadline::Of(info_.context), CoreChannelOf(info_.channel_interface)};
  const Policy& policy = info_.policy();
  request.settings.SetDefaults(policy.wait_for_ready, policy.authority);
  return request;
}

// Of a hijacked batch, or at the end of one whose attempt failed. May end the
// call, and with it this interceptor.
void UnaryInterceptor::Deliver(Batch* batch) {
  if ((Has(batch, HookPoint::PRE_RECV_MESSAGE) ||
       Has(batch, HookPoint::POST_RECV_MESSAGE)) &&
      !reply_delivered_.exchange(true)) {
    DeliverReply(batch);
  }
  if (Has(batch, HookPoint::PRE_RECV_INITIAL_METADATA) ||
      Has(batch, HookPoint::POST_RECV_INITIAL_METADATA)) {
    DeliverInitialMetadata(batch);
  }
  if ((Has(batch, HookPoint::PRE_RECV_STATUS) ||
       Has(batch, HookPoint::POST_RECV_STATUS)) &&
      !status_delivered_.exchange(true)) {
    DeliverStatus(batch);
  }
  batch->Proceed();
}

void UnaryInterceptor::DeliverReply(Batch* batch) {
  UnaryCall& call = *call_owner_;
  const bool hijacked = Has(batch, HookPoint::PRE_RECV_MESSAGE);
  void* message = hijacked ? batch->GetRecvMessage() : reply_;
  const auto fail = [&] {
    if (hijacked) batch->FailHijackedRecvMessage();
  };
  if (!call.result().status.ok()) return fail();
  if (FillReply(batch, message, call.result().reply.buffer()))
    return call.AcceptReply();
  UnaryResult refused = call.RefuseReply();
  if (refused.status.ok() &&
      !FillReply(batch, message, refused.reply.buffer())) {
    refused.status = grpc::Status(
        grpc::StatusCode::INTERNAL,
        absl::StrCat(info_.name, ": the fallback's reply does not parse"));
  }
  if (!refused.status.ok()) fail();
  call.SetEnding({std::move(refused.status), std::move(refused.history)});
}

void UnaryInterceptor::DeliverInitialMetadata(Batch* batch) {
  const UnaryResult& result = call_owner_->result();
  if (!result.of_native_attempt) {
    Replace(result.attempt != nullptr
                ? result.attempt->context().GetServerInitialMetadata()
                : ReceivedMetadata(),
            batch->GetRecvInitialMetadata());
  }
  if (AsksForMetadataAlone(batch) && !HasInitialMetadata(batch)) {
    FailInitialMetadata(batch, info_.context.c_call());
  }
}

void UnaryInterceptor::DeliverStatus(Batch* batch) {
  const UnaryResult& result = call_owner_->result();
  UnaryCall::Ending ending = call_owner_->ending();
  call_owner_->CountAs(ending);
  auto& [status, history] = ending;
  const bool at_once =
      history.stopped == StopReason::kSucceeded && history.attempts.size() == 1;
  if (!at_once) {
    AddHistory(history, &status);
    added_.AddHistory(history);
  }
  if (result.rejection.has_value()) added_.AddRejection(*result.rejection);
  *batch->GetRecvStatus() = std::move(status);
  ReceivedMetadata* trailers = batch->GetRecvTrailingMetadata();
  if (result.attempt != nullptr) {
    Replace(result.attempt->context().GetServerTrailingMetadata(), trailers);
    AddedTrailers::EraseFrom(trailers);
    CopyDebugErrorString(result.attempt->context(), &info_.context);
  } else if (!result.of_native_attempt) {
    trailers->clear();
  }
  added_.AppendTo(trailers);
}

// Whether the application of a bare channel would be told of initial metadata,
// as far as that is known of an attempt afterwards.
bool UnaryInterceptor::HasInitialMetadata(Batch* batch) const {
  const UnaryResult& result = call_owner_->result();
  if (result.status.ok()) return true;
  if (result.attempt == nullptr) return false;
  grpc::ClientContext* context = result.attempt->mutable_context();
  const grpc::Status& status = result.attempt->status();
  if (internal::HasInitialMetadata(status, *context)) return true;
  // A queue is told of those of an answer without any.
  return !IsReactorStart(batch) && MayHaveAnswer(status, *context);
}

}  // namespace grpc_breaker::internal
