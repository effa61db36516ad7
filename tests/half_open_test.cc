#include "grpc_breaker/breaker/half_open.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

constexpr int64_t kLease = 10;

ProbeLimits Limits(uint32_t permits, uint32_t successes,
                   double failure_rate = 0) {
  ProbeLimits limits;
  limits.permits = permits;
  limits.successes = successes;
  limits.failure_rate = failure_rate;
  limits.lease_ns = kLease;
  return limits;
}

TEST(ProbeWordTest, PacksAndUnpacksTheLargestValues) {
  ProbeWord word;
  word.generation = ProbeWord::kGenerationMask;
  word.round = ProbeWord::kRoundMask;
  word.issues = ProbeWord::kIssuesMask;
  word.decided = true;
  word.under_way = 1000;
  word.succeeded = 1000;
  word.failed = 999;
  const ProbeWord same = ProbeWord::Unpack(word.Pack());
  EXPECT_EQ(same.generation, word.generation);
  EXPECT_EQ(same.round, word.round);
  EXPECT_EQ(same.issues, word.issues);
  EXPECT_EQ(same.decided, word.decided);
  EXPECT_EQ(same.under_way, word.under_way);
  EXPECT_EQ(same.succeeded, word.succeeded);
  EXPECT_EQ(same.failed, word.failed);
}

TEST(ProbeGateTest, DecidesOnceAndIssuesNothingAfterwards) {
  ProbeGate gate;
  const ProbeLimits limits = Limits(3, 2);
  gate.Begin(7, 0);
  uint32_t probe_id;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(gate.TryIssue(7, limits, 0, &probe_id), ProbeGate::Issued::kYes);
  }
  EXPECT_EQ(gate.Report(7, probe_id, true, limits),
            ProbeGate::Reported::kCounted);
  EXPECT_EQ(gate.Report(7, probe_id, true, limits),
            ProbeGate::Reported::kDecidedToClose);
  EXPECT_EQ(gate.Report(7, probe_id, false, limits),
            ProbeGate::Reported::kDropped);
  EXPECT_EQ(gate.TryIssue(7, limits, 100, &probe_id), ProbeGate::Issued::kFull);
}

TEST(ProbeGateTest, TellsAnotherGenerationFromAFullOne) {
  ProbeGate gate;
  uint32_t probe_id;
  gate.Begin(8, 0);
  EXPECT_EQ(gate.TryIssue(6, Limits(1, 1), 0, &probe_id),
            ProbeGate::Issued::kOtherGeneration);
  EXPECT_FALSE(gate.Return(6, 0));
  EXPECT_EQ(gate.Report(6, 0, true, Limits(1, 1)),
            ProbeGate::Reported::kDropped);
}

TEST(ProbeGateTest, ADelayedThreadDoesNotMakeFreshProbesLookLost) {
  ProbeGate gate;
  const ProbeLimits limits = Limits(2, 2);
  uint32_t probe_id;
  gate.Begin(1, 0);
  EXPECT_EQ(gate.TryIssue(1, limits, 50, &probe_id), ProbeGate::Issued::kYes);
  // Read its clock long ago.
  EXPECT_EQ(gate.TryIssue(1, limits, 5, &probe_id), ProbeGate::Issued::kYes);
  EXPECT_EQ(gate.TryIssue(1, limits, 59, &probe_id), ProbeGate::Issued::kFull);
  EXPECT_EQ(gate.TryIssue(1, limits, 60, &probe_id), ProbeGate::Issued::kYes);
}

