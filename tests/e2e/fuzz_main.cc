// A fuzzer of the scripts that PLAY plays (script.h). It remembers in a corpus,
// given as its argument, what led it to new places in the library.

#include <cstddef>
#include <cstdint>

#include "gtest/gtest.h"
#include "tests/e2e/script.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  ::testing::InitGoogleTest(argc, *argv);
  GTEST_FLAG_SET(break_on_failure, true);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  grpc_breaker::e2e::PLAY(grpc_breaker::e2e::Script(bytes, size));
  return 0;
}
