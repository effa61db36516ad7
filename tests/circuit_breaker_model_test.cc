// The breaker against a slow one that is obviously right: a million steps of
// random scripts, after each of which both must have said the same.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using std::chrono::nanoseconds;

constexpr MonotonicTime kNever = MonotonicTime::max();

MonotonicTime After(MonotonicTime now, absl::Duration duration) {
  const nanoseconds ns = absl::ToChronoNanoseconds(duration);
  return ns > kNever - now ? kNever : now + ns;
}

// Keeps lists of everything and counts them anew each time.
class ReferenceBreaker {
 public:
  struct Permit {
    std::optional<Rejection> rejection;
    uint64_t generation = 0;
    BreakerState issued_in = BreakerState::kClosed;
    int round = 0;
    MonotonicTime at;
    bool uncounted = false;
    bool in_bulkhead = false;
    bool beyond_bulkhead = false;
    std::optional<absl::Duration> answered_after;
    bool counted = false;
  };

  ReferenceBreaker(const BreakerOptions& options, Environment& dice)
      : options_(options), dice_(dice) {
    state_ = InitialState();
  }

  Permit TryAcquire(MonotonicTime now) {
    ApplyDueTransitions(now);
    Permit permit;
    permit.generation = generation_;
    permit.issued_in = state_;
    permit.round = round_;
    permit.at = now;
    std::optional<Rejection> refusal = Admit(now);
    if (!refusal && options_.max_concurrent_calls > 0) {
      if (under_way_ + (shadow_ ? 0 : beyond_) >=
          options_.max_concurrent_calls) {
        refusal = Rejection{RejectionReason::kBulkhead, Shown(), {}};
      } else {
        ++under_way_;
        permit.in_bulkhead = true;
      }
    }
    permit.uncounted = state_ == BreakerState::kForcedClosed;
    if (refusal && shadow_) {
      ++would_have_rejected_;
      permit.uncounted = true;
      permit.beyond_bulkhead = options_.max_concurrent_calls > 0;
      beyond_ += permit.beyond_bulkhead ? 1 : 0;
      refusal.reset();
    }
    if (refusal) {
      ++rejections_;
      permit.rejection = refusal;
      return permit;
    }
    ++totals_.issued;
    if (state_ == BreakerState::kHalfOpen && !permit.uncounted) {
      ++probes_under_way_;
      permit.round = round_;
    }
    return permit;
  }

  void Record(const Permit& permit, Outcome outcome, MonotonicTime now,
              const CircuitBreaker::FailureDetails& details) {
    LeaveBulkhead(permit);
    if (permit.counted) return;
    if (permit.uncounted || outcome == Outcome::kIgnored) {
      ReturnProbe(permit);
      ++totals_.ignored;
      return;
    }
    Count(permit, outcome == Outcome::kFailure,
          permit.answered_after.value_or(absl::FromChrono(now - permit.at)),
          now, details);
  }

  void NoteResponse(Permit& permit, MonotonicTime now) {
    if (permit.answered_after) return;
    permit.answered_after = absl::FromChrono(now - permit.at);
    if (permit.issued_in != BreakerState::kHalfOpen || permit.uncounted) return;
    permit.counted = true;
    Count(permit, false, *permit.answered_after, now, {});
  }

  void GiveBack(const Permit& permit) {
    LeaveBulkhead(permit);
    if (permit.counted) return;
    ReturnProbe(permit);
    ++totals_.returned;
  }

  void SetManualState(const ManualState& manual, MonotonicTime now) {
    EndManualIfOver(now);
    manual_until_ = After(now, manual.time_to_live);
    by_hand_ = true;
    const bool shadow = manual.state == BreakerState::kMetricsOnly;
    Enter(shadow ? BreakerState::kClosed : manual.state, shadow, now);
  }

  void Reset(MonotonicTime now) {
    EndManualIfOver(now);
    by_hand_ = false;
    Enter(InitialState(), false, now);
  }

  // Also without anybody asking.
  void EndManualIfOver(MonotonicTime now) {
    if (!by_hand_ || now < manual_until_) return;
    by_hand_ = false;
    Enter(InitialState(), false, manual_until_);
  }

