#include "grpc_breaker/rpc/call_timeout.h"

#include <memory>

#include "grpc/grpc_security.h"
#if __has_include("grpc/credentials.h")
#include "grpc/credentials.h"
#endif
#include "grpc/slice.h"
#include "grpc/support/time.h"
#include "grpc_breaker/rpc/attempt_queue.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

// A call that nobody answers.
class CallTimeoutTest : public ::testing::Test {
 protected:
  CallTimeoutTest()
      : library_(std::make_shared<AttemptQueue>()),
        queue_(grpc_completion_queue_create_for_next(nullptr)) {
    grpc_channel_credentials* credentials = grpc_insecure_credentials_create();
    channel_ = grpc_channel_create("127.0.0.1:1", credentials, nullptr);
    grpc_channel_credentials_release(credentials);
    call_ = grpc_channel_create_call(
        channel_, nullptr, GRPC_PROPAGATE_DEFAULTS, queue_,
        grpc_slice_from_static_string("/pkg.S/M"), nullptr,
        gpr_inf_future(GPR_CLOCK_MONOTONIC), nullptr);
    grpc_metadata_array_init(&trailers_);
    grpc_op op{};
    op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    op.data.recv_status_on_client.trailing_metadata = &trailers_;
    op.data.recv_status_on_client.status = &status_;
    op.data.recv_status_on_client.status_details = &details_;
    grpc_call_start_batch(call_, &op, 1, nullptr, nullptr);
  }
  ~CallTimeoutTest() override {
    if (call_ != nullptr) LetGo();
    grpc_channel_destroy(channel_);
    grpc_completion_queue_shutdown(queue_);
    while (Next(gpr_inf_future(GPR_CLOCK_REALTIME)) != GRPC_QUEUE_SHUTDOWN) {
    }
    grpc_completion_queue_destroy(queue_);
    grpc_slice_unref(details_);
    grpc_metadata_array_destroy(&trailers_);
  }

  grpc_completion_type Next(gpr_timespec deadline) {
    return grpc_completion_queue_next(queue_, deadline, nullptr).type;
  }
  bool HasEnded() {
    return Next(gpr_inf_past(GPR_CLOCK_REALTIME)) == GRPC_OP_COMPLETE;
  }
  void WaitForEnd() {
    ASSERT_EQ(Next(gpr_inf_future(GPR_CLOCK_REALTIME)), GRPC_OP_COMPLETE);
  }
  // As an application does with its context.
  void LetGo() {
    grpc_call_cancel(call_, nullptr);
    grpc_call_unref(call_);
    call_ = nullptr;
  }

  ManualEnvironment environment_;
  const std::shared_ptr<AttemptQueue> library_;
  grpc_completion_queue* const queue_;
  grpc_channel* channel_;
  grpc_call* call_;
  grpc_metadata_array trailers_;
  grpc_status_code status_ = GRPC_STATUS_OK;
  grpc_slice details_ = grpc_empty_slice();
};

TEST_F(CallTimeoutTest, EndsTheCallAsADeadlineDoes) {
  const CallTimeout timeout(absl::Seconds(5), call_, library_, environment_);
  environment_.Advance(absl::Milliseconds(4999));
  EXPECT_FALSE(HasEnded());

  environment_.Advance(absl::Milliseconds(1));
  WaitForEnd();

  EXPECT_EQ(status_, GRPC_STATUS_DEADLINE_EXCEEDED);
}

TEST_F(CallTimeoutTest, GoesWithItsObject) {
  {
    const CallTimeout timeout(absl::Seconds(5), call_, library_, environment_);
    EXPECT_EQ(environment_.pending_timers(), 1u);
  }
  EXPECT_EQ(environment_.pending_timers(), 0u);
  environment_.Advance(absl::Minutes(1));
  EXPECT_FALSE(HasEnded());
}

TEST_F(CallTimeoutTest, FindsACallThatItsOwnerHasLetGo) {
  const CallTimeout timeout(absl::Seconds(5), call_, library_, environment_);
  LetGo();
  WaitForEnd();
  EXPECT_EQ(status_, GRPC_STATUS_CANCELLED);

  environment_.Advance(absl::Minutes(1));
}

TEST_F(CallTimeoutTest, KeepsTheLibraryAsLongAsItRefersToTheCall) {
  std::weak_ptr<AttemptQueue> library;
  {
    auto own = std::make_shared<AttemptQueue>();
    library = own;
    const CallTimeout timeout(absl::Seconds(5), call_, std::move(own),
                              environment_);
    EXPECT_FALSE(library.expired());
  }
  EXPECT_TRUE(library.expired());
}

}  // namespace
}  // namespace grpc_breaker::internal
