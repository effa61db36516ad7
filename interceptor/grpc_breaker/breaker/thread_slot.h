#ifndef GRPC_BREAKER_BREAKER_THREAD_SLOT_H_
#define GRPC_BREAKER_BREAKER_THREAD_SLOT_H_

// Which shard of every sharded counter the calling thread writes to.
//
// The first kExclusiveShards threads that ask have a shard to themselves until
// they exit, and so count without a locked instruction; all further threads
// share the rest, which they must write with atomic read-modify-writes.
//
// Thread-safe.

#include <cstdint>

#include "absl/base/optimization.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

inline constexpr uint32_t kExclusiveShards = 6;
inline constexpr uint32_t kSharedShards = 4;
inline constexpr uint32_t kShards = kExclusiveShards + kSharedShards;

struct ThreadSlot {
  uint32_t shard;  // In [0, kShards).

  bool exclusive() const { return shard < kExclusiveShards; }

  static ThreadSlot Current();
};

namespace thread_slot {

inline constexpr uint32_t kUnassigned = ~uint32_t{0};
GRPC_BREAKER_EXPORT inline thread_local uint32_t current = kUnassigned;

GRPC_BREAKER_EXPORT uint32_t Assign();

}  // namespace thread_slot

inline ThreadSlot ThreadSlot::Current() {
  uint32_t shard = thread_slot::current;
  if (ABSL_PREDICT_FALSE(shard == thread_slot::kUnassigned)) {
    shard = thread_slot::Assign();
  }
  return {shard};
}

// While it lives, the calling thread uses the one given shared shard: for tests
// of the shared path, and for a benchmark that shows what sharding is worth.
class ScopedSharedSlotForTesting {
 public:
  explicit ScopedSharedSlotForTesting(uint32_t which = 0)
      : saved_(ThreadSlot::Current().shard) {
    thread_slot::current = kExclusiveShards + which % kSharedShards;
  }
  ~ScopedSharedSlotForTesting() { thread_slot::current = saved_; }
  ScopedSharedSlotForTesting(const ScopedSharedSlotForTesting&) = delete;
  ScopedSharedSlotForTesting& operator=(const ScopedSharedSlotForTesting&) =
      delete;

 private:
  const uint32_t saved_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_THREAD_SLOT_H_
