#ifndef GRPC_BREAKER_BREAKER_HALF_OPEN_H_
#define GRPC_BREAKER_BREAKER_HALF_OPEN_H_

// HALF_OPEN: admits a few probes and comes to one decision from their outcomes.
//
// The whole of it is one atomic word. ProbeWord is that word as a value, with
// its transitions as pure functions, so that a test can walk through every
// interleaving of them; ProbeGate applies them by compare-and-swap.
//
// A probe that is never reported would hold its place for ever. Hence the
// lease: when all places are taken and the last one was given away a lease ago,
// they are all free again (a new round). Probes of older rounds hold no place,
// but their outcomes count, however late.

#include <atomic>
#include <cstdint>
#include <optional>

#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

struct ProbeLimits {
  // Probes under way at once; if `failure_rate` > 0, probes altogether.
  uint32_t permits = 1;
  // So many successes close, and the first failure opens, ...
  uint32_t successes = 1;
  // ... unless this is > 0: then `permits` outcomes are awaited, and this share
  // of failures or more opens.
  double failure_rate = 0;
  int64_t lease_ns = 0;
};

enum class ProbeVerdict { kUndecided, kClose, kOpen };

// Thread-compatible: a value.
//
// What wraps: the round after 4096 leases, when a probe of such an age gives
// back the place of another; the generation after 1024 changes of state, and
// the issues after 2048, between a load and a compare-and-swap of one thread.
// Each costs a probe too many or a place until the end of the lease, no more.
struct GRPC_BREAKER_EXPORT ProbeWord {
  uint32_t generation = 0;  // 10 bits, of the breaker's.
  uint32_t round = 0;       // 12 bits.
  // 11 bits: how many were issued. Tells a word with a fresh probe from an
  // earlier one with a lost probe, where all else is the same.
  uint32_t issues = 0;
  bool decided = false;
  uint32_t under_way = 0;  // 10 bits.
  uint32_t succeeded = 0;  // 10 bits.
  uint32_t failed = 0;     // 10 bits.

  static constexpr uint32_t kGenerationMask = (1u << 10) - 1;
  static constexpr uint32_t kRoundMask = (1u << 12) - 1;
  static constexpr uint32_t kIssuesMask = (1u << 11) - 1;

  uint64_t Pack() const;
  static ProbeWord Unpack(uint64_t word);

  // Each returns the word that follows, or nothing if the step cannot be made.
  std::optional<ProbeWord> Issue(const ProbeLimits& limits) const;
  std::optional<ProbeWord> NewRound() const;
  std::optional<ProbeWord> Return(uint32_t round) const;
  // The word that follows is `decided` if this outcome decides; `verdict` says
  // for what.
  std::optional<ProbeWord> Report(uint32_t round, bool success,
                                  const ProbeLimits& limits,
                                  ProbeVerdict* verdict) const;
  // Nothing if the outcomes so far do not decide.
  std::optional<ProbeWord> Decide(const ProbeLimits& limits,
                                  ProbeVerdict* verdict) const;

  ProbeVerdict Judge(const ProbeLimits& limits) const;
};

// Thread-safe. Acquire and release order on the word makes the time of the last
// issue visible to whoever finds all places taken.
class GRPC_BREAKER_EXPORT ProbeGate {
 public:
  enum class Issued { kYes, kFull, kOtherGeneration };
  enum class Reported {
    kCounted,
    kDropped,  // Nothing has changed.
    kDecidedToClose,
    kDecidedToOpen,
  };

  // A new HALF_OPEN begins. Not concurrently with itself.
  void Begin(uint64_t generation, int64_t now_ns);

  // Takes a place; `*probe_id` is needed to report or return it. It is the
  // round, so probes of one round have the same.
  Issued TryIssue(uint64_t generation, const ProbeLimits& limits,
                  int64_t now_ns, uint32_t* probe_id);

  // Gives the place back, if it still has one, with an outcome. Exactly one
  // call per HALF_OPEN, of this and of Judge, says that it has decided.
  Reported Report(uint64_t generation, uint32_t probe_id, bool success,
                  const ProbeLimits& limits);

  // Decides if the outcomes so far suffice by these limits: after a change of
  // options, and when somebody finds no place, in case a probe was reported by
  // the old options meanwhile.
  Reported Judge(uint64_t generation, const ProbeLimits& limits);

  // Gives the place back without an outcome. False if it was lost already.
  bool Return(uint64_t generation, uint32_t probe_id);

  ProbeWord Load() const {
    return ProbeWord::Unpack(word_.load(std::memory_order_acquire));
  }

 private:
  bool Replace(uint64_t& expected, const ProbeWord& next) {
    return word_.compare_exchange_weak(expected, next.Pack(),
                                       std::memory_order_acq_rel,
                                       std::memory_order_acquire);
  }

  // Replaces the word of `generation` by what `step` makes of it. False if it
  // is another generation's, or if `step` refuses.
  template <typename Step>
  bool Change(uint64_t generation, Step step);

  static Reported ToReported(ProbeVerdict verdict);
  void RaiseLastIssue(int64_t now_ns);

  std::atomic<uint64_t> word_{0};
  // Written before the word says that a place is taken, so that a fresh probe
  // is never taken for a lost one.
  std::atomic<int64_t> last_issue_ns_{0};
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_HALF_OPEN_H_
