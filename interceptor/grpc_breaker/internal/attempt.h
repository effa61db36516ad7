#ifndef GRPC_BREAKER_INTERNAL_ATTEMPT_H_
#define GRPC_BREAKER_INTERNAL_ATTEMPT_H_

// One try of a unary call on the wire, and the completion queue that all of
// them run on.
//
// The queue and its threads are the library's own and are never destroyed: in
// gRPC 1.51 the last reference to a channel that is dropped on a thread of the
// callback API's queue frees that queue under the thread.

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "grpc/support/time.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker {
namespace internal {

// What a tag of the attempt queue points to.
class Completion {
 public:
  virtual ~Completion() = default;
  virtual void Complete(bool ok) = 0;
};

// Started at first use. Thread-safe.
grpc::CompletionQueue* AttemptQueue();

// Runs `function` soon on a thread of the attempt queue, never inside this
// call. Thread-safe.
void PostToAttemptQueue(absl::AnyInvocable<void() &&> function);

// Thread-compatible, but for Cancel, which may be called at any time from any
// thread. Held by shared_ptr, since cancelling races with completion.
class Attempt final : private Completion {
 public:
  Attempt() = default;

  // For settings; before Start.
  grpc::ClientContext* mutable_context() { return &context_; }

  // Calls `done` once, on a thread of the attempt queue. The attempt lives
  // until then.
  void Start(grpc::GenericStub* stub, const std::string& method,
             const grpc::ByteBuffer& request,
             absl::AnyInvocable<void() &&> done);

  // Its status becomes CANCELLED, unless it has one already.
  void Cancel() { context_.TryCancel(); }

  // After completion.
  const grpc::ClientContext& context() const { return context_; }
  const grpc::Status& status() const { return status_; }
  const grpc::ByteBuffer& reply() const { return reply_; }

 private:
  void Complete(bool ok) override;

  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader_;
  grpc::ByteBuffer reply_;
  grpc::Status status_;
  absl::AnyInvocable<void() &&> done_;
};

}  // namespace internal
}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_INTERNAL_ATTEMPT_H_
