// Tells ThreadSanitizer what Abseil's synchronisation does.
//
// A packaged Abseil is not compiled with -fsanitize=thread, so TSan does not
// see that its mutexes order memory, and would report a race on all that they
// guard. Linked into a test program, these definitions go before those in the
// shared library, also for calls from inside that library; each one annotates
// and then calls the original.

#include <string>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "sanitizer/tsan_interface.h"
#include "tests/sanitizers/next_definition.h"

#define STRINGIFY_EXPANDED(x) #x
#define STRINGIFY(x) STRINGIFY_EXPANDED(x)

namespace {

// Of a member function of namespace absl, given as mangled after the namespace:
// "5Mutex4LockEv" is Mutex::Lock().
template <typename Function>
Function* Original(bool is_const, const char* mangled) {
  const std::string inline_namespace =
      STRINGIFY(ABSL_OPTION_INLINE_NAMESPACE_NAME);
  const std::string symbol = std::string(is_const ? "_ZNK4absl" : "_ZN4absl") +
                             std::to_string(inline_namespace.size()) +
                             inline_namespace + mangled;
  return grpc_breaker::NextDefinition<Function>(symbol.c_str());
}

// Some of what follows is made of others, of which ThreadSanitizer is to hear
// only the outermost.
thread_local bool within = false;

template <typename Body>
auto Within(Body body) {
  within = true;
  struct Scope {
    ~Scope() { within = false; }
  } scope;
  return body();
}

// TSan ignores what a thread does between the two halves of an annotation: the
// inside of Abseil, and the conditions that it evaluates for other threads.
template <typename Body>
auto Locking(absl::Mutex* mutex, unsigned flags, Body body) {
  if (within) return body();
  struct Annotation {
    Annotation(absl::Mutex* m, unsigned f) : mutex(m), flags(f) {
      __tsan_mutex_pre_lock(mutex, flags);
    }
    ~Annotation() { __tsan_mutex_post_lock(mutex, flags, 0); }
    absl::Mutex* mutex;
    unsigned flags;
  } annotation(mutex, flags);
  return Within(body);
}

template <typename Body>
void Unlocking(absl::Mutex* mutex, unsigned flags, Body body) {
  __tsan_mutex_pre_unlock(mutex, flags);
  body();
  __tsan_mutex_post_unlock(mutex, flags);
}

// Gives the mutex up and takes it again, as a wait does.
template <typename Body>
auto Waiting(absl::Mutex* mutex, Body body) {
  if (within) return body();
  Unlocking(mutex, 0, [] {});
  return Locking(mutex, 0, body);
}

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

Mutex::~Mutex() {
  static auto* const original = Original<void(Mutex*)>(false, "5MutexD1Ev");
  __tsan_mutex_destroy(this, __tsan_mutex_not_static);
  original(this);
}

void Mutex::Lock() {
  static auto* const original = Original<void(Mutex*)>(false, "5Mutex4LockEv");
  Locking(this, 0, [this] { original(this); });
}

void Mutex::Unlock() {
  static auto* const original =
      Original<void(Mutex*)>(false, "5Mutex6UnlockEv");
  Unlocking(this, 0, [this] { original(this); });
}

bool Mutex::TryLock() {
  static auto* const original =
      Original<bool(Mutex*)>(false, "5Mutex7TryLockEv");
  __tsan_mutex_pre_lock(this, __tsan_mutex_try_lock);
  const bool locked = original(this);
  __tsan_mutex_post_lock(
      this, __tsan_mutex_try_lock | (locked ? 0 : __tsan_mutex_try_lock_failed),
      0);
  return locked;
}

void Mutex::ReaderLock() {
  static auto* const original =
      Original<void(Mutex*)>(false, "5Mutex10ReaderLockEv");
  Locking(this, __tsan_mutex_read_lock, [this] { original(this); });
}

void Mutex::ReaderUnlock() {
  static auto* const original =
      Original<void(Mutex*)>(false, "5Mutex12ReaderUnlockEv");
  Unlocking(this, __tsan_mutex_read_lock, [this] { original(this); });
}

void Mutex::LockWhen(const Condition& condition) {
  static auto* const original = Original<void(Mutex*, const Condition&)>(
      false, "5Mutex8LockWhenERKNS0_9ConditionE");
  Locking(this, 0, [&] { original(this, condition); });
}

bool Mutex::LockWhenWithTimeout(const Condition& condition, Duration timeout) {
  static auto* const original =
      Original<bool(Mutex*, const Condition&, Duration)>(
          false, "5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  return Locking(this, 0, [&] { return original(this, condition, timeout); });
}

bool Mutex::LockWhenWithDeadline(const Condition& condition, Time deadline) {
  static auto* const original = Original<bool(Mutex*, const Condition&, Time)>(
      false, "5Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  return Locking(this, 0, [&] { return original(this, condition, deadline); });
}

void Mutex::Await(const Condition& condition) {
  static auto* const original = Original<void(Mutex*, const Condition&)>(
      false, "5Mutex5AwaitERKNS0_9ConditionE");
  Waiting(this, [&] { original(this, condition); });
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  static auto* const original =
      Original<bool(Mutex*, const Condition&, Duration)>(
          false, "5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  return Waiting(this, [&] { return original(this, condition, timeout); });
}

bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  static auto* const original = Original<bool(Mutex*, const Condition&, Time)>(
      false, "5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  return Waiting(this, [&] { return original(this, condition, deadline); });
}

void CondVar::Wait(Mutex* mutex) {
  static auto* const original =
      Original<void(CondVar*, Mutex*)>(false, "7CondVar4WaitEPNS0_5MutexE");
  Waiting(mutex, [&] { original(this, mutex); });
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static auto* const original = Original<bool(CondVar*, Mutex*, Duration)>(
      false, "7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  return Waiting(mutex, [&] { return original(this, mutex, timeout); });
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  static auto* const original = Original<bool(CondVar*, Mutex*, Time)>(
      false, "7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
  return Waiting(mutex, [&] { return original(this, mutex, deadline); });
}

// What is released here, the inline HasBeenNotified() acquires.
void Notification::Notify() {
  static auto* const original =
      Original<void(Notification*)>(false, "12Notification6NotifyEv");
  __tsan_release(&notified_yet_);
  original(this);
}

void Notification::WaitForNotification() const {
  static auto* const original = Original<void(const Notification*)>(
      true, "12Notification19WaitForNotificationEv");
  original(this);
  HasBeenNotified();
}

bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  static auto* const original = Original<bool(const Notification*, Duration)>(
      true, "12Notification30WaitForNotificationWithTimeoutENS0_8DurationE");
  original(this, timeout);
  return HasBeenNotified();
}

bool BlockingCounter::DecrementCount() {
  static auto* const original = Original<bool(BlockingCounter*)>(
      false, "15BlockingCounter14DecrementCountEv");
  __tsan_release(this);
  return original(this);
}

void BlockingCounter::Wait() {
  static auto* const original =
      Original<void(BlockingCounter*)>(false, "15BlockingCounter4WaitEv");
  original(this);
  __tsan_acquire(this);
}

ABSL_NAMESPACE_END
}  // namespace absl
