#include "grpc_breaker/rpc/backoff_wait.h"

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "grpc_breaker/rpc/context_access.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "tests/environments.h"

namespace grpc_breaker::internal {
namespace {

// Counts who comes when it should have gone.
class GoneEnvironment final : public DelegatingEnvironment {
 public:
  bool Cancel(TimerId timer) override {
    if (gone_) ++late_;
    return DelegatingEnvironment::Cancel(timer);
  }
  void Go() { gone_ = true; }
  int late() const { return late_; }

 private:
  std::atomic<bool> gone_{false};
  std::atomic<int> late_{0};
};

class BackoffWaitTest : public ::testing::Test {
 protected:
  void Start(BackoffWait::Done done) {
    wait_->Start(TimeAfter(environment_.Now(), absl::Seconds(1)),
                 AttemptQueue::Get(), nullptr, ContextSettings(context_),
                 std::move(done));
  }

  grpc::ClientContext context_;
  GoneEnvironment environment_;
  std::shared_ptr<BackoffWait> wait_ =
      std::make_shared<BackoffWait>(environment_);
};

TEST_F(BackoffWaitTest, EndsAtItsTime) {
  std::optional<BackoffWait::End> end;
  Start([&](BackoffWait::End how) { end = how; });
  EXPECT_FALSE(end.has_value());

  environment_.Advance(absl::Seconds(1));

  EXPECT_EQ(end, BackoffWait::End::kOver);
}

TEST_F(BackoffWaitTest, EndsEarlyWhenItIsCancelledAlsoBeforeItHasStarted) {
  for (const bool before : {false, true}) {
    wait_ = std::make_shared<BackoffWait>(environment_);
    absl::Notification ended;
    BackoffWait::End end;
    if (before) wait_->Cancel();
    Start([&](BackoffWait::End how) {
      end = how;
      ended.Notify();
    });
    if (!before) wait_->Cancel();
    ended.WaitForNotification();

    EXPECT_EQ(end, BackoffWait::End::kCancelled);
    environment_.Advance(absl::Seconds(1));
  }
}

TEST_F(BackoffWaitTest, DropEndsItWithoutAWord) {
  auto held = std::make_shared<int>();
  const std::weak_ptr<int> what_it_held = held;
  Start([held = std::move(held)](BackoffWait::End) { FAIL(); });

  wait_->Drop();

  EXPECT_TRUE(what_it_held.expired());
  environment_.Advance(absl::Seconds(1));
}

// A cancellation hands the end to another thread, which may be slow.
TEST_F(BackoffWaitTest, EnvironmentMayGoAfterDropWhateverElseEndsIt) {
  for (int i = 0; i < 200; ++i) {
    GoneEnvironment environment;
    wait_ = std::make_shared<BackoffWait>(environment);
    absl::Notification ended;
    wait_->Start(TimeAfter(environment.Now(), absl::Seconds(1)),
                 AttemptQueue::Get(), nullptr, ContextSettings(context_),
                 [&](BackoffWait::End) { ended.Notify(); });

    wait_->Cancel();
    wait_->Drop();
    environment.Go();

    ended.WaitForNotification();
    EXPECT_EQ(environment.late(), 0);
  }
}

}  // namespace
}  // namespace grpc_breaker::internal