TEST(ProbeGateTest, ALateOutcomeCountsButGivesNoPlaceBack) {
  ProbeGate gate;
  const ProbeLimits limits = Limits(2, 3);
  uint32_t late[2];
  uint32_t probe_id;
  gate.Begin(1, 0);
  for (uint32_t& each : late) gate.TryIssue(1, limits, 0, &each);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(gate.TryIssue(1, limits, kLease, &probe_id),
              ProbeGate::Issued::kYes);
  }
  EXPECT_FALSE(gate.Return(1, late[0]));
  EXPECT_EQ(gate.Report(1, late[0], true, limits),
            ProbeGate::Reported::kCounted);
  EXPECT_EQ(gate.Report(1, late[1], true, limits),
            ProbeGate::Reported::kCounted);
  EXPECT_EQ(gate.Load().under_way, 2u);
  EXPECT_EQ(gate.Load().succeeded, 2u);
  EXPECT_EQ(gate.Report(1, probe_id, true, limits),
            ProbeGate::Reported::kDecidedToClose);
}

TEST(ProbeGateTest, JudgesByNewLimitsOnce) {
  ProbeGate gate;
  uint32_t probe_id;
  gate.Begin(1, 0);
  for (int i = 0; i < 4; ++i) {
    gate.TryIssue(1, Limits(10, 1, 0.5), 0, &probe_id);
    gate.Report(1, probe_id, true, Limits(10, 1, 0.5));
  }
  EXPECT_EQ(gate.Judge(1, Limits(5, 1, 0.5)), ProbeGate::Reported::kDropped);
  EXPECT_EQ(gate.Judge(2, Limits(4, 1, 0.5)), ProbeGate::Reported::kDropped);
  EXPECT_EQ(gate.Judge(1, Limits(4, 1, 0.5)),
            ProbeGate::Reported::kDecidedToClose);
  EXPECT_EQ(gate.Judge(1, Limits(4, 1, 0.5)), ProbeGate::Reported::kDropped);
}

// A thread that read the options before they changed reports after the outcomes
// were judged by the new ones: no report is the deciding one, and no place is
// left. Whoever finds that judges again.
TEST(ProbeGateTest, AReportByFormerLimitsDoesNotKeepItUndecided) {
  const ProbeLimits before = Limits(10, 1, 0.5);
  const ProbeLimits after = Limits(2, 1, 0.5);
  ProbeGate gate;
  uint32_t probe_id;
  gate.Begin(1, 0);
  for (int i = 0; i < 2; ++i) gate.TryIssue(1, before, 0, &probe_id);
  gate.Report(1, probe_id, true, before);
  EXPECT_EQ(gate.Judge(1, after), ProbeGate::Reported::kDropped);
  EXPECT_EQ(gate.Report(1, probe_id, true, before),
            ProbeGate::Reported::kCounted);
  EXPECT_EQ(gate.TryIssue(1, after, 1000, &probe_id), ProbeGate::Issued::kFull);
  EXPECT_EQ(gate.Judge(1, after), ProbeGate::Reported::kDecidedToClose);
}

// --- Every interleaving of three threads ---
//
// Each thread makes its calls: ask for a place, then succeed, fail, give it
// back or lose it. Whoever decides begins the next HALF_OPEN two generations
// on. A step is one access to shared memory, in the order in which ProbeGate
// makes them; what it computes in between are ProbeWord's own functions. A
// clock may move on by a lease at any time. All states that any order of steps
// can lead to are visited, each once, and in each one these hold:
//   - no more probes than permits are under way whose lease has not ended;
//   - the word counts exactly the probes of its generation and round, and
//     every outcome of its generation until it is decided, however late;
//   - a generation is decided at most once.

constexpr int kThreads = 3;

enum class Step : uint8_t {
  kIdle,         // Next: read the clock and the generation.
  kLoadToIssue,  // Next: load the word.
  kIssue,        // Has loaded the word; next: load the last issue.
  kRaise,        // Next: raise the last issue.
  kTake,         // Next: compare and swap the word.
  kNewRound,     // Next: compare and swap the word.
  kHolding,      // Next: load the word, to give the place back.
  kReport,       // Next: compare and swap the word.
  kBeginTime,    // Has decided; next: store the last issue.
  kBeginWord,    // Next: store the word.
  kBeginState,   // Next: publish the generation.
  kDone,
};

