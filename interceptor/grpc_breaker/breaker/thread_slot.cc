#include "grpc_breaker/breaker/thread_slot.h"

#include "absl/base/attributes.h"
#include "absl/base/const_init.h"
#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/mutex_lock.h"

namespace grpc_breaker::internal::thread_slot {
namespace {

// Never destroyed: threads may exit after main. Handing a shard over under the
// mutex also makes what the former owner wrote visible to the next one.
ABSL_CONST_INIT absl::Mutex mutex(absl::kConstInit);
ABSL_CONST_INIT uint32_t exclusive_in_use ABSL_GUARDED_BY(mutex) = 0;
ABSL_CONST_INIT uint32_t next_shared ABSL_GUARDED_BY(mutex) = 0;

uint32_t NextShared() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
  return kExclusiveShards + next_shared++ % kSharedShards;
}

// Gives an exclusive shard back when its thread exits. What still counts on
// the thread after that, from another destructor, uses a shared shard.
struct Owner {
  uint32_t shard;

  ~Owner() {
    MutexLock lock(mutex);
    current = NextShared();
    exclusive_in_use &= ~(1u << shard);
  }
};

}  // namespace

uint32_t Assign() {
  uint32_t free_shard = 0;
  {
    MutexLock lock(mutex);
    while (free_shard < kExclusiveShards &&
           (exclusive_in_use >> free_shard & 1u) != 0) {
      ++free_shard;
    }
    if (free_shard == kExclusiveShards) return current = NextShared();
    exclusive_in_use |= 1u << free_shard;
  }
  thread_local Owner owner{free_shard};
  return current = owner.shard;
}

}  // namespace grpc_breaker::internal::thread_slot
