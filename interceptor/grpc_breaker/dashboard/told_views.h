#ifndef GRPC_BREAKER_DASHBOARD_TOLD_VIEWS_H_
#define GRPC_BREAKER_DASHBOARD_TOLD_VIEWS_H_

// What pages have been told lately, so that they can be told what is new since.
//
// Thread-safe.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/fleet/fleet_snapshot.h"
#include "grpc_breaker/mutex_lock.h"

namespace grpc_breaker::internal {

class ToldViews {
 public:
  // As many as pages have open requests, and a few for those that are slower.
  static constexpr size_t kMost = 32;

  void Remember(std::shared_ptr<const FleetSnapshot> view)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    for (const auto& known : views_) {
      if (known->version == view->version) return;
    }
    views_.push_back(std::move(view));
    if (views_.size() > kMost) views_.pop_front();
  }

  // Null: it was too long ago, or never.
  std::shared_ptr<const FleetSnapshot> Find(uint64_t version) const
      ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    for (const auto& view : views_) {
      if (view->version == version) return view;
    }
    return nullptr;
  }

 private:
  mutable absl::Mutex mutex_;
  std::deque<std::shared_ptr<const FleetSnapshot>> views_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_DASHBOARD_TOLD_VIEWS_H_
