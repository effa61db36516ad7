#ifndef GRPC_BREAKER_MUTEX_LOCK_H_
#define GRPC_BREAKER_MUTEX_LOCK_H_

// Mutexes for this library's own headers and sources, and what holds one while
// it lives: MutexLock lock(mutex_), for an absl::Mutex and for a Mutex.
//
// An absl::Mutex can wait for conditions. Debian builds it with its search for
// deadlocks, which takes some 360 instructions each time; so what every call or
// message locks is a Mutex, a std::mutex that clang's analysis knows as well.
//
// absl::Mutex is locked as absl::MutexLock does, under any Abseil: the older
// ones take a pointer, the newer ones warn of that and take a reference.
//
// Lifetime: a mutex outlives its locks. Both as their mutexes are where a
// process forks: one that another thread holds stays locked in the child.

#include <mutex>
#include <type_traits>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace grpc_breaker::internal {

// Thread-safe.
class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

// Thread-compatible: belongs to one thread.
template <typename Lockable>
class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Lockable& mutex)
      ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) ABSL_NO_THREAD_SAFETY_ANALYSIS
      : lock_(Argument(mutex)) {}
  ~MutexLock() ABSL_UNLOCK_FUNCTION() = default;
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  using Lock = std::conditional_t<std::is_same_v<Lockable, absl::Mutex>,
                                  absl::MutexLock, std::lock_guard<Lockable>>;
  static constexpr bool kByReference = std::is_constructible_v<Lock, Lockable&>;

  // A template, so that only what the lock takes is compiled.
  template <typename Type>
  static std::conditional_t<kByReference, Type&, Type*> Argument(Type& mutex) {
    if constexpr (kByReference) {
      return mutex;
    } else {
      return &mutex;
    }
  }

  Lock lock_;
};

template <typename Lockable>
MutexLock(Lockable&) -> MutexLock<Lockable>;

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_MUTEX_LOCK_H_
