#ifndef GRPC_BREAKER_BREAKER_TRANSITION_COUNTS_H_
#define GRPC_BREAKER_BREAKER_TRANSITION_COUNTS_H_

// How often a breaker has gone from which state to which.
//
// Memory: 40 bytes, and 288 more once somebody has set its state by hand, which
// most breakers never see.
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

struct Transition {
  BreakerState from;
  BreakerState to;
};

// Those that a breaker makes by itself.
inline constexpr std::array<Transition, 4> kOwnTransitions = {{
    {BreakerState::kClosed, BreakerState::kOpen},
    {BreakerState::kOpen, BreakerState::kHalfOpen},
    {BreakerState::kHalfOpen, BreakerState::kOpen},
    {BreakerState::kHalfOpen, BreakerState::kClosed},
}};

// Its place among them, or their number.
constexpr size_t PlaceAmongOwn(BreakerState from, BreakerState to) {
  size_t place = 0;
  while (place < kOwnTransitions.size() &&
         (kOwnTransitions[place].from != from ||
          kOwnTransitions[place].to != to)) {
    ++place;
  }
  return place;
}

class TransitionCounts {
 public:
  // Index: from, to.
  using Values =
      std::array<std::array<uint64_t, kBreakerStates>, kBreakerStates>;

  TransitionCounts() = default;
  ~TransitionCounts() { delete by_hand_.load(std::memory_order_acquire); }
  TransitionCounts(const TransitionCounts&) = delete;
  TransitionCounts& operator=(const TransitionCounts&) = delete;

  void Add(BreakerState from, BreakerState to) {
    const size_t place = PlaceAmongOwn(from, to);
    Counter& counter = place < own_.size() ? own_[place] : ByHand(from, to);
    counter.fetch_add(1, std::memory_order_relaxed);
  }

  Values Get() const {
    Values values{};
    if (const Table* const table = by_hand_.load(std::memory_order_acquire)) {
      for (size_t from = 0; from < kBreakerStates; ++from) {
        for (size_t to = 0; to < kBreakerStates; ++to) {
          values[from][to] = (*table)[from][to].load(std::memory_order_relaxed);
        }
      }
    }
    for (size_t i = 0; i < own_.size(); ++i) {
      const Transition& transition = kOwnTransitions[i];
      values[static_cast<size_t>(transition.from)]
            [static_cast<size_t>(transition.to)] =
                own_[i].load(std::memory_order_relaxed);
    }
    return values;
  }

  uint64_t Total() const {
    uint64_t total = 0;
    for (const auto& from : Get()) {
      for (const uint64_t count : from) total += count;
    }
    return total;
  }

 private:
  using Counter = std::atomic<uint64_t>;
  using Table = std::array<std::array<Counter, kBreakerStates>, kBreakerStates>;

  Counter& ByHand(BreakerState from, BreakerState to) {
    Table* table = by_hand_.load(std::memory_order_relaxed);
    if (table == nullptr) {
      table = new Table{};
      by_hand_.store(table, std::memory_order_release);
    }
    return (*table)[static_cast<size_t>(from)][static_cast<size_t>(to)];
  }

  std::array<Counter, kOwnTransitions.size()> own_{};
  std::atomic<Table*> by_hand_{nullptr};
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_TRANSITION_COUNTS_H_
