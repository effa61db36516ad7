#include "grpc_breaker/rpc/batch_access.h"

#include "grpc_breaker/rpc/private_member.h"

#if GRPC_BREAKER_HAS_PRIVATE_ACCESS
#include <memory>

#include "google/protobuf/message_lite.h"
#include "grpcpp/impl/call_op_set.h"
#if __has_include("grpcpp/impl/interceptor_common.h")
#include "grpcpp/impl/interceptor_common.h"
#else
#include "grpcpp/impl/codegen/interceptor_common.h"
#endif
#if __has_include("grpcpp/impl/proto_utils.h")
#include "grpcpp/impl/proto_utils.h"
#else
#include "grpcpp/impl/codegen/proto_utils.h"
#endif
#endif  // GRPC_BREAKER_HAS_PRIVATE_ACCESS

namespace grpc_breaker::internal {

using grpc::experimental::InterceptorBatchMethods;

#if GRPC_BREAKER_HAS_PRIVATE_ACCESS
using google::protobuf::MessageLite;
using grpc::internal::CallOpGenericRecvMessage;
using grpc::internal::CallOpRecvInitialMetadata;
using grpc::internal::CallOpRecvMessage;
using grpc::internal::CallOpSetInterface;
using grpc::internal::InterceptorBatchMethodsImpl;

struct Operations : MemberOf<InterceptorBatchMethodsImpl, CallOpSetInterface*> {
  friend Pointer Get(Operations);
};

struct Deserializer
    : MemberOf<CallOpGenericRecvMessage,
               std::unique_ptr<grpc::internal::DeserializeFunc>> {
  friend Pointer Get(Deserializer);
};

struct Buffer : MemberOf<grpc::ByteBuffer, grpc_byte_buffer*> {
  friend Pointer Get(Buffer);
};

struct HijackedMetadata : MemberOf<CallOpRecvInitialMetadata, bool> {
  friend Pointer Get(HijackedMetadata);
};

template struct PrivateMember<Operations, &InterceptorBatchMethodsImpl::ops_>;
template struct PrivateMember<Deserializer,
                              &CallOpGenericRecvMessage::deserialize_>;
template struct PrivateMember<Buffer, &grpc::ByteBuffer::buffer_>;
template struct PrivateMember<HijackedMetadata,
                              &CallOpRecvInitialMetadata::hijacked_>;

namespace {

// What a ClientUnaryReactor's call begins with. The reply is in its second
// batch, together with a function that parses it.
using ReactorStart =
    grpc::internal::CallOpSet<grpc::internal::CallOpSendInitialMetadata,
                              grpc::internal::CallOpSendMessage,
                              grpc::internal::CallOpClientSendClose,
                              CallOpRecvInitialMetadata>;

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
    return grpc::SerializationTraits<MessageLite>::Deserialize(
               &reply, static_cast<MessageLite*>(message))
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
