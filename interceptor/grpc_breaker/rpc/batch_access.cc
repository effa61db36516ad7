#include "grpc_breaker/rpc/batch_access.h"

#include <utility>

#include "google/protobuf/message_lite.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/registry/grpc_compat.h"

namespace grpc_breaker::internal {

using grpc::experimental::InterceptorBatchMethods;

#if GRPC_BREAKER_HAS_PRIVATE_ACCESS
using google::protobuf::MessageLite;
using grpc::internal::CallOpGenericRecvMessage;
using grpc::internal::CallOpRecvInitialMetadata;
using grpc::internal::CallOpRecvMessage;

namespace {

// Null for a batch that is not gRPC's own, as in tests.
CallOpSetInterface* OperationsOf(InterceptorBatchMethods* batch) {
  auto* impl = dynamic_cast<InterceptorBatchMethodsImpl*>(batch);
  return impl != nullptr ? impl->*Get(Operations()) : nullptr;
}

}  // namespace

bool CanFillReply(InterceptorBatchMethods* batch) {
  CallOpSetInterface* operations = OperationsOf(batch);
  return dynamic_cast<CallOpRecvMessage<MessageLite>*>(operations) != nullptr ||
         dynamic_cast<CallOpRecvMessage<grpc::ByteBuffer>*>(operations) !=
             nullptr ||
         IsReactorStart(batch);
}

bool FillReply(InterceptorBatchMethods* batch, grpc::ByteBuffer reply) {
  CallOpSetInterface* operations = OperationsOf(batch);
  void* message = batch->GetRecvMessage();
  if (dynamic_cast<CallOpRecvMessage<MessageLite>*>(operations) != nullptr) {
    return ParseMessage(std::move(reply), static_cast<MessageLite*>(message))
        .ok();
  }
  if (dynamic_cast<CallOpRecvMessage<grpc::ByteBuffer>*>(operations) !=
      nullptr) {
    *static_cast<grpc::ByteBuffer*>(message) = reply;
    return true;
  }
  auto* erased = dynamic_cast<CallOpGenericRecvMessage*>(operations);
  if (erased == nullptr) return false;
  const bool parsed = (erased->*Get(Deserializer()))->Deserialize(&reply).ok();
  reply.*Get(Buffer()) = nullptr;  // It was taken over, as gRPC assumes, too.
  return parsed;
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

bool FillReply(InterceptorBatchMethods* /*batch*/, grpc::ByteBuffer /*reply*/) {
  return false;
}

bool IsReactorStart(InterceptorBatchMethods* /*batch*/) { return false; }

void FailInitialMetadata(InterceptorBatchMethods* /*batch*/,
                         grpc_call* /*call*/) {}

#endif  // GRPC_BREAKER_HAS_PRIVATE_ACCESS

}  // namespace grpc_breaker::internal
