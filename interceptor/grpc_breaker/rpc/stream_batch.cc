#include "grpc_breaker/rpc/stream_batch.h"

#include <typeinfo>
#include <utility>

#include "grpc_breaker/registry/grpc_compat.h"

namespace grpc_breaker::internal {

#if GRPC_BREAKER_HAS_PRIVATE_ACCESS
namespace {

using grpc::internal::CallOpGenericRecvMessage;
using grpc::internal::CallOpRecvInitialMetadata;
using grpc::internal::CallOpSendMessage;

constexpr HookPoint kHooksAfter[] = {
    HookPoint::POST_SEND_MESSAGE, HookPoint::POST_RECV_INITIAL_METADATA,
    HookPoint::POST_RECV_MESSAGE, HookPoint::POST_RECV_STATUS};

template <typename Set, typename Tag>
bool* OkOf(StreamBatch::Operations* operations, Tag tag) {
  return typeid(*operations) == typeid(Set)
             ? &(static_cast<Set*>(operations)->*Get(tag))
             : nullptr;
}

// Null for a read and an end, whose classes name a message, or may.
bool* FindOkOfWrite(StreamBatch::Operations* operations) {
  if (bool* ok = OkOf<WriteOps>(operations, OkOfWrite())) return ok;
  if (bool* ok = OkOf<StartOps>(operations, OkOfStart())) return ok;
  if (bool* ok = OkOf<CloseOps>(operations, OkOfClose())) return ok;
  return OkOf<ReactorCloseOps>(operations, OkOfReactorClose());
}
bool* FindOkOfMetadata(StreamBatch::Operations* operations) {
  if (bool* ok = OkOf<MetadataOps>(operations, OkOfMetadata())) return ok;
  if (bool* ok =
          OkOf<ReactorStreamStart>(operations, OkOfReactorStreamStart())) {
    return ok;
  }
  return OkOf<ReactorStart>(operations, OkOfReactorStart());
}

class SharedDeserializer final : public grpc::internal::DeserializeFunc {
 public:
  explicit SharedDeserializer(
      std::shared_ptr<grpc::internal::DeserializeFunc> function)
      : function_(std::move(function)) {}
  grpc::Status Deserialize(grpc::ByteBuffer* buffer) override {
    return function_->Deserialize(buffer);
  }

 private:
  const std::shared_ptr<grpc::internal::DeserializeFunc> function_;
};

}  // namespace

StreamBatch::StreamBatch(Batch* batch) : batch_(batch) {
  if (typeid(*batch) != typeid(Methods)) return;
  methods_ = static_cast<Methods*>(batch);
  operations_ = methods_->*Get(grpc_breaker::internal::Operations());
}

bool* StreamBatch::FindOk() const {
  bool* ok = FindOkOfWrite(operations_);
  return ok != nullptr ? ok : FindOkOfMetadata(operations_);
}

bool StreamBatch::has_run() const { return methods_->*Get(HasRun()); }

bool StreamBatch::hijacked() const {
  return call().client_rpc_info()->*Get(Hijacked());
}

bool StreamBatch::CanReceiveMetadata() const {
  return FindOkOfWrite(operations_) == nullptr &&
         dynamic_cast<CallOpRecvInitialMetadata*>(operations_) != nullptr;
}

bool StreamBatch::ReceivesStatus() const {
  return methods_->GetRecvStatus() != nullptr;
}

bool StreamBatch::IsReactors() const {
  return typeid(*operations_) != typeid(MetadataOps);
}

void StreamBatch::SetOk(bool ok) {
  if (bool* told = FindOk()) *told = ok;
  auto* message = dynamic_cast<CallOpSendMessage*>(operations_);
  if (message != nullptr) message->*Get(MessageFailed()) = !ok;
}

grpc::internal::Call StreamBatch::call() const {
  return *(methods_->*Get(CallOfBatch()));
}

void StreamBatch::SetCall(const grpc::internal::Call& call) {
  *(methods_->*Get(CallOfBatch())) = call;
}

grpc::WriteOptions StreamBatch::message_options() const {
  if (typeid(*operations_) == typeid(WriteOps)) {
    return static_cast<WriteOps*>(operations_)->*Get(MessageOptions());
  }
  auto* message = dynamic_cast<CallOpSendMessage*>(operations_);
  return message != nullptr ? message->*Get(MessageOptions())
                            : grpc::WriteOptions();
}

void StreamBatch::SkipMetadata() {
  auto* metadata = dynamic_cast<CallOpRecvInitialMetadata*>(operations_);
  if (metadata != nullptr) metadata->*Get(HijackedMetadata()) = true;
}

void StreamBatch::ShareDeserializer(
    std::shared_ptr<grpc::internal::DeserializeFunc>* to) {
  auto* reply = dynamic_cast<CallOpGenericRecvMessage*>(operations_);
  if (reply == nullptr) return;
  auto& function = reply->*Get(grpc_breaker::internal::Deserializer());
  *to = std::move(function);
  function = std::make_unique<SharedDeserializer>(*to);
}

void StreamBatch::ReadAgain(void* message) {
  methods_->SetRecvMessage(message, nullptr);
  operations_->ContinueFillOpsAfterInterception();
}

uint32_t StreamBatch::hooks() const {
  uint32_t hooks = 0;
  for (const HookPoint point : kHooksAfter) {
    if (Has(batch_, point)) hooks |= 1u << static_cast<int>(point);
  }
  return hooks;
}

void StreamBatch::RestoreHooks(uint32_t hooks) {
  for (const HookPoint point : kHooksAfter) {
    if ((hooks & (1u << static_cast<int>(point))) != 0) {
      methods_->AddInterceptionHookPoint(point);
    }
  }
}

#else

StreamBatch::StreamBatch(Batch* batch) : batch_(batch) {}
bool StreamBatch::has_run() const { return false; }
bool StreamBatch::hijacked() const { return false; }
bool StreamBatch::CanReceiveMetadata() const { return false; }
bool StreamBatch::ReceivesStatus() const { return false; }
bool StreamBatch::IsReactors() const { return false; }
bool* StreamBatch::FindOk() const { return nullptr; }
void StreamBatch::SetOk(bool /*ok*/) {}
grpc::internal::Call StreamBatch::call() const { return {}; }
void StreamBatch::SetCall(const grpc::internal::Call& /*call*/) {}
grpc::WriteOptions StreamBatch::message_options() const { return {}; }
void StreamBatch::SkipMetadata() {}
void StreamBatch::ShareDeserializer(
    std::shared_ptr<grpc::internal::DeserializeFunc>* /*to*/) {}
void StreamBatch::ReadAgain(void* /*message*/) {}
uint32_t StreamBatch::hooks() const { return 0; }
void StreamBatch::RestoreHooks(uint32_t /*hooks*/) {}

#endif  // GRPC_BREAKER_HAS_PRIVATE_ACCESS

}  // namespace grpc_breaker::internal