enum class Ending : uint8_t { kSuccess, kFailure, kReturn };

struct ThreadState {
  Step step = Step::kIdle;
  Ending ending = Ending::kSuccess;
  uint8_t calls_left = 0;
  bool holding = false;
  uint8_t generation = 0;  // Of the call.
  uint8_t round = 0;       // Of the probe.
  uint8_t held_generation = 0;
  int8_t now = 0;
  int8_t issued_at = 0;
  int8_t last = 0;      // As loaded.
  uint64_t packed = 0;  // As loaded.
};

struct World {
  uint64_t word = 0;
  int8_t last = 0;
  int8_t clock = 0;
  uint8_t generation = 0;
  uint8_t decisions = 0;  // In the current generation.
  uint8_t outcomes = 0;   // In the current generation.
  // Probes that were lost while they held a place: by (generation, round).
  struct Lost {
    uint8_t generation = 0, round = 0;
    int8_t issued_at = 0;
    bool exists = false;
  };
  std::array<Lost, kThreads * 2> lost{};
  std::array<ThreadState, kThreads> threads{};

  // The same for worlds that differ only in which thread is which.
  std::string Key() const {
    Bytes key;
    key.Add(word, last, clock, generation, decisions, outcomes);
    std::array<std::string, std::tuple_size_v<decltype(lost)>> lost_keys;
    for (size_t i = 0; i < lost.size(); ++i) {
      Bytes bytes;
      bytes.Add(lost[i].exists, lost[i].generation, lost[i].round,
                lost[i].issued_at);
      lost_keys[i] = bytes.text;
    }
    std::sort(lost_keys.begin(), lost_keys.end());
    std::array<std::string, kThreads> thread_keys;
    for (size_t i = 0; i < threads.size(); ++i) {
      const ThreadState& t = threads[i];
      Bytes bytes;
      bytes.Add(t.step, t.ending, t.calls_left, t.holding, t.generation,
                t.round, t.held_generation, t.now, t.issued_at, t.last,
                t.packed);
      thread_keys[i] = bytes.text;
    }
    std::sort(thread_keys.begin(), thread_keys.end());
    for (const std::string& k : lost_keys) key.text += k;
    for (const std::string& k : thread_keys) key.text += k;
    return key.text;
  }

 private:
  // Value by value, since padding has no value.
  struct Bytes {
    template <typename... Values>
    void Add(Values... values) {
      (text.append(reinterpret_cast<const char*>(&values), sizeof(values)),
       ...);
    }
    std::string text;
  };
};

class Checker {
 public:
  // `planted_bug` leaves out that the word counts what was issued.
  Checker(const ProbeLimits& limits, int calls, int clock_steps,
          bool planted_bug = false)
      : limits_(limits),
        planted_bug_(planted_bug),
        clock_end_(static_cast<int8_t>(clock_steps * kLease)) {
    World world;
    world.generation = 2;
    ProbeWord word;
    word.generation = 2;
    world.word = word.Pack();
    for (ThreadState& thread : world.threads) {
      thread.calls_left = static_cast<uint8_t>(calls);
    }
    Visit(world);
  }

  // Returns the number of states.
  size_t Run() {
    while (!pending_.empty() && violation_.empty()) {
      const World world = std::move(pending_.back());
      pending_.pop_back();
      if (world.clock < clock_end_) {
        World next = world;
        next.clock += static_cast<int8_t>(kLease);
        Visit(next);
      }
      for (int i = 0; i < kThreads; ++i) Advance(world, i);
    }
    return visited_.size();
  }

  const std::string& violation() const { return violation_; }
  size_t endings() const { return endings_; }
  size_t decisions() const { return decisions_; }

 private:
  void Visit(const World& world) {
    if (!visited_.insert(world.Key()).second) return;
    Check(world);
    pending_.push_back(world);
  }

