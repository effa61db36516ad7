// Preloaded, this lets threads nap now and then before they lock a mutex and
// after they have unlocked it. So what is right only because a thread is quick
// from one critical section to the next shows: under AddressSanitizer, as a use
// of what another thread has freed meanwhile.
//
// For the mutexes of the library's calls, which are std::mutex; see
// mutex_lock.h.

#include <pthread.h>
#include <time.h>

#include <cstdint>

#include "tests/sanitizers/next_definition.h"

namespace {

using grpc_breaker::NextDefinition;

constexpr int kNapsInThousand = 10;
constexpr long kLongestNanoseconds = 3'000'000;

// By xorshift: what a standard generator takes at its start may lock.
uint32_t Roll() {
  thread_local uint32_t state = 0;
  if (state == 0) {
    state =
        static_cast<uint32_t>(reinterpret_cast<uintptr_t>(&state) >> 6) | 1u;
  }
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

void MayNap() {
  if (Roll() % 1000 >= kNapsInThousand) return;
  const timespec nap = {0, static_cast<long>(Roll() % kLongestNanoseconds)};
  nanosleep(&nap, nullptr);
}

}  // namespace

extern "C" {

int pthread_mutex_lock(pthread_mutex_t* mutex) {
  static auto* const original =
      NextDefinition<decltype(pthread_mutex_lock)>("pthread_mutex_lock");
  MayNap();
  return original(mutex);
}

int pthread_mutex_unlock(pthread_mutex_t* mutex) {
  static auto* const original =
      NextDefinition<decltype(pthread_mutex_unlock)>("pthread_mutex_unlock");
  const int error = original(mutex);
  MayNap();
  return error;
}

}  // extern "C"
