#ifndef GRPC_BREAKER_RPC_STREAM_BATCH_H_
#define GRPC_BREAKER_RPC_STREAM_BATCH_H_

// A batch of a streaming call that is held while its call is repeated: what it
// asks for, and how it runs once more, on another call of the core.
//
// A batch comes to Intercept before it runs on the core's call, and again when
// it has run. From then on, until it proceeds, its tag on the application's
// completion queue is free: another batch of the core with that tag comes back
// through the very same Intercept, on a thread of the application. So all that
// retries need of the core is done under the tags of batches that are held. The
// types of messages are not asked for; a read that is run again parses its
// message by itself.
//
// What it takes of gRPC is in registry/grpc_compat.h; without that, no batch is
// known.
//
// Asking for the class of a batch takes some ten instructions for a message
// that is sent, and a thousand for a read; so that is asked as little as may
// be.
//
// Thread-compatible: a view of the batch.

#include <cstdint>
#include <memory>

#include "grpc/grpc.h"
#include "grpc_breaker/rpc/batch_access.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/impl/call.h"
#include "grpcpp/impl/call_op_set.h"
#include "grpcpp/support/byte_buffer.h"

namespace grpc_breaker::internal {

class StreamBatch {
 public:
  using Operations = grpc::internal::CallOpSetInterface;
  using Methods = grpc::internal::InterceptorBatchMethodsImpl;
  using Deserializer = std::unique_ptr<grpc::internal::DeserializeFunc>;

  explicit StreamBatch(Batch* batch);

  // gRPC's own: what follows is for those only.
  bool known() const { return operations_ != nullptr; }
  Batch* batch() const { return batch_; }

  bool has_run() const;
  // By an interceptor after ours, which answers the call by itself.
  bool hijacked() const;
  // Its place has, not: it does.
  bool CanReceiveMetadata() const;
  bool ReceivesStatus() const;
  // Of one that receives initial metadata by themselves: not a queue's.
  bool IsReactors() const;
  // Whether `ok` can be told and set: it can for all but reads.
  bool KnowsOk() const { return FindOk() != nullptr; }
  bool ok() const {
    const bool* ok = FindOk();
    return ok == nullptr || *ok;
  }
  // What the application is told; a message of it has not failed then.
  void SetOk(bool ok);

  void* tag() const { return operations_->core_cq_tag(); }
  grpc::internal::Call call() const;
  // Before it runs: where. After that: the call's own, with whose reference it
  // began.
  void SetCall(const grpc::internal::Call& call);

  // Of the message that it sends.
  grpc::WriteOptions message_options() const;

  // Before it runs: none of it shall reach the core. For a batch whose
  // operations are not used again.
  void Hijack() { operations_->SetHijackingState(); }
  // Its metadata were received otherwise.
  void SkipMetadata();
  // Takes what parses the reply, if it has one, and leaves something in its
  // place.
  void ShareDeserializer(std::shared_ptr<grpc::internal::DeserializeFunc>* to);

  // A read that has run: once more, on the call that was set.
  void ReadAgain(void* message);

  // For those interceptors that come after ours: what was there when the batch
  // first came back, as a mask.
  uint32_t hooks() const;
  void RestoreHooks(uint32_t hooks);

 private:
  bool* FindOk() const;

  Batch* batch_;
  [[maybe_unused]] Methods* methods_ = nullptr;
  Operations* operations_ = nullptr;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_STREAM_BATCH_H_