  void Check(const World& world) {
    const ProbeWord word = ProbeWord::Unpack(world.word);
    uint32_t counted = 0;
    uint32_t fresh = 0;
    auto look = [&](uint8_t generation, uint8_t round, int8_t issued_at) {
      if (generation != word.generation) return;
      counted += round == word.round ? 1 : 0;
      fresh += issued_at + kLease > world.clock ? 1 : 0;
    };
    bool all_done = true;
    for (const ThreadState& t : world.threads) {
      if (t.holding) look(t.held_generation, t.round, t.issued_at);
      all_done = all_done && t.step == Step::kDone;
    }
    for (const World::Lost& l : world.lost) {
      if (l.exists) look(l.generation, l.round, l.issued_at);
    }
    if (fresh > limits_.permits) violation_ = "more probes than permits";
    if (counted != word.under_way) violation_ = "a probe is not counted";
    if (world.outcomes != word.succeeded + word.failed) {
      violation_ = "an outcome is not counted";
    }
    if (world.decisions > 1) violation_ = "decided twice";
    endings_ += all_done ? 1 : 0;
  }

  // All that thread `i` can do next.
  void Advance(const World& world, int i) {
    World next = world;
    ThreadState& t = next.threads[i];
    switch (t.step) {
      case Step::kDone:
        return;
      case Step::kIdle:
        if (t.calls_left == 0) {
          t.step = Step::kDone;
        } else {
          --t.calls_left;
          t.now = next.clock;
          t.generation = next.generation;
          t.step = Step::kLoadToIssue;
        }
        break;
      case Step::kLoadToIssue:
        LookAtWord(next, t);
        break;
      case Step::kIssue:
        t.last = next.last;
        if (ProbeWord::Unpack(t.packed).Issue(limits_)) {
          t.step = t.last < t.now ? Step::kRaise : Step::kTake;
        } else if (t.now >= t.last + kLease &&
                   ProbeWord::Unpack(t.packed).NewRound()) {
          t.step = Step::kNewRound;
        } else {
          EndCall(t);
        }
        break;
      case Step::kRaise:
        if (next.last == t.last) {
          next.last = t.now;
          t.step = Step::kTake;
        } else {
          t.last = next.last;
          if (t.last >= t.now) t.step = Step::kTake;
        }
        break;
      case Step::kTake: {
        const ProbeWord word = ProbeWord::Unpack(t.packed);
        ProbeWord taken = *word.Issue(limits_);
        if (planted_bug_) taken.issues = 0;
        if (Swap(next, t, taken)) {
          t.holding = true;
          t.held_generation = t.generation;
          t.round = static_cast<uint8_t>(word.round);
          t.issued_at = t.now;
          t.step = Step::kHolding;
        } else {
          LookAtWord(next, t);
        }
        break;
      }
      case Step::kNewRound:
        Swap(next, t, *ProbeWord::Unpack(t.packed).NewRound());
        LookAtWord(next, t);
        break;
      case Step::kHolding:
        // It may be lost, and may end in each way.
        Lose(next, i);
        for (Ending ending :
             {Ending::kSuccess, Ending::kFailure, Ending::kReturn}) {
          World other = next;
          other.threads[i].ending = ending;
          other.threads[i].packed = other.word;
          other.threads[i].step = Step::kReport;
          Visit(other);
        }
        return;
      case Step::kReport:
        GiveBack(next, t);
        break;
      case Step::kBeginTime:
        next.last = next.clock;
        t.step = Step::kBeginWord;
        break;
      case Step::kBeginWord: {
        ProbeWord word;
        word.generation = t.generation + 2u;
        next.word = word.Pack();
        next.decisions = 0;
        next.outcomes = 0;
        t.step = Step::kBeginState;
        break;
      }
      case Step::kBeginState:
        next.generation = static_cast<uint8_t>(t.generation + 2);
        EndCall(t);
        break;
    }
    Visit(next);
  }

