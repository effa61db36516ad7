#ifndef GRPC_BREAKER_BASE_USER_CODE_H_
#define GRPC_BREAKER_BASE_USER_CODE_H_

// Calls of what the application gave us: listeners, hooks, fallbacks. They must
// not throw, and if they do, nothing of the library may be left half done.
//
// Thread-safe: pure functions.

#include <cxxabi.h>

#include <utility>

namespace grpc_breaker::internal {

// False if `function` threw.
template <typename Function>
bool CallUserCode(Function&& function) {
#ifdef __cpp_exceptions
  try {
    std::forward<Function>(function)();
    return true;
  } catch (const abi::__forced_unwind&) {
    throw;  // The thread is being cancelled, which cannot be stopped.
  } catch (...) {
    return false;
  }
#else
  std::forward<Function>(function)();
  return true;
#endif
}

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BASE_USER_CODE_H_
