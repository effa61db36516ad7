#include "grpc_breaker/breaker/transition_log.h"

#include <utility>

namespace grpc_breaker::internal {
namespace {

BreakerTransition Expand(const TransitionLog::Entry& entry,
                         const std::string& breaker) {
  BreakerTransition transition;
  transition.breaker = breaker;
  transition.from = static_cast<BreakerState>(entry.from);
  transition.to = static_cast<BreakerState>(entry.to);
  transition.counts = {entry.successes, entry.failures, entry.slow};
  Cause cause;
  cause.kind = entry.kind;
  cause.rule = entry.rule;
  cause.number = entry.number;
  if (entry.text != nullptr) {
    cause.text = std::make_shared<const std::string>(*entry.text);
  }
  transition.cause = cause.ToString(transition.counts);
  transition.at = entry.at;
  transition.wall_time = absl::FromUnixNanos(entry.wall_ns);
  return transition;
}

}  // namespace

void TransitionLog::Add(BreakerState from, BreakerState to, const Cause& cause,
                        const WindowCounts& counts, MonotonicTime at,
                        absl::Time wall_time) {
  Entry entry;
  entry.at = at;
  entry.wall_ns = absl::ToUnixNanos(wall_time);
  entry.kind = cause.kind;
  entry.rule = cause.rule;
  entry.number = cause.number;
  if (cause.text != nullptr) {
    entry.text = std::make_unique<const std::string>(*cause.text);
  }
  entry.successes = static_cast<uint32_t>(counts.successes);
  entry.failures = static_cast<uint32_t>(counts.failures);
  entry.slow = static_cast<uint32_t>(counts.slow);
  entry.from = static_cast<uint8_t>(from);
  entry.to = static_cast<uint8_t>(to);
  if (entries_.size() < kTransitions) {
    entries_.push_back(std::move(entry));
  } else {
    entries_[total_ % kTransitions] = std::move(entry);
  }
  ++total_;
}

std::vector<BreakerTransition> TransitionLog::Get(
    const std::string& breaker) const {
  std::vector<BreakerTransition> transitions;
  transitions.reserve(entries_.size());
  for (uint64_t n = total_ - entries_.size(); n < total_; ++n) {
    transitions.push_back(Expand(entries_[n % kTransitions], breaker));
  }
  return transitions;
}

BreakerTransition TransitionLog::Last(const std::string& breaker) const {
  return Expand(entries_[(total_ - 1) % kTransitions], breaker);
}

}  // namespace grpc_breaker::internal
