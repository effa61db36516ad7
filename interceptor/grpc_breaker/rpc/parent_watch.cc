#include "grpc_breaker/rpc/parent_watch.h"

#include <utility>

#include "grpc/slice.h"
#include "grpc/support/alloc.h"
#include "grpc/support/time.h"

namespace grpc_breaker::internal {
namespace {

class Watch final : public ParentWatch,
                    private grpc::internal::CompletionQueueTag {
 public:
  Watch(std::shared_ptr<AttemptQueue> queue, grpc_channel* channel,
        const ContextSettings& settings,
        absl::AnyInvocable<void(grpc_status_code) &&> on_end)
      : queue_(std::move(queue)),
        on_end_(std::move(on_end)),
        call_(grpc_channel_create_call(
            channel, settings.parent().get(), settings.propagation_mask(),
            queue_->queue()->cq(), grpc_slice_from_static_string("/"), nullptr,
            gpr_inf_future(GPR_CLOCK_MONOTONIC), nullptr)) {
    grpc_metadata_array_init(&trailers_);
  }
  ~Watch() override {
    grpc_metadata_array_destroy(&trailers_);
    grpc_slice_unref(message_);
    grpc_call_unref(call_);
  }

  void Start(std::shared_ptr<Watch> self) {
    self_ = std::move(self);
    grpc_op op{};
    op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    op.data.recv_status_on_client.trailing_metadata = &trailers_;
    op.data.recv_status_on_client.status = &status_;
    op.data.recv_status_on_client.status_details = &message_;
    grpc_call_start_batch(call_, &op, 1, static_cast<CompletionQueueTag*>(this),
                          nullptr);
  }

  void Stop() override {
    if (!over_.exchange(true)) grpc_call_cancel(call_, nullptr);
  }

 private:
  // The end of the batch. Nothing is left to tell the queue's other threads.
  bool FinalizeResult(void** /*tag*/, bool* /*ok*/) override {
    const std::shared_ptr<Watch> self = std::move(self_);
    absl::AnyInvocable<void(grpc_status_code)&&> on_end = std::move(on_end_);
    if (!over_.exchange(true)) std::move(on_end)(status_);
    return false;
  }

  const std::shared_ptr<AttemptQueue> queue_;
  absl::AnyInvocable<void(grpc_status_code) &&> on_end_;
  grpc_call* const call_;
  grpc_metadata_array trailers_;
  grpc_status_code status_ = GRPC_STATUS_OK;
  grpc_slice message_ = grpc_empty_slice();
  std::atomic<bool> over_{false};
  std::shared_ptr<Watch> self_;  // Until the batch ends.
};

}  // namespace

std::shared_ptr<ParentWatch> ParentWatch::Start(
    std::shared_ptr<AttemptQueue> queue, grpc_channel* channel,
    const ContextSettings& settings,
    absl::AnyInvocable<void(grpc_status_code) &&> on_end) {
  auto watch = std::make_shared<Watch>(std::move(queue), channel, settings,
                                       std::move(on_end));
  watch->Start(watch);
  return watch;
}

}  // namespace grpc_breaker::internal
