#ifndef GRPC_BREAKER_TESTS_RESIDENT_BYTES_H_
#define GRPC_BREAKER_TESTS_RESIDENT_BYTES_H_

// What this process takes of the memory, as Linux counts it.
//
// Thread-safe.

#include <unistd.h>

#include <cstdint>
#include <fstream>

namespace grpc_breaker {

inline int64_t ResidentBytes() {
  int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_TESTS_RESIDENT_BYTES_H_