  void Reconfigure(const BreakerOptions& options, MonotonicTime now) {
    EndManualIfOver(now);
    if (options_.enabled != options.enabled && !by_hand_) {
      Enter(
          options.enabled ? BreakerState::kClosed : BreakerState::kForcedClosed,
          false, now);
    }
    const BreakerOptions old = std::exchange(options_, options);
    if (ramp_began_) state_until_ = RampEnd();
    if (state_ == BreakerState::kHalfOpen) {
      state_until_ = After(entered_, options_.half_open_max_wait);
      JudgeProbes(now, {});
    }
    if (old.last_calls != options.last_calls) last_calls_.clear();
    if (old.window != options.window) {
      if (state_ == BreakerState::kClosed) ++generation_;
      calls_.clear();
      shed_.clear();
      run_ = 0;
      rate_waits_ = false;
    }
  }

  BreakerSnapshot Snapshot(MonotonicTime now) const {
    BreakerSnapshot s;
    const bool manual_over = by_hand_ && now >= manual_until_;
    s.state = manual_over ? InitialState() : Shown();
    if (!manual_over) {
      s.counts = CountsIn(now);
      s.consecutive_failures = run_;
      s.shadow_state = shadow_ ? state_ : BreakerState::kClosed;
    }
    if (s.state == BreakerState::kHalfOpen) {
      s.permits_in_use = probes_under_way_;
    }
    if (s.state == BreakerState::kOpen && now < state_until_) {
      s.next_probe_in = absl::FromChrono(state_until_ - now);
    }
    if (s.state == BreakerState::kClosed) {
      s.ramp_share = RampShare(now);
      s.throttle_probability = ThrottleProbability(now);
    }
    s.rejections = rejections_;
    s.transitions = transitions_;
    s.would_have_rejected = would_have_rejected_;
    s.calls_under_way = under_way_ + beyond_;
    s.permits = totals_;
    return s;
  }

 private:
  struct Call {
    MonotonicTime at;
    bool failed;
    bool slow;
    int weight;
  };

  void LeaveBulkhead(const Permit& permit) {
    under_way_ -= permit.in_bulkhead ? 1 : 0;
    beyond_ -= permit.beyond_bulkhead ? 1 : 0;
  }

  BreakerState InitialState() const {
    return options_.enabled ? BreakerState::kClosed
                            : BreakerState::kForcedClosed;
  }
  BreakerState Shown() const {
    return shadow_ ? BreakerState::kMetricsOnly : state_;
  }

  void ApplyDueTransitions(MonotonicTime now) {
    EndManualIfOver(now);
    if (now < state_until_) return;
    if (state_ == BreakerState::kOpen) {
      Enter(BreakerState::kHalfOpen, shadow_, now);
    } else if (state_ == BreakerState::kHalfOpen) {
      Enter(BreakerState::kOpen, shadow_, now);
      ApplyDueTransitions(now);
    } else {
      ramp_began_.reset();
      state_until_ = kNever;
    }
  }

  std::optional<Rejection> Admit(MonotonicTime now) {
    auto refuse = [&](RejectionReason reason, absl::Duration retry_after = {}) {
      return Rejection{reason, Shown(), retry_after};
    };
    switch (state_) {
      case BreakerState::kForcedOpen:
        return refuse(RejectionReason::kForcedOpen,
                      manual_until_ == kNever
                          ? options_.open_duration
                          : absl::FromChrono(manual_until_ - now));
      case BreakerState::kOpen:
        return refuse(RejectionReason::kOpen,
                      absl::FromChrono(state_until_ - now));
      case BreakerState::kHalfOpen:
        if (ProbesFull() && probes_under_way_ > 0 &&
            now >= After(last_issue_, options_.permit_lease)) {
          ++round_;
          probes_under_way_ = 0;
        }
        if (ProbesFull()) return refuse(RejectionReason::kHalfOpenLimit);
        // Even if the bulkhead refuses the call after all.
        last_issue_ = now;
        return std::nullopt;
      case BreakerState::kClosed:
        if (RampShare(now) < 1 && dice_.Uniform() >= RampShare(now)) {
          return refuse(RejectionReason::kRamp);
        }
        if (ThrottleProbability(now) > 0 &&
            dice_.Uniform() < ThrottleProbability(now)) {
          shed_.push_back(now);
          return refuse(RejectionReason::kThrottled);
        }
        return std::nullopt;
      default:
        return std::nullopt;
    }
  }

