#ifndef GRPC_BREAKER_BREAKER_TRANSITION_LOG_H_
#define GRPC_BREAKER_BREAKER_TRANSITION_LOG_H_

// The last kTransitions changes of state, in a compact form: it grows as they
// happen, up to 1.5 KiB. What was done by hand is an entry also where the
// state stays the same.
//
// Thread-compatible.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "grpc_breaker/breaker/cause.h"
#include "grpc_breaker/breaker_events.h"

namespace grpc_breaker::internal {

class TransitionLog {
 public:
  static constexpr size_t kTransitions = 32;

  struct Entry {
    MonotonicTime at;
    int64_t wall_ns = 0;                      // Since the Unix epoch.
    std::unique_ptr<const std::string> text;  // The cause's, if it has one.
    uint32_t number = 0;                      // The cause's.
    uint32_t successes = 0;
    uint32_t failures = 0;
    uint32_t slow = 0;
    Cause::Kind kind = Cause::Kind::kManual;
    TripRule rule = TripRule::kConsecutiveFailures;
    uint8_t from = 0;
    uint8_t to = 0;
  };
  static_assert(sizeof(Entry) == 48);

  void Add(BreakerState from, BreakerState to, const Cause& cause,
           const WindowCounts& counts, MonotonicTime at, absl::Time wall_time);

  // The oldest first.
  std::vector<BreakerTransition> Get(const std::string& breaker) const;
  // Only if there is one.
  BreakerTransition Last(const std::string& breaker) const;

 private:
  std::vector<Entry> entries_;  // Entry number n is at n % kTransitions.
  uint64_t total_ = 0;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_TRANSITION_LOG_H_
