#include "grpc_breaker/rpc/backoff_wait.h"

#include <utility>

#include "grpc_breaker/mutex_lock.h"

namespace grpc_breaker::internal {

void BackoffWait::Start(MonotonicTime when, std::shared_ptr<AttemptQueue> queue,
                        grpc_channel* channel, const ContextSettings& settings,
                        Done done) {
  done_ = std::move(done);
  const std::shared_ptr<BackoffWait> self = shared_from_this();
  std::shared_ptr<ParentWatch> watch;
  if (channel != nullptr && settings.parent() != nullptr) {
    watch = ParentWatch::Start(
        std::move(queue), channel, settings, [self](grpc_status_code code) {
          self->EndEarly(code == GRPC_STATUS_DEADLINE_EXCEEDED
                             ? End::kParentExpired
                             : End::kParentCancelled);
        });
  }
  std::optional<End> too_early;
  {
    MutexLock lock(mutex_);
    watch_ = std::move(watch);
    timer_ = environment_.RunAt(when, [self] {
      if (self->Claim()) self->Finish(End::kOver);
    });
    started_ = true;
    too_early = too_early_;
  }
  if (too_early.has_value()) {
    Environment::Default().Run([self, end = *too_early] { self->Finish(end); });
  }
}

void BackoffWait::Cancel() { EndEarly(End::kCancelled); }

void BackoffWait::EndEarly(End end) {
  if (!Claim()) return;
  {
    MutexLock lock(mutex_);
    if (!started_) {
      too_early_ = end;
      return;
    }
  }
  // Never here and now, as an environment that a test moves by hand would.
  Environment::Default().Run(
      [self = shared_from_this(), end] { self->Finish(end); });
}

void BackoffWait::Drop() {
  const bool over = !Claim();
  StopTimerAndWatch();
  if (!over) done_ = nullptr;  // With what it holds.
}

void BackoffWait::Finish(End end) {
  StopTimerAndWatch();
  Done done = std::move(done_);
  std::move(done)(end);
}

void BackoffWait::StopTimerAndWatch() {
  std::shared_ptr<ParentWatch> watch;
  {
    // Also keeps Drop from returning while another thread does this.
    MutexLock lock(mutex_);
    watch = std::move(watch_);
    if (timer_ != Environment::kNoTimer) {
      environment_.Cancel(std::exchange(timer_, Environment::kNoTimer));
    }
  }
  if (watch != nullptr) watch->Stop();
}

}  // namespace grpc_breaker::internal