  bool ProbesFull() const {
    const int judged =
        options_.half_open_failure_rate > 0 ? succeeded_ + failed_ : 0;
    return probes_under_way_ + judged >= options_.half_open_permits;
  }

  double RampShare(MonotonicTime now) const {
    if (!ramp_began_) return 1;
    const auto step = static_cast<size_t>(absl::FromChrono(now - *ramp_began_) /
                                          options_.ramp_step);
    return step < options_.ramp.size() ? options_.ramp[step] : 1;
  }

  double ThrottleProbability(MonotonicTime now) const {
    if (options_.throttle_k == 0) return 0;
    int64_t shed = 0;
    for (MonotonicTime at : shed_) shed += InWindow(at, now) ? 1 : 0;
    const WindowCounts counts = Counts(now);
    const double requests = static_cast<double>(counts.calls() + shed);
    return std::max(
        0.0, (requests -
              options_.throttle_k * static_cast<double>(counts.successes)) /
                 (requests + 1));
  }

  // The window is this bucket and the nine before.
  bool InWindow(MonotonicTime at, MonotonicTime now) const {
    const int64_t bucket = absl::ToInt64Nanoseconds(options_.window) / 10;
    return now.time_since_epoch().count() / bucket -
               at.time_since_epoch().count() / bucket <
           10;
  }

  WindowCounts Counts(MonotonicTime now) const {
    WindowCounts counts;
    for (const Call& call : calls_) {
      if (!InWindow(call.at, now)) continue;
      if (call.failed) counts.failures += call.weight;
      if (!call.failed) ++counts.successes;
      if (call.slow) ++counts.slow;
    }
    return counts;
  }

  WindowCounts CountsIn(MonotonicTime now) const {
    if (state_ == BreakerState::kClosed) return Counts(now);
    if (state_ == BreakerState::kHalfOpen) return {succeeded_, failed_, 0};
    return counts_at_change_;
  }

  void Count(const Permit& permit, bool failed, absl::Duration took,
             MonotonicTime now, const CircuitBreaker::FailureDetails& details) {
    const bool slow = took >= options_.slow_call;
    if (permit.generation != generation_) {
      ++totals_.stale;
    } else if (state_ == BreakerState::kHalfOpen) {
      RecordProbe(permit, failed, slow, now, details);
    } else {
      RecordCounted(failed, slow, now, details);
    }
  }

  void RecordProbe(const Permit& permit, bool failed, bool slow,
                   MonotonicTime now,
                   const CircuitBreaker::FailureDetails& details) {
    ++(failed ? totals_.failures : totals_.successes);
    if (permit.round == round_) --probes_under_way_;
    failed = failed || (slow && options_.slow_rate > 0);
    ++(failed ? failed_ : succeeded_);
    JudgeProbes(now, details);
  }

  void JudgeProbes(MonotonicTime now,
                   const CircuitBreaker::FailureDetails& details) {
    if (options_.half_open_failure_rate > 0) {
      if (succeeded_ + failed_ < options_.half_open_permits) return;
      Enter(Reached(options_.half_open_failure_rate, failed_,
                    succeeded_ + failed_)
                ? BreakerState::kOpen
                : BreakerState::kClosed,
            shadow_, now, details.server_delay);
    } else if (failed_ > 0) {
      Enter(BreakerState::kOpen, shadow_, now, details.server_delay);
    } else if (succeeded_ >= options_.half_open_successes) {
      Enter(BreakerState::kClosed, shadow_, now);
    }
  }

  void ReturnProbe(const Permit& permit) {
    if (permit.uncounted || permit.generation != generation_ ||
        state_ != BreakerState::kHalfOpen || permit.round != round_) {
      return;
    }
    --probes_under_way_;
  }