  // With what was loaded just now.
  void LookAtWord(World& world, ThreadState& t) {
    t.packed = world.word;
    t.step = Step::kIssue;
    if (ProbeWord::Unpack(t.packed).generation != t.generation) EndCall(t);
  }

  bool Swap(World& world, ThreadState& t, const ProbeWord& to) {
    if (world.word != t.packed) {
      t.packed = world.word;
      return false;
    }
    world.word = to.Pack();
    return true;
  }

  void GiveBack(World& world, ThreadState& t) {
    const ProbeWord word = ProbeWord::Unpack(t.packed);
    ProbeVerdict verdict = ProbeVerdict::kUndecided;
    std::optional<ProbeWord> to;
    if (word.generation == t.held_generation) {
      to = t.ending == Ending::kReturn
               ? word.Return(t.round)
               : word.Report(t.round, t.ending == Ending::kSuccess, limits_,
                             &verdict);
    }
    if (to && !Swap(world, t, *to)) return;  // Tries again.
    if (t.ending != Ending::kReturn && word.generation == t.held_generation &&
        !word.decided) {
      ++world.outcomes;
    }
    if (!to && word.generation == t.held_generation && word.decided &&
        word.round == t.round) {
      // Decided without it: its place is never asked for again.
      AddLost(world, t);
    }
    t.holding = false;
    if (to && verdict != ProbeVerdict::kUndecided) {
      ++world.decisions;
      ++decisions_;
      t.step = Step::kBeginTime;
    } else {
      EndCall(t);
    }
  }

  void Lose(const World& world, int i) {
    World next = world;
    ThreadState& t = next.threads[i];
    AddLost(next, t);
    t.holding = false;
    EndCall(t);
    Visit(next);
  }

  void AddLost(World& world, const ThreadState& t) {
    for (World::Lost& l : world.lost) {
      if (l.exists) continue;
      l = {t.held_generation, t.round, t.issued_at, true};
      return;
    }
    violation_ = "no room for another lost probe";
  }

  // Forgets what no longer matters, so that fewer states differ.
  static void EndCall(ThreadState& t) {
    const uint8_t calls_left = t.calls_left;
    t = ThreadState();
    t.calls_left = calls_left;
  }

  const ProbeLimits limits_;
  const bool planted_bug_;
  const int8_t clock_end_;
  std::unordered_set<std::string> visited_;
  std::vector<World> pending_;
  std::string violation_;
  size_t endings_ = 0;
  size_t decisions_ = 0;
};

void CheckAll(const ProbeLimits& limits, int calls, int clock_steps) {
  Checker checker(limits, calls, clock_steps);
  EXPECT_GT(checker.Run(), 1000u);
  EXPECT_EQ(checker.violation(), "");
  EXPECT_GT(checker.endings(), 0u);
  EXPECT_GT(checker.decisions(), 0u);
}

TEST(ProbeGateInterleavingsTest, HoldForOnePermit) {
  CheckAll(Limits(1, 1), 1, 1);
}

TEST(ProbeGateInterleavingsTest, HoldForTwoPermits) {
  CheckAll(Limits(2, 2), 1, 1);
}

TEST(ProbeGateInterleavingsTest, HoldForARate) {
  CheckAll(Limits(2, 1, 0.5), 1, 1);
}

TEST(ProbeGateInterleavingsTest, HoldWhenThreadsComeTwice) {
  CheckAll(Limits(1, 1), 2, 0);
}

// A thread that wants to begin a new round could mistake a fresh probe for the
// lost one that it saw.
TEST(ProbeGateInterleavingsTest, AreAllSeenSinceAPlantedBugIsFound) {
  Checker checker(Limits(1, 1), 1, 1, /*planted_bug=*/true);
  checker.Run();
  EXPECT_EQ(checker.violation(), "more probes than permits");
}

}  // namespace
}  // namespace grpc_breaker::internal
