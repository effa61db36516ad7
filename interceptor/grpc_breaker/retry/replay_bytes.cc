#include "grpc_breaker/retry/replay_bytes.h"

#include <atomic>
#include <utility>

#include "grpc_breaker/retry_options.h"

namespace grpc_breaker {
namespace {

std::atomic<int64_t> most_of_process{64 << 20};
std::atomic<int64_t> of_process{0};

}  // namespace

void SetReplayBytesOfProcess(int64_t bytes) {
  most_of_process.store(bytes, std::memory_order_relaxed);
}

namespace internal {

bool ReplayBytes::Add(int64_t bytes) {
  if (bytes > most_ - bytes_) return false;
  const int64_t before = of_process.fetch_add(bytes, std::memory_order_relaxed);
  if (bytes > most_of_process.load(std::memory_order_relaxed) - before) {
    of_process.fetch_sub(bytes, std::memory_order_relaxed);
    return false;
  }
  bytes_ += bytes;
  return true;
}

void ReplayBytes::Release() {
  of_process.fetch_sub(std::exchange(bytes_, 0), std::memory_order_relaxed);
}

int64_t ReplayBytes::OfProcess() {
  return of_process.load(std::memory_order_relaxed);
}

}  // namespace internal
}  // namespace grpc_breaker