  void RecordCounted(bool failed, bool slow, MonotonicTime now,
                     const CircuitBreaker::FailureDetails& details) {
    const bool critical =
        failed && details.severity == ErrorSeverity::kCritical;
    const int weight = critical ? options_.critical_weight : 1;
    ++(failed ? totals_.failures : totals_.successes);
    calls_.push_back({now, failed, slow, weight});
    while (!InWindow(calls_.front().at, now)) calls_.pop_front();
    run_ = failed ? run_ + weight : 0;
    for (int i = 0; i < weight && options_.last_calls > 0; ++i) {
      last_calls_.push_back(failed);
      if (static_cast<int>(last_calls_.size()) > options_.last_calls) {
        last_calls_.pop_front();
      }
    }
    const auto failed_of_last =
        std::count(last_calls_.begin(), last_calls_.end(), true);

    bool trip = critical && options_.open_on_critical;
    trip |= failed && options_.consecutive_failures > 0 &&
            run_ >= options_.consecutive_failures;
    trip |= failed && options_.last_calls > 0 &&
            failed_of_last >= options_.last_calls_failures;
    if (!trip && (failed || slow || rate_waits_)) {
      const WindowCounts counts = Counts(now);
      const bool reached =
          Reached(options_.failure_rate, counts.failures, counts.calls()) ||
          Reached(options_.slow_rate, counts.slow, counts.calls());
      const bool possible =
          Reached(options_.failure_rate, counts.failures,
                  options_.minimum_calls) ||
          Reached(options_.slow_rate, counts.slow, options_.minimum_calls);
      trip = reached && counts.calls() >= options_.minimum_calls;
      rate_waits_ = reached && possible && !trip;
    }
    if (trip) {
      Enter(BreakerState::kOpen, shadow_, now, details.server_delay);
    }
  }

  // The scripts' rates have two decimals.
  static bool Reached(double rate, int64_t part, int64_t whole) {
    return rate > 0 && part > 0 &&
           part * 100 >= std::lround(rate * 100) * whole;
  }

  MonotonicTime RampEnd() const {
    return After(*ramp_began_,
                 options_.ramp_step * static_cast<int>(options_.ramp.size()));
  }

  absl::Duration OpenDuration(std::optional<absl::Duration> server_delay) {
    const absl::Duration cap =
        std::max(options_.open_duration, options_.max_open_duration);
    const double uniform = options_.open_jitter > 0 ? dice_.Uniform() : 0.5;
    absl::Duration duration = options_.open_duration;
    if (options_.use_server_delay && server_delay) {
      duration = std::max(*server_delay, options_.open_duration / 10);
    } else {
      for (int i = 0; i < opened_; ++i) {
        duration = std::min(cap, duration * options_.open_multiplier);
      }
      duration *= 1 + options_.open_jitter * (2 * uniform - 1);
    }
    ++opened_;
    return std::min(cap, duration);
  }

  void Enter(BreakerState to, bool shadow, MonotonicTime now,
             std::optional<absl::Duration> server_delay = std::nullopt) {
    const BreakerState shown = Shown();
    counts_at_change_ = CountsIn(now);
    const bool recovered =
        state_ == BreakerState::kHalfOpen &&
        (to != BreakerState::kOpen && to != BreakerState::kHalfOpen);
    state_ = to;
    shadow_ = shadow;
    if (Shown() != shown) ++transitions_;
    ++generation_;
    calls_.clear();
    shed_.clear();
    last_calls_.clear();
    run_ = 0;
    rate_waits_ = false;
    state_until_ = kNever;
    entered_ = now;
    ramp_began_.reset();
    if (to == BreakerState::kOpen) {
      state_until_ = After(now, OpenDuration(server_delay));
    } else if (to == BreakerState::kHalfOpen) {
      state_until_ = After(now, options_.half_open_max_wait);
      last_issue_ = now;
      round_ = probes_under_way_ = succeeded_ = failed_ = 0;
    } else {
      opened_ = 0;
      if (recovered && !options_.ramp.empty()) {
        ramp_began_ = now;
        state_until_ = RampEnd();
      }
    }
  }

