#ifndef GRPC_BREAKER_FLEET_CALLS_UNDER_WAY_H_
#define GRPC_BREAKER_FLEET_CALLS_UNDER_WAY_H_

// RPCs that their threads wait for, and another thread may end.
//
// Thread-safe. No lock is held while gRPC is called.

#include <memory>
#include <set>

#include "absl/base/thread_annotations.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpcpp/client_context.h"

namespace grpc_breaker::internal {

class CallsUnderWay {
 public:
  // One of them, as long as it lives, which `calls` outlives.
  // Thread-compatible.
  class Call {
   public:
    explicit Call(CallsUnderWay& calls)
        : calls_(calls), context_(std::make_shared<grpc::ClientContext>()) {
      if (!calls_.Enter(context_)) context_->TryCancel();
    }
    ~Call() { calls_.Leave(context_); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    grpc::ClientContext& context() { return *context_; }

   private:
    CallsUnderWay& calls_;
    const std::shared_ptr<grpc::ClientContext> context_;
  };

  // Ends them by CANCELLED, and so each that begins later.
  void Cancel() ABSL_LOCKS_EXCLUDED(mutex_) {
    std::set<std::shared_ptr<grpc::ClientContext>> contexts;
    {
      MutexLock lock(mutex_);
      cancelled_ = true;
      contexts = contexts_;
    }
    for (const auto& context : contexts) context->TryCancel();
  }

 private:
  // False: it is to end at once.
  bool Enter(const std::shared_ptr<grpc::ClientContext>& context)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    contexts_.insert(context);
    return !cancelled_;
  }
  void Leave(const std::shared_ptr<grpc::ClientContext>& context)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    contexts_.erase(context);
  }

  Mutex mutex_;
  std::set<std::shared_ptr<grpc::ClientContext>> contexts_
      ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_FLEET_CALLS_UNDER_WAY_H_
