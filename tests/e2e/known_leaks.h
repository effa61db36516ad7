#ifndef GRPC_BREAKER_TESTS_E2E_KNOWN_LEAKS_H_
#define GRPC_BREAKER_TESTS_E2E_KNOWN_LEAKS_H_

// A leak of gRPC's own that a leak checker need not tell of: a unary call that
// was prepared and is never started keeps its serialized request for good, in
// gRPC 1.51 and on a channel without interceptors just the same.
//
// Thread-compatible.

#if defined(__SANITIZE_ADDRESS__)
#define GRPC_BREAKER_TESTS_LEAKS_ARE_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GRPC_BREAKER_TESTS_LEAKS_ARE_CHECKED 1
#endif
#endif

#ifdef GRPC_BREAKER_TESTS_LEAKS_ARE_CHECKED
#include <sanitizer/lsan_interface.h>
#endif

namespace grpc_breaker::e2e {

// Around the preparing of such a call: what its thread allocates meanwhile is
// not taken for a leak.
class UnstartedCallScope {
 public:
#ifdef GRPC_BREAKER_TESTS_LEAKS_ARE_CHECKED
  UnstartedCallScope() { __lsan_disable(); }
  ~UnstartedCallScope() { __lsan_enable(); }
#else
  UnstartedCallScope() {}
#endif
  UnstartedCallScope(const UnstartedCallScope&) = delete;
  UnstartedCallScope& operator=(const UnstartedCallScope&) = delete;
};

}  // namespace grpc_breaker::e2e

#endif  // GRPC_BREAKER_TESTS_E2E_KNOWN_LEAKS_H_