  BreakerOptions options_;
  Environment& dice_;
  BreakerState state_ = BreakerState::kClosed;
  bool shadow_ = false;
  bool by_hand_ = false;
  uint64_t generation_ = 0;
  MonotonicTime state_until_ = kNever;
  MonotonicTime entered_;
  MonotonicTime manual_until_ = kNever;
  std::optional<MonotonicTime> ramp_began_;
  std::deque<Call> calls_;
  std::deque<MonotonicTime> shed_;
  std::deque<bool> last_calls_;
  int run_ = 0;
  bool rate_waits_ = false;
  int opened_ = 0;
  MonotonicTime last_issue_;
  int round_ = 0;
  int probes_under_way_ = 0;
  int succeeded_ = 0;
  int failed_ = 0;
  int under_way_ = 0;
  int beyond_ = 0;
  WindowCounts counts_at_change_;
  uint64_t rejections_ = 0;
  uint64_t would_have_rejected_ = 0;
  uint64_t transitions_ = 0;
  PermitTotals totals_;
};

// One random script, played to both.
class Script {
 public:
  // `restless`: the options change at every step.
  Script(uint64_t seed, bool restless)
      : random_(seed),
        restless_(restless),
        options_(RandomOptions()),
        reference_(options_, reference_dice_) {
    environment_.SeedUniform(seed);
    reference_dice_.SeedUniform(seed);
    breaker_ = *CircuitBreaker::Create("b", options_, environment_);
  }

  // Returns the first difference, or nothing.
  std::string Play(int steps) {
    for (int step = 0; step < steps; ++step) {
      std::string what = Step();
      std::string difference = Compare();
      if (restless_ && difference.empty()) {
        ChangeAnOption();
        Reconfigure();
        what = "options changed";
        difference = Compare();
      }
      if (!difference.empty()) {
        return absl::StrCat("step ", step, ", ", what, ": ", difference);
      }
    }
    return "";
  }

  uint64_t transitions() const {
    return breaker_->Snapshot(environment_.Now()).transitions;
  }

 private:
  int Random(int below) { return static_cast<int>(random_() % below); }
  bool OneIn(int n) { return Random(n) == 0; }
  template <typename T>
  T OneOf(std::initializer_list<T> values) {
    return *(values.begin() + Random(static_cast<int>(values.size())));
  }

  BreakerOptions RandomOptions() {
    BreakerOptions o;
    o.enabled = !OneIn(20);
    o.consecutive_failures = OneOf({0, 2, 5, 9});
    o.last_calls = OneOf({0, 0, 1, 7, 64, 100});
    o.last_calls_failures = 1 + o.last_calls / 2;
    o.failure_rate = OneOf({0.0, 0.1, 0.5, 0.55, 0.9, 1.0});
    o.slow_rate = OneOf({0.0, 0.0, 0.29, 1.0});
    o.slow_call = OneOf({absl::InfiniteDuration(), absl::Milliseconds(150)});
    o.window = OneOf({absl::Seconds(1), absl::Seconds(1), absl::Seconds(3)});
    o.minimum_calls = OneOf({1, 5, 20});
    o.critical_weight = OneOf({1, 1, 3});
    o.open_on_critical = OneIn(5);
    o.throttle_k = OneOf({0.0, 0.0, 1.0, 2.0});
    o.max_concurrent_calls = OneOf({0, 0, 1, 4});
    o.open_duration = absl::Milliseconds(OneOf({100, 500}));
    o.open_multiplier = OneOf({1.0, 1.5, 2.0});
    o.max_open_duration = absl::Milliseconds(OneOf({50, 2000}));
    o.open_jitter = OneOf({0.0, 0.3});
    o.use_server_delay = OneIn(2);
    o.half_open_permits = OneOf({1, 2, 5});
    o.half_open_successes = OneOf({1, 3});
    o.half_open_failure_rate = OneOf({0.0, 0.0, 0.5});
    o.half_open_max_wait =
        OneOf({absl::InfiniteDuration(), absl::Milliseconds(700)});
    o.permit_lease = absl::Milliseconds(OneOf({200, 1000}));
    if (OneIn(2)) o.ramp = {0.1, 0.5, 0.9};
    o.ramp_step = absl::Milliseconds(OneOf({50, 200}));
    return o;
  }

