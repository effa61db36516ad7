#ifndef GRPC_BREAKER_MUTEX_LOCK_H_
#define GRPC_BREAKER_MUTEX_LOCK_H_

// Holds an absl::Mutex while it lives, as absl::MutexLock does, under any
// Abseil: the older ones take a pointer, the newer ones warn of that and take a
// reference. For this library's own headers and sources.

#include <type_traits>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace grpc_breaker::internal {

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(absl::Mutex& mutex)
      ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) ABSL_NO_THREAD_SAFETY_ANALYSIS
      : lock_(Argument(mutex)) {}
  ~MutexLock() ABSL_UNLOCK_FUNCTION() = default;
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  static constexpr bool kByReference =
      std::is_constructible_v<absl::MutexLock, absl::Mutex&>;

  template <typename Mutex>
  static std::conditional_t<kByReference, Mutex&, Mutex*> Argument(
      Mutex& mutex) {
    if constexpr (kByReference) {
      return mutex;
    } else {
      return &mutex;
    }
  }

  absl::MutexLock lock_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_MUTEX_LOCK_H_
