#ifndef GRPC_BREAKER_RPC_ATTEMPT_H_
#define GRPC_BREAKER_RPC_ATTEMPT_H_

// One try of a unary call on the wire.

#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "grpc_breaker/rpc/attempt_queue.h"
#include "grpc_breaker/rpc/shared_bytes.h"
#include "grpcpp/client_context.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker::internal {

// Thread-compatible, but for Cancel, which may be called at any time from any
// thread. Held by shared_ptr, since cancelling races with completion.
class Attempt final : public std::enable_shared_from_this<Attempt>,
                      private Completion {
 public:
  using Done = absl::AnyInvocable<void(Attempt&) &&>;

  Attempt() = default;

  // For settings; before Start.
  grpc::ClientContext* mutable_context() { return &context_; }

  // Calls `done` once, on a thread of the attempt queue. The attempt keeps
  // itself alive until then.
  void Start(grpc::GenericStub* stub, AttemptQueue* queue,
             const std::string& method, const grpc::ByteBuffer& request,
             Done done);

  // Returns when the attempt is over; the calling thread does all the waiting
  // and polling, on the queue, which is its own meanwhile.
  void Run(grpc::GenericStub* stub, grpc::CompletionQueue* queue,
           const std::string& method, const grpc::ByteBuffer& request);

  // Its status becomes CANCELLED, unless it has one already.
  void Cancel() { context_.TryCancel(); }

  // After completion. The status is never OK without a reply.
  const grpc::ClientContext& context() const { return context_; }
  const grpc::Status& status() const { return status_; }
  SharedBytes TakeReply() { return std::move(reply_); }
  // The server said OK, but sent none.
  bool lacks_reply() const { return lacks_reply_; }

 private:
  void StartOn(grpc::CompletionQueue* queue, grpc::GenericStub* stub,
               const std::string& method, const grpc::ByteBuffer& request);
  void Complete(bool ok) override;
  void TakeStatus();

  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader_;
  SharedBytes reply_;
  grpc::Status status_;
  bool lacks_reply_ = false;
  // From Start to completion.
  std::shared_ptr<Attempt> self_;
  Done done_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_ATTEMPT_H_
