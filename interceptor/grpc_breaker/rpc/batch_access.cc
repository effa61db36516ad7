#include "grpc_breaker/rpc/batch_access.h"

#include <typeinfo>
#include <utility>

#include "google/protobuf/message_lite.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/registry/grpc_compat.h"
#include "grpc_breaker/registry/wire_status.h"
#include "grpc_breaker/rpc/added_trailers.h"

namespace grpc_breaker::internal {

using grpc::experimental::InterceptorBatchMethods;

grpc::Status TakeStatus(InterceptorBatchMethods* batch) {
  NormalizeReceived(batch->GetRecvStatus());
  AddedTrailers::EraseFrom(batch->GetRecvTrailingMetadata());
  return *batch->GetRecvStatus();
}

#if GRPC_BREAKER_HAS_PRIVATE_ACCESS
using google::protobuf::MessageLite;
using grpc::internal::CallOpGenericRecvMessage;
using grpc::internal::CallOpRecvInitialMetadata;
using grpc::internal::CallOpRecvMessage;

namespace {

// Null for a batch that is not gRPC's own, as in tests. A cast of classes like
// these takes some hundred instructions, a look at what they are does not.
CallOpSetInterface* OperationsOf(InterceptorBatchMethods* batch) {
  auto* impl = typeid(*batch) == typeid(InterceptorBatchMethodsImpl)
                   ? static_cast<InterceptorBatchMethodsImpl*>(batch)
                   : dynamic_cast<InterceptorBatchMethodsImpl*>(batch);
  return impl != nullptr ? impl->*Get(Operations()) : nullptr;
}

// Null where the reply is of another type.
CallOpRecvMessage<MessageLite>* FindMessage(CallOpSetInterface* operations) {
  if (typeid(*operations) == typeid(DirectUnary)) {
    return static_cast<DirectUnary*>(operations);
  }
  if (typeid(*operations) == typeid(QueuedUnary)) {
    return static_cast<QueuedUnary*>(operations);
  }
  return dynamic_cast<CallOpRecvMessage<MessageLite>*>(operations);
}

// For what looks at the batch from now on, gRPC's synchronous stub included.
bool NoteMessage(InterceptorBatchMethods* batch, void* message,
                 bool* got_message) {
  if (!*got_message) {
    *got_message = true;
    static_cast<InterceptorBatchMethodsImpl*>(batch)->SetRecvMessage(message,
                                                                     nullptr);
  }
  return true;
}

}  // namespace

bool CanFillReply(InterceptorBatchMethods* batch) {
  CallOpSetInterface* operations = OperationsOf(batch);
  if (operations == nullptr) return false;
  return FindMessage(operations) != nullptr ||
         dynamic_cast<CallOpRecvMessage<grpc::ByteBuffer>*>(operations) !=
             nullptr ||
         IsReactorStart(batch);
}

bool FillReply(InterceptorBatchMethods* batch, void* message,
               const grpc::ByteBuffer& reply) {
  CallOpSetInterface* operations = OperationsOf(batch);
  if (message == nullptr || operations == nullptr) return false;
  if (CallOpRecvMessage<MessageLite>* receives = FindMessage(operations)) {
    return ParseMessage(reply, static_cast<MessageLite*>(message)).ok() &&
           NoteMessage(batch, message, &receives->got_message);
  }
  if (auto* receives =
          dynamic_cast<CallOpRecvMessage<grpc::ByteBuffer>*>(operations)) {
    *static_cast<grpc::ByteBuffer*>(message) = reply;
    return NoteMessage(batch, message, &receives->got_message);
  }
  auto* erased = dynamic_cast<CallOpGenericRecvMessage*>(operations);
  if (erased == nullptr) return false;
  grpc::ByteBuffer parsing = reply;
  const bool parsed =
      (erased->*Get(Deserializer()))->Deserialize(&parsing).ok();
  parsing.Release();  // It was taken over, as gRPC assumes, too.
  return parsed;
}

// What a callback API has completed is told to a tag of its own, and what a
// queue has is of another class.
bool IsSynchronous(InterceptorBatchMethods* batch) {
  CallOpSetInterface* operations = OperationsOf(batch);
  return operations != nullptr && typeid(*operations) == typeid(DirectUnary) &&
         operations->core_cq_tag() == operations;
}

void FinishOk(InterceptorBatchMethods* batch) {
  auto* queued = dynamic_cast<QueuedUnary*>(OperationsOf(batch));
  if (queued != nullptr) queued->*Get(QueuedUnaryOk()) = true;
}

bool IsReactorStart(InterceptorBatchMethods* batch) {
  return dynamic_cast<ReactorStart*>(OperationsOf(batch)) != nullptr;
}

void FailInitialMetadata(InterceptorBatchMethods* batch, grpc_call* call) {
  auto* metadata =
      dynamic_cast<CallOpRecvInitialMetadata*>(OperationsOf(batch));
  if (metadata == nullptr || call == nullptr) return;
  metadata->*Get(HijackedMetadata()) = false;
  grpc_call_cancel(call, nullptr);
}

#else

bool CanFillReply(InterceptorBatchMethods* /*batch*/) { return false; }

bool FillReply(InterceptorBatchMethods* /*batch*/, void* /*message*/,
               const grpc::ByteBuffer& /*reply*/) {
  return false;
}

bool IsSynchronous(InterceptorBatchMethods* /*batch*/) { return false; }

void FinishOk(InterceptorBatchMethods* /*batch*/) {}

bool IsReactorStart(InterceptorBatchMethods* /*batch*/) { return false; }

void FailInitialMetadata(InterceptorBatchMethods* /*batch*/,
                         grpc_call* /*call*/) {}

#endif  // GRPC_BREAKER_HAS_PRIVATE_ACCESS

}  // namespace grpc_breaker::internal
