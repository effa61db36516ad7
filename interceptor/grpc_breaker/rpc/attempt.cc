#include "grpc_breaker/rpc/attempt.h"

#include <utility>

#include "grpc_breaker/registry/wire_status.h"
#include "grpc_breaker/rpc/classify.h"

namespace grpc_breaker::internal {

void Attempt::Start(grpc::GenericStub* stub, AttemptQueue* queue,
                    const std::string& method, const grpc::ByteBuffer& request,
                    Done done) {
  self_ = shared_from_this();
  done_ = std::move(done);
  StartOn(queue->queue(), stub, method, request);
}

void Attempt::Run(grpc::GenericStub* stub, grpc::CompletionQueue* queue,
                  const std::string& method, const grpc::ByteBuffer& request) {
  StartOn(queue, stub, method, request);
  void* tag;
  bool ok;
  queue->Next(&tag, &ok);
  TakeStatus();
}

void Attempt::StartOn(grpc::CompletionQueue* queue, grpc::GenericStub* stub,
                      const std::string& method,
                      const grpc::ByteBuffer& request) {
  reader_ = stub->PrepareUnaryCall(&context_, method, request, queue);
  // In one batch: gRPC 1.51 sometimes never tells of initial metadata by
  // themselves when a proxy answers with a page of HTML.
  reader_->StartCall();
  reader_->Finish(reply_.mutable_buffer(), &status_,
                  static_cast<Completion*>(this));
}

void Attempt::Complete(bool /*ok*/) {
  TakeStatus();
  const std::shared_ptr<Attempt> self = std::move(self_);
  std::move(done_)(*this);
  done_ = nullptr;  // With what it holds.
}

void Attempt::TakeStatus() {
  lacks_reply_ = status_.ok() && !reply_.buffer().Valid();
  if (lacks_reply_) status_ = NoMessageReturned();
  NormalizeReceived(&status_);
}

}  // namespace grpc_breaker::internal