  // So that all the others go on with what they have been.
  void ChangeAnOption() {
    const BreakerOptions other = RandomOptions();
    const auto change = [&](auto BreakerOptions::*... fields) {
      int n = Random(sizeof...(fields));
      ((n-- == 0 ? void(options_.*fields = other.*fields) : void()), ...);
    };
    using O = BreakerOptions;
    change(&O::consecutive_failures, &O::failure_rate, &O::slow_rate,
           &O::slow_call, &O::minimum_calls, &O::critical_weight,
           &O::open_on_critical, &O::throttle_k, &O::max_concurrent_calls,
           &O::open_duration, &O::open_multiplier, &O::max_open_duration,
           &O::open_jitter, &O::use_server_delay, &O::half_open_permits,
           &O::half_open_successes, &O::half_open_failure_rate,
           &O::half_open_max_wait, &O::permit_lease, &O::ramp, &O::ramp_step);
    if (OneIn(20)) options_.window = other.window;
    if (OneIn(20)) options_.enabled = other.enabled;
    if (OneIn(20)) {
      options_.last_calls = other.last_calls;
      options_.last_calls_failures = other.last_calls_failures;
    }
  }

  void Reconfigure() {
    const MonotonicTime now = environment_.Now();
    EXPECT_TRUE(breaker_->Reconfigure(options_, now).ok());
    reference_.Reconfigure(options_, now);
    EXPECT_EQ(breaker_->options(), options_);
  }

  std::string Step() {
    const MonotonicTime now = environment_.Now();
    const int dice = Random(1000);
    if (dice < 480) {
      held_.push_back({breaker_->TryAcquire(now), reference_.TryAcquire(now)});
      return "acquire";
    }
    if (dice < 540) {
      if (held_.empty()) return "nothing";
      Pair& pair = held_[Random(static_cast<int>(held_.size()))];
      if (!pair.real.admitted()) return "nothing";
      pair.real.NoteResponse(now);
      reference_.NoteResponse(pair.reference, now);
      return "note a response";
    }
    if (dice < 880) {
      if (held_.empty()) return "nothing";
      std::swap(held_[Random(static_cast<int>(held_.size()))], held_.back());
      Pair pair = std::move(held_.back());
      held_.pop_back();
      if (!pair.real.admitted()) return "forget a refusal";
      if (OneIn(15)) {
        reference_.GiveBack(pair.reference);
        return "give back";
      }
      const Outcome outcome =
          OneIn(20) ? Outcome::kIgnored
                    : (Random(100) < failing_ ? Outcome::kFailure
                                              : Outcome::kSuccess);
      CircuitBreaker::FailureDetails details;
      if (OneIn(10)) details.severity = ErrorSeverity::kCritical;
      if (OneIn(10)) details.server_delay = absl::Milliseconds(Random(900));
      pair.real.Record(outcome, now, details);
      reference_.Record(pair.reference, outcome, now, details);
      return absl::StrCat("record ", ToString(outcome));
    }
    if (dice < 990) {
      environment_.Advance(
          absl::Milliseconds(OneIn(20) ? Random(2000) : Random(60)));
      reference_.EndManualIfOver(environment_.Now());
      if (OneIn(10)) failing_ = OneOf({0, 5, 30, 60, 100});
      return "advance";
    }
    if (dice < 993) {
      const ManualState manual = {
          static_cast<BreakerState>(
              static_cast<int>(BreakerState::kForcedOpen) + Random(3)),
          "", "",
          OneIn(4) ? absl::InfiniteDuration() : absl::Milliseconds(300)};
      EXPECT_TRUE(breaker_->SetManualState(manual, now).ok());
      reference_.SetManualState(manual, now);
      return absl::StrCat("set ", ToString(manual.state));
    }
    if (dice < 996) {
      breaker_->Reset("", "", now);
      reference_.Reset(now);
      return "reset";
    }
    options_ = RandomOptions();
    Reconfigure();
    return "reconfigure";
  }

