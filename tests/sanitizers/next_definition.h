#ifndef GRPC_BREAKER_TESTS_SANITIZERS_NEXT_DEFINITION_H_
#define GRPC_BREAKER_TESTS_SANITIZERS_NEXT_DEFINITION_H_

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

namespace grpc_breaker {

// What `symbol` would be without its definition here.
template <typename Function>
Function* NextDefinition(const char* symbol) {
  void* function = dlsym(RTLD_NEXT, symbol);
  if (function == nullptr) {
    std::fprintf(stderr, "No %s: is its library a shared one?\n", symbol);
    std::abort();
  }
  return reinterpret_cast<Function*>(function);
}

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_TESTS_SANITIZERS_NEXT_DEFINITION_H_
