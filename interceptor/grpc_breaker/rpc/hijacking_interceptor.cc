#include "grpc_breaker/rpc/hijacking_interceptor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc_breaker/error_origin.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/rpc/context_access.h"
#include "grpc_breaker/rpc/deadline.h"

namespace grpc_breaker::internal {

void HijackingInterceptor::Intercept(Batch* batch) {
  if (Has(batch, HookPoint::PRE_SEND_CANCEL)) return Cancel();
  if (ObservingInterceptor* native = native_.load(std::memory_order_acquire)) {
    return native->Intercept(batch);
  }
  if (Has(batch, HookPoint::PRE_SEND_INITIAL_METADATA)) {
    return Has(batch, HookPoint::PRE_SEND_MESSAGE) && CanFillReply(batch)
               ? StartCall(batch)
               : RunNatively(batch);
  }
  if (Has(batch, HookPoint::PRE_RECV_INITIAL_METADATA) ||
      Has(batch, HookPoint::PRE_RECV_MESSAGE) ||
      Has(batch, HookPoint::PRE_RECV_STATUS)) {
    return call_->WhenDone([this, batch] { Deliver(batch); });
  }
  batch->Proceed();
}

void HijackingInterceptor::RunNatively(Batch* batch) {
  native_owner_ = std::make_unique<ObservingInterceptor>(info());
  native_.store(native_owner_.get(), std::memory_order_release);
  // A cancellation before this is seen here, and one after it sees native_.
  if (call_->cancelled()) native_owner_->OnCancel();
  native_owner_->Intercept(batch);
}

// Under the locks of the application's context.
void HijackingInterceptor::Cancel() {
  call_->Cancel();
  ObservingInterceptor* native = native_.load(std::memory_order_acquire);
  if (native != nullptr) native->OnCancel();
}

void HijackingInterceptor::StartCall(Batch* batch) {
  UnaryRequest request{
      *batch->GetSerializedSendMessage(), *batch->GetSendInitialMetadata(),
      ContextSettings(info().context), Deadline::Of(info().context),
      CoreChannelOf(info().channel_interface)};
  const Policy& policy = info().policy();
  request.settings.SetDefaults(policy.wait_for_ready, policy.authority);
  const std::shared_ptr<UnaryCall> call = call_;
  std::unique_ptr<grpc::ChannelInterface> channel =
      batch->GetInterceptedChannel();
  // Enters Intercept again, with the receive operations of this batch.
  batch->Hijack();
  // May end the call, and with it this interceptor.
  call->Start(std::move(channel), std::move(request));
}

// May end the call, and with it this interceptor.
void HijackingInterceptor::Deliver(Batch* batch) {
  if (Has(batch, HookPoint::PRE_RECV_MESSAGE)) DeliverReply(batch);
  const UnaryResult& result = call_->result();
  const Attempt* attempt = result.attempt.get();
  if (Has(batch, HookPoint::PRE_RECV_INITIAL_METADATA)) {
    if (attempt != nullptr) {
      const auto& metadata = attempt->context().GetServerInitialMetadata();
      batch->GetRecvInitialMetadata()->insert(metadata.begin(), metadata.end());
    }
    if (AsksForMetadataAlone(batch) && !HasInitialMetadata(batch)) {
      FailInitialMetadata(batch, info().context.c_call());
    }
  }
  if (Has(batch, HookPoint::PRE_RECV_STATUS)) {
    *batch->GetRecvStatus() = call_->FinalStatus();
    ReceivedMetadata* trailers = batch->GetRecvTrailingMetadata();
    if (attempt != nullptr) {
      const auto& metadata = attempt->context().GetServerTrailingMetadata();
      trailers->insert(metadata.begin(), metadata.end());
      AddedTrailers::EraseFrom(trailers);
      CopyDebugErrorString(attempt->context(), &info().context);
    }
    result.trailers.AppendTo(trailers);
  }
  batch->Proceed();
}

void HijackingInterceptor::DeliverReply(Batch* batch) {
  const UnaryResult& result = call_->result();
  if (!result.status.ok()) return batch->FailHijackedRecvMessage();
  if (FillReply(batch, result.reply)) return call_->AcceptReply();
  UnaryResult refused = call_->RefuseReply();
  if (refused.status.ok() && !FillReply(batch, refused.reply)) {
    refused.status = grpc::Status(
        grpc::StatusCode::INTERNAL,
        absl::StrCat(info().name, ": the fallback's reply does not parse"));
  }
  if (!refused.status.ok()) batch->FailHijackedRecvMessage();
  call_->SetFinalStatus(std::move(refused.status));
}

// Whether the application of a bare channel would be told of initial metadata,
// as far as that is known of an attempt afterwards.
bool HijackingInterceptor::HasInitialMetadata(Batch* batch) const {
  const UnaryResult& result = call_->result();
  if (result.status.ok()) return true;
  if (result.attempt == nullptr) return false;
  grpc::ClientContext* context = result.attempt->mutable_context();
  const grpc::Status& status = result.attempt->status();
  if (!context->GetServerInitialMetadata().empty()) return true;
  if (OriginOf(status, *context).server_answered == false) return false;
  return !IsReactorStart(batch) ||
         !HasTrailersOnly(status.error_message(), *context);
}

}  // namespace grpc_breaker::internal
