#ifndef GRPC_BREAKER_RETRY_REPLAY_BYTES_H_
#define GRPC_BREAKER_RETRY_REPLAY_BYTES_H_

// How many bytes one call keeps for further attempts, counted with those of all
// other calls of the process.
//
// Thread-compatible; different objects may be used at the same time.

#include <cstdint>

#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

class GRPC_BREAKER_EXPORT ReplayBytes {
 public:
  explicit ReplayBytes(int64_t most) : most_(most) {}
  ~ReplayBytes() { Release(); }
  ReplayBytes(const ReplayBytes&) = delete;
  ReplayBytes& operator=(const ReplayBytes&) = delete;

  // False, and nothing is added, if the call or the process keeps too much
  // then.
  bool Add(int64_t bytes);
  void Release();

  int64_t bytes() const { return bytes_; }
  // Of all calls.
  static int64_t OfProcess();

 private:
  const int64_t most_;
  int64_t bytes_ = 0;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RETRY_REPLAY_BYTES_H_
