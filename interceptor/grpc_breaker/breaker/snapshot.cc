#include "grpc_breaker/breaker/snapshot.h"

#include "grpc_breaker/breaker/nanoseconds.h"

namespace grpc_breaker::internal {
namespace {

uint64_t Load(const std::atomic<uint64_t>& counter) {
  return counter.load(std::memory_order_relaxed);
}

// What belongs to a state that is not over.
void AddState(const SnapshotParts& parts, int64_t now_ns,
              BreakerSnapshot& snapshot) {
  const StateWord state = parts.state;
  snapshot.state = state.shown();
  snapshot.since = parts.since;
  snapshot.since_wall = parts.since_wall;
  snapshot.counts = CountsIn(state, parts.compiled, parts.window, parts.gate,
                             parts.counts_at_change, now_ns);
  snapshot.consecutive_failures =
      static_cast<int>(parts.run.length(state.generation()));
  snapshot.manual = parts.manual;
  if (state.shadow()) snapshot.shadow_state = state.state();
}

void AddTotals(const SnapshotParts& parts, BreakerSnapshot& snapshot) {
  snapshot.calls_under_way = parts.bulkhead.calls();
  snapshot.rejections = parts.window.total_rejected();
  snapshot.would_have_rejected = Load(parts.totals.would_have_rejected);
  snapshot.transitions = parts.transitions;
  if (parts.events != nullptr) {
    snapshot.events_dropped = parts.events->dropped();
    snapshot.events_failed = parts.events->failed();
  }
  snapshot.permits.issued = parts.window.total_issued();
  snapshot.permits.successes =
      parts.window.total_successes() + Load(parts.totals.probe_successes);
  snapshot.permits.failures = Load(parts.totals.failures);
  snapshot.permits.ignored = Load(parts.totals.ignored);
  snapshot.permits.stale = Load(parts.totals.stale);
  snapshot.permits.returned = Load(parts.totals.returned);
}

}  // namespace

WindowCounts CountsIn(StateWord state, const CompiledOptions& compiled,
                      const Window& window, const ProbeGate& gate,
                      const WindowCounts& counts_at_change, int64_t now_ns) {
  if (state.state() == BreakerState::kClosed) {
    return window.Counts(compiled.window.Epoch(now_ns, state.generation()));
  }
  if (state.state() == BreakerState::kHalfOpen) {
    const ProbeWord probes = gate.Load();
    return {probes.succeeded, probes.failed, 0};
  }
  return counts_at_change;
}

BreakerSnapshot MakeSnapshot(const SnapshotParts& parts, int64_t now_ns) {
  BreakerSnapshot snapshot;
  if (parts.state.manual() && now_ns >= parts.manual_ends_ns) {
    // Over, though its timer has not come yet.
    snapshot.state = InitialState(parts.compiled.options);
    snapshot.since = AtNanoseconds(parts.manual_ends_ns);
    snapshot.since_wall =
        parts.since_wall + absl::FromChrono(snapshot.since - parts.since);
  } else {
    AddState(parts, now_ns, snapshot);
  }
  if (snapshot.state == BreakerState::kHalfOpen) {
    snapshot.permits_in_use = static_cast<int>(parts.gate.Load().under_way);
  }
  if (snapshot.state == BreakerState::kOpen && now_ns < parts.state_ends_ns) {
    snapshot.next_probe_in = absl::Nanoseconds(parts.state_ends_ns - now_ns);
  }
  if (snapshot.state == BreakerState::kClosed) {
    snapshot.ramp_share =
        RampShare(parts.compiled, parts.ramp_began_ns, now_ns);
    snapshot.throttle_probability = ThrottleProbability(
        parts.compiled, parts.window,
        parts.compiled.window.Epoch(now_ns, parts.state.generation()));
  }
  AddTotals(parts, snapshot);
  return snapshot;
}

}  // namespace grpc_breaker::internal