  std::string Compare() {
    if (!held_.empty()) {
      const Pair& last = held_.back();
      if (last.real.admitted() == last.reference.rejection.has_value()) {
        return absl::StrCat("admitted ", last.real.admitted(), " ",
                            ToString(last.real.rejection().reason));
      }
      if (!last.real.admitted()) {
        const Rejection real = last.real.rejection();
        const Rejection& reference = *last.reference.rejection;
        if (real.reason != reference.reason || real.state != reference.state ||
            real.retry_after != reference.retry_after) {
          return absl::StrCat("refused ", ToString(real.reason), " ",
                              absl::FormatDuration(real.retry_after), ", not ",
                              ToString(reference.reason), " ",
                              absl::FormatDuration(reference.retry_after));
        }
      }
    }
    const BreakerSnapshot a = breaker_->Snapshot(environment_.Now());
    const BreakerSnapshot b = reference_.Snapshot(environment_.Now());
    std::string difference;
    auto compare = [&difference](absl::string_view what, auto real,
                                 auto reference) {
      if (real == reference || !difference.empty()) return;
      difference = absl::StrCat(what, " ", real, ", not ", reference);
    };
    compare("state", ToString(a.state), ToString(b.state));
    compare("shadow", ToString(a.shadow_state), ToString(b.shadow_state));
    compare("successes", a.counts.successes, b.counts.successes);
    compare("failures", a.counts.failures, b.counts.failures);
    compare("slow", a.counts.slow, b.counts.slow);
    compare("run", a.consecutive_failures, b.consecutive_failures);
    compare("probes", a.permits_in_use, b.permits_in_use);
    compare("next probe", absl::ToDoubleSeconds(a.next_probe_in),
            absl::ToDoubleSeconds(b.next_probe_in));
    compare("ramp", a.ramp_share, b.ramp_share);
    compare("throttle", a.throttle_probability, b.throttle_probability);
    compare("under way", a.calls_under_way, b.calls_under_way);
    compare("rejections", a.rejections, b.rejections);
    compare("would reject", a.would_have_rejected, b.would_have_rejected);
    compare("transitions", a.transitions, b.transitions);
    const BreakerCounts counts = breaker_->Counts();
    uint64_t counted = 0;
    for (const auto& from : counts.transitions) {
      for (const uint64_t transitions : from) counted += transitions;
    }
    compare("counted state", ToString(counts.state), ToString(b.state));
    compare("counted transitions", counted, b.transitions);
    compare("counted would reject", counts.would_have_rejected,
            b.would_have_rejected);
    compare("issued", a.permits.issued, b.permits.issued);
    compare("total successes", a.permits.successes, b.permits.successes);
    compare("total failures", a.permits.failures, b.permits.failures);
    compare("ignored", a.permits.ignored, b.permits.ignored);
    compare("stale", a.permits.stale, b.permits.stale);
    compare("returned", a.permits.returned, b.permits.returned);
    return difference;
  }

  struct Pair {
    CircuitBreaker::Permit real;
    ReferenceBreaker::Permit reference;
  };

  std::mt19937_64 random_;
  const bool restless_;
  BreakerOptions options_;
  mutable ManualEnvironment environment_;
  ManualEnvironment reference_dice_;
  ReferenceBreaker reference_;
  std::unique_ptr<CircuitBreaker> breaker_;
  std::vector<Pair> held_;
  int failing_ = 30;  // Per cent.
};

// Returns the number of transitions.
uint64_t PlayScripts(int scripts, int steps, bool restless) {
  uint64_t transitions = 0;
  for (int seed = 0; seed < scripts; ++seed) {
    Script script(static_cast<uint64_t>(seed), restless);
    const std::string difference = script.Play(steps);
    EXPECT_EQ(difference, "") << "seed " << seed;
    if (!difference.empty()) break;
    transitions += script.transitions();
  }
  return transitions;
}

// The scripts did reach something, too.
TEST(CircuitBreakerModelTest, DoesWhatTheReferenceDoesForAMillionSteps) {
  EXPECT_GT(PlayScripts(1000, 1000, /*restless=*/false), 10000u);
}

TEST(CircuitBreakerModelTest, DoesSoAlsoWhenOptionsChangeAtEveryStep) {
  EXPECT_GT(PlayScripts(500, 200, /*restless=*/true), 1000u);
}

}  // namespace
}  // namespace grpc_breaker
