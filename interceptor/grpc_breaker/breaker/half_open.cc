#include "grpc_breaker/breaker/half_open.h"

#include "grpc_breaker/breaker/trip_rules.h"

namespace grpc_breaker::internal {
namespace {

constexpr uint64_t Bits(uint64_t word, int from, int count) {
  return word >> from & ((uint64_t{1} << count) - 1);
}

}  // namespace

uint64_t ProbeWord::Pack() const {
  return uint64_t{generation} << 54 | uint64_t{round} << 42 |
         uint64_t{issues} << 31 | uint64_t{decided} << 30 |
         uint64_t{under_way} << 20 | uint64_t{succeeded} << 10 |
         uint64_t{failed};
}

ProbeWord ProbeWord::Unpack(uint64_t word) {
  ProbeWord probes;
  probes.generation = static_cast<uint32_t>(Bits(word, 54, 10));
  probes.round = static_cast<uint32_t>(Bits(word, 42, 12));
  probes.issues = static_cast<uint32_t>(Bits(word, 31, 11));
  probes.decided = Bits(word, 30, 1) != 0;
  probes.under_way = static_cast<uint32_t>(Bits(word, 20, 10));
  probes.succeeded = static_cast<uint32_t>(Bits(word, 10, 10));
  probes.failed = static_cast<uint32_t>(Bits(word, 0, 10));
  return probes;
}

std::optional<ProbeWord> ProbeWord::Issue(const ProbeLimits& limits) const {
  const uint32_t taken =
      limits.failure_rate > 0 ? under_way + succeeded + failed : under_way;
  if (decided || taken >= limits.permits) return std::nullopt;
  ProbeWord next = *this;
  ++next.under_way;
  next.issues = (issues + 1) & kIssuesMask;
  return next;
}

std::optional<ProbeWord> ProbeWord::NewRound() const {
  if (decided || under_way == 0) return std::nullopt;
  ProbeWord next = *this;
  next.round = (round + 1) & kRoundMask;
  next.under_way = 0;
  return next;
}

std::optional<ProbeWord> ProbeWord::Return(uint32_t probe_round) const {
  if (probe_round != round || under_way == 0) return std::nullopt;
  ProbeWord next = *this;
  --next.under_way;
  return next;
}

std::optional<ProbeWord> ProbeWord::Report(uint32_t probe_round, bool success,
                                           const ProbeLimits& limits,
                                           ProbeVerdict* verdict) const {
  if (decided) return std::nullopt;
  ProbeWord next = Return(probe_round).value_or(*this);
  ++(success ? next.succeeded : next.failed);
  *verdict = next.Judge(limits);
  next.decided = *verdict != ProbeVerdict::kUndecided;
  return next;
}

std::optional<ProbeWord> ProbeWord::Decide(const ProbeLimits& limits,
                                           ProbeVerdict* verdict) const {
  *verdict = Judge(limits);
  if (decided || *verdict == ProbeVerdict::kUndecided) return std::nullopt;
  ProbeWord next = *this;
  next.decided = true;
  return next;
}

ProbeVerdict ProbeWord::Judge(const ProbeLimits& limits) const {
  if (limits.failure_rate > 0) {
    const uint32_t outcomes = succeeded + failed;
    if (outcomes < limits.permits) return ProbeVerdict::kUndecided;
    return ReachesRate(limits.failure_rate, failed, outcomes)
               ? ProbeVerdict::kOpen
               : ProbeVerdict::kClose;
  }
  if (failed > 0) return ProbeVerdict::kOpen;
  return succeeded >= limits.successes ? ProbeVerdict::kClose
                                       : ProbeVerdict::kUndecided;
}

void ProbeGate::Begin(uint64_t generation, int64_t now_ns) {
  ProbeWord word;
  word.generation =
      static_cast<uint32_t>(generation) & ProbeWord::kGenerationMask;
  last_issue_ns_.store(now_ns, std::memory_order_relaxed);
  word_.store(word.Pack(), std::memory_order_release);
}

// Never back: a thread that was held up between here and taking a place must
// not make the probes of others look old.
void ProbeGate::RaiseLastIssue(int64_t now_ns) {
  int64_t last = last_issue_ns_.load(std::memory_order_relaxed);
  while (last < now_ns && !last_issue_ns_.compare_exchange_weak(
                              last, now_ns, std::memory_order_relaxed)) {
  }
}

ProbeGate::Issued ProbeGate::TryIssue(uint64_t generation,
                                      const ProbeLimits& limits, int64_t now_ns,
                                      uint32_t* probe_id) {
  uint64_t packed = word_.load(std::memory_order_acquire);
  for (;;) {
    const ProbeWord word = ProbeWord::Unpack(packed);
    if (word.generation != (generation & ProbeWord::kGenerationMask)) {
      return Issued::kOtherGeneration;
    }
    if (std::optional<ProbeWord> next = word.Issue(limits)) {
      RaiseLastIssue(now_ns);
      if (Replace(packed, *next)) {
        *probe_id = word.round;
        return Issued::kYes;
      }
      continue;
    }
    const int64_t lease_end =
        last_issue_ns_.load(std::memory_order_relaxed) + limits.lease_ns;
    const std::optional<ProbeWord> next = word.NewRound();
    if (now_ns < lease_end || !next) return Issued::kFull;
    // Won or lost, `packed` is read again.
    if (Replace(packed, *next)) packed = next->Pack();
  }
}

ProbeGate::Reported ProbeGate::ToReported(ProbeVerdict verdict) {
  switch (verdict) {
    case ProbeVerdict::kClose:
      return Reported::kDecidedToClose;
    case ProbeVerdict::kOpen:
      return Reported::kDecidedToOpen;
    case ProbeVerdict::kUndecided:
      break;
  }
  return Reported::kCounted;
}

template <typename Step>
bool ProbeGate::Change(uint64_t generation, Step step) {
  uint64_t packed = word_.load(std::memory_order_acquire);
  for (;;) {
    const ProbeWord word = ProbeWord::Unpack(packed);
    if (word.generation != (generation & ProbeWord::kGenerationMask)) {
      return false;
    }
    const std::optional<ProbeWord> next = step(word);
    if (!next) return false;
    if (Replace(packed, *next)) return true;
  }
}

ProbeGate::Reported ProbeGate::Report(uint64_t generation, uint32_t probe_id,
                                      bool success, const ProbeLimits& limits) {
  ProbeVerdict verdict;
  const bool changed = Change(generation, [&](const ProbeWord& word) {
    return word.Report(probe_id, success, limits, &verdict);
  });
  return changed ? ToReported(verdict) : Reported::kDropped;
}

ProbeGate::Reported ProbeGate::Judge(uint64_t generation,
                                     const ProbeLimits& limits) {
  ProbeVerdict verdict;
  const bool changed = Change(generation, [&](const ProbeWord& word) {
    return word.Decide(limits, &verdict);
  });
  return changed ? ToReported(verdict) : Reported::kDropped;
}

bool ProbeGate::Return(uint64_t generation, uint32_t probe_id) {
  return Change(generation,
                [&](const ProbeWord& word) { return word.Return(probe_id); });
}

}  // namespace grpc_breaker::internal
