#ifndef GRPC_BREAKER_ADMIN_BREAKER_WATCH_H_
#define GRPC_BREAKER_ADMIN_BREAKER_WATCH_H_

// One WatchBreakers call: a snapshot, then changes.
//
// There is one write at a time. What happens meanwhile is only noted, once per
// breaker and at most once per channel that is gone, and read when its turn to
// be written comes: so a slow reader costs a bounded amount of memory and gets
// the latest state.
//
// Lifetime: deletes itself when gRPC is done with the call.
//
// Thread-safe. No lock is held while gRPC or a registry is called.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/admin/breaker_filter.h"
#include "grpc_breaker/admin/breaker_message.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/admin/watch_hub.h"
#include "grpc_breaker/registry.h"
#include "grpcpp/support/server_callback.h"

namespace grpc_breaker::internal {

class BreakerWatch
    : public grpc::ServerWriteReactor<admin::v1::WatchBreakersResponse>,
      private WatchHub::Watcher {
 public:
  BreakerWatch(std::shared_ptr<WatchHub> hub, BreakerFilter filter,
               ErrorMessages error_messages = ErrorMessages::kHidden)
      : hub_(std::move(hub)),
        filter_(std::move(filter)),
        error_messages_(error_messages) {}

  // One of these two, once. gRPC may have been given the watch before. If there
  // are as many watches as there may be, it is refused.
  void Start() ABSL_LOCKS_EXCLUDED(mutex_);
  void Refuse(grpc::Status status);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  using Response = admin::v1::WatchBreakersResponse;

  struct Entry {
    std::weak_ptr<const Registry> registry;
    const Method* method = nullptr;  // Lives as long as the registry.

    // Its place in queue_; 0 if nothing is to be written.
    uint64_t ticket = 0;
    Response::Kind kind = Response::KIND_UNSPECIFIED;
    std::string cause;
    bool was_in_filter = false;  // In any of the states since the last write.

    bool written = false;
    uint64_t written_transitions = 0;
  };
  // The end of the snapshot has neither channel nor method; a channel that is
  // gone has no method.
  using Entries = std::map<BreakerName, Entry>;

  ~BreakerWatch() override = default;

  void OnChanges(const std::vector<BreakerChange>& changes) override;

  void EnqueueSnapshot();
  void EnqueueChange(const BreakerChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EnqueueRemoval(const std::string& channel)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Entry& Enqueue(const BreakerName& name, Response::Kind kind)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // True if the caller has become the one who may start operations, and has to
  // call StartNext.
  bool Claim() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Writes what is next, or finishes, or lets go of the claim.
  void StartNext() ABSL_LOCKS_EXCLUDED(mutex_);
  // Takes what is next out of the queue; false if there is nothing.
  bool Dequeue(BreakerName* name, Entry* entry)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Puts it into response_; false if it is not to be written after all.
  bool Fill(const BreakerName& name, const Entry& entry)
      ABSL_LOCKS_EXCLUDED(mutex_);

  const std::shared_ptr<WatchHub> hub_;
  const BreakerFilter filter_;
  const ErrorMessages error_messages_;
  Response response_;  // Belongs to who has claimed, and to the write.

  absl::Mutex mutex_;
  Entries entries_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, BreakerName> queue_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_ticket_ ABSL_GUARDED_BY(mutex_) = 0;
  // Somebody may start operations: at first Start(), then who has claimed it;
  // from Finish() on for good.
  bool claimed_ ABSL_GUARDED_BY(mutex_) = true;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_ADMIN_BREAKER_WATCH_H_
