#include "grpc_breaker/internal/attempt.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "grpc_breaker/internal/classify.h"
#include "grpcpp/alarm.h"

namespace grpc_breaker {
namespace internal {
namespace {

class PostedFunction final : public Completion {
 public:
  explicit PostedFunction(absl::AnyInvocable<void() &&> function)
      : function_(std::move(function)) {
    alarm_.Set(AttemptQueue(), gpr_now(GPR_CLOCK_MONOTONIC), this);
  }

  void Complete(bool /*ok*/) override {
    std::move(function_)();
    delete this;
  }

 private:
  grpc::Alarm alarm_;
  absl::AnyInvocable<void() &&> function_;
};

void Poll(grpc::CompletionQueue* queue) {
  void* tag;
  bool ok;
  while (queue->Next(&tag, &ok)) static_cast<Completion*>(tag)->Complete(ok);
}

grpc::CompletionQueue* StartAttemptQueue() {
  auto* queue = new grpc::CompletionQueue;
  const unsigned threads =
      std::clamp(std::thread::hardware_concurrency() / 2, 1u, 8u);
  for (unsigned i = 0; i < threads; ++i) std::thread(Poll, queue).detach();
  return queue;
}

}  // namespace

grpc::CompletionQueue* AttemptQueue() {
  static grpc::CompletionQueue* const queue = StartAttemptQueue();
  return queue;
}

void PostToAttemptQueue(absl::AnyInvocable<void() &&> function) {
  new PostedFunction(std::move(function));  // Deletes itself.
}

void Attempt::Start(grpc::GenericStub* stub, const std::string& method,
                    const grpc::ByteBuffer& request,
                    absl::AnyInvocable<void() &&> done) {
  done_ = std::move(done);
  reader_ = stub->PrepareUnaryCall(&context_, method, request, AttemptQueue());
  reader_->StartCall();
  reader_->Finish(&reply_, &status_, static_cast<Completion*>(this));
}

void Attempt::Complete(bool /*ok*/) {
  if (status_.ok() && !reply_.Valid()) {
    status_ = NoMessageReturned();
  }
  // The function may drop the last reference to this attempt.
  absl::AnyInvocable<void()&&> done = std::move(done_);
  std::move(done)();
}

}  // namespace internal
}  // namespace grpc_breaker
