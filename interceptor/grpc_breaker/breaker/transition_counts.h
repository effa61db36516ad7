#ifndef GRPC_BREAKER_BREAKER_TRANSITION_COUNTS_H_
#define GRPC_BREAKER_BREAKER_TRANSITION_COUNTS_H_

// How often a breaker has gone from which state to which.
//
// Memory: one pointer, and 288 bytes once there was a change: most breakers
// never have one.
//
// Memory order: relaxed for the counts, which guard no other data; the table is
// published by a release store.
//
// Thread-safe, but for Add, which one thread at a time may call.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "grpc_breaker/breaker_state.h"

namespace grpc_breaker::internal {

class TransitionCounts {
 public:
  // Index: from, to.
  using Values =
      std::array<std::array<uint64_t, kBreakerStates>, kBreakerStates>;

  TransitionCounts() = default;
  ~TransitionCounts() { delete table_.load(std::memory_order_acquire); }
  TransitionCounts(const TransitionCounts&) = delete;
  TransitionCounts& operator=(const TransitionCounts&) = delete;

  void Add(BreakerState from, BreakerState to) {
    Table* table = table_.load(std::memory_order_relaxed);
    if (table == nullptr) {
      table = new Table{};
      table_.store(table, std::memory_order_release);
    }
    (*table)[static_cast<size_t>(from)][static_cast<size_t>(to)].fetch_add(
        1, std::memory_order_relaxed);
  }

  Values Get() const {
    Values values{};
    const Table* const table = table_.load(std::memory_order_acquire);
    if (table == nullptr) return values;
    for (size_t from = 0; from < kBreakerStates; ++from) {
      for (size_t to = 0; to < kBreakerStates; ++to) {
        values[from][to] = (*table)[from][to].load(std::memory_order_relaxed);
      }
    }
    return values;
  }

 private:
  using Table = std::array<std::array<std::atomic<uint64_t>, kBreakerStates>,
                           kBreakerStates>;

  std::atomic<Table*> table_{nullptr};
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_TRANSITION_COUNTS_H_
