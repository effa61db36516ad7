#ifndef GRPC_BREAKER_BREAKER_SNAPSHOT_H_
#define GRPC_BREAKER_BREAKER_SNAPSHOT_H_

// Makes a BreakerSnapshot from the parts of a breaker.
//
// Thread-safe: functions that change nothing. The breaker calls them under its
// lock, so that the parts are of one state.

#include <atomic>
#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "grpc_breaker/breaker/compiled_options.h"
#include "grpc_breaker/breaker/event_queue.h"
#include "grpc_breaker/breaker/failure_run.h"
#include "grpc_breaker/breaker/half_open.h"
#include "grpc_breaker/breaker/load_shedding.h"
#include "grpc_breaker/breaker/state_word.h"
#include "grpc_breaker/breaker/window.h"
#include "grpc_breaker/circuit_breaker.h"

namespace grpc_breaker::internal {

// What no part of a breaker counts by itself, since construction.
struct PermitCounters {
  std::atomic<uint64_t> probe_successes{0};
  std::atomic<uint64_t> failures{0};
  std::atomic<uint64_t> ignored{0};
  std::atomic<uint64_t> stale{0};
  std::atomic<uint64_t> returned{0};
  std::atomic<uint64_t> would_have_rejected{0};
};

struct SnapshotParts {
  StateWord state;
  const CompiledOptions& compiled;
  const Window& window;
  const ProbeGate& gate;
  const Bulkhead& bulkhead;
  const FailureRun& run;
  const PermitCounters& totals;
  const EventQueue* events;  // May be null.
  std::optional<ManualState> manual;
  int64_t manual_ends_ns;
  int64_t state_ends_ns;
  int64_t ramp_began_ns;
  // When the state that is shown was entered.
  MonotonicTime since;
  absl::Time since_wall;
  WindowCounts counts_at_change;
  uint64_t transitions;
};

// BreakerSnapshot::counts of a breaker in `state`.
WindowCounts CountsIn(StateWord state, const CompiledOptions& compiled,
                      const Window& window, const ProbeGate& gate,
                      const WindowCounts& counts_at_change, int64_t now_ns);

BreakerSnapshot MakeSnapshot(const SnapshotParts& parts, int64_t now_ns);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_SNAPSHOT_H_
