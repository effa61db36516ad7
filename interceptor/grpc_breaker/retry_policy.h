#ifndef GRPC_BREAKER_RETRY_POLICY_H_
#define GRPC_BREAKER_RETRY_POLICY_H_

// Decides after each attempt of one call whether, and after what delay, there
// is another one: the decision of gRFC A6 in its order -- status, tokens,
// commitment, attempts, pushback -- and then idempotency, the deadline and the
// budget's ratio, which is charged for what is going to be made and nothing
// else.
//
// Three questions stay apart: can it help (ErrorClass::retryable)? is it safe
// (idempotent, or never sent)? how long to wait (Backoff, pushback, RetryInfo)?
//
// It is the one place that charges the budget, for calls of any kind: one
// RetryPolicy is one call, which begins when it is made.
//
// For a call that is hedged, the decision after a failure is the same, but the
// delay is what the server asks for or none, and nothing is charged yet: each
// attempt after the first one asks TakeHedge.
//
// Thread-compatible: one RetryPolicy belongs to one call.

#include <optional>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "grpc_breaker/backoff.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/retry_budget.h"
#include "grpc_breaker/retry_options.h"

namespace grpc_breaker {

// The server's word in the trailing metadata "grpc-retry-pushback-ms".
struct GRPC_BREAKER_EXPORT Pushback {
  enum class Kind { kNone, kRetryAfter, kDoNotRetry };
  Kind kind = Kind::kNone;
  absl::Duration delay = absl::ZeroDuration();  // For kRetryAfter; >= 0.

  // One value of the header. Anything but a decimal number of milliseconds in
  // [0, 2^31) means "do not retry", as gRFC A6 has it.
  static Pushback Parse(absl::string_view value);
  // All values of the header: none says nothing, and more than one means "do
  // not retry", since the server contradicts itself.
  static Pushback Parse(absl::Span<const absl::string_view> values);
};

// How long the server asks to be left alone, if it does. Its pushback counts
// more than google.rpc.RetryInfo: gRPC itself heeds it, and the details may be
// those of a server further down.
GRPC_BREAKER_EXPORT std::optional<absl::Duration> ServerDelay(
    const ErrorClass& error, const Pushback& pushback);

struct RetryDecision {
  enum class Verdict {
    kRetry,
    kSucceeded,      // Nothing to retry.
    kNotRetryable,   // Another attempt would not help.
    kCommitted,      // What the server sent must not be taken back.
    kNotIdempotent,  // The server may have seen it, and repeating is not safe.
    kExhausted,      // All attempts are used up.
    kBudget,         // The retry budget allows none.
    kPushback,       // The server asked not to retry.
    kDeadline,       // Another attempt would not end before the deadline.
  };
  Verdict verdict = Verdict::kNotRetryable;
  absl::Duration delay = absl::ZeroDuration();  // For kRetry; >= 0.

  bool retry() const { return verdict == Verdict::kRetry; }
};

// "RETRY", "SUCCEEDED", "NOT_RETRYABLE", ...
GRPC_BREAKER_EXPORT absl::string_view ToString(RetryDecision::Verdict verdict);

class GRPC_BREAKER_EXPORT RetryPolicy {
 public:
  // `options` must be valid; `budget` may be null and outlives this object.
  // Counts the call in it.
  RetryPolicy(const RetryOptions& options, bool idempotent,
              Environment& environment, RetryBudget* budget = nullptr);

  // Of a call that is hedged, and hence may be repeated. Of `options`, only
  // NextAfterRejection makes use.
  RetryPolicy(const RetryOptions& options, const HedgingOptions& hedging,
              Environment& environment, RetryBudget* budget = nullptr);

  // How long another attempt is going to take, >= 0; zero if nobody knows. One
  // that would not end before the deadline is not worth its delay.
  void ExpectAttemptsToTake(absl::Duration duration) { expected_ = duration; }

  // After an attempt with this outcome. `deadline` is the call's, or
  // MonotonicTime::max(). `committed`: the application has seen something of
  // this attempt, or must be taken to have.
  RetryDecision Next(const ErrorClass& error, const Pushback& pushback,
                     MonotonicTime now, MonotonicTime deadline,
                     bool committed = false);

  // After the breaker refused an attempt. It takes nothing from the budget and
  // counts as one of the attempts, but waits at least `retry_after`: a
  // rejection must not burn the remaining attempts in a spin. Never sent, hence
  // safe for any method.
  RetryDecision NextAfterRejection(absl::Duration retry_after,
                                   MonotonicTime now, MonotonicTime deadline);

  // Whether a call that is hedged has attempts left, as far as the server has
  // not asked for none.
  bool may_hedge() const { return hedged_ && !told_not_to_ && !exhausted(); }

  // For one more attempt of a call that is hedged, now. kRetry if there is one
  // left, it can end before the deadline, and the budget allows it, which is
  // charged as for a retry; then it counts as one.
  RetryDecision::Verdict TakeHedge(MonotonicTime now, MonotonicTime deadline);

  // Retries and hedges allowed so far.
  int retries() const { return retries_; }

 private:
  RetryPolicy(const RetryOptions& options, int max_retries, bool idempotent,
              bool hedged, Environment& environment, RetryBudget* budget);

  bool exhausted() const { return retries_ >= max_retries_; }
  // Whether an attempt that starts then ends before the deadline.
  bool InTime(MonotonicTime start, MonotonicTime deadline) const {
    // One that starts at the deadline cannot succeed either.
    return TimeAfter(start, expected_) < deadline;
  }
  absl::Duration Delay(const ErrorClass& error, const Pushback& pushback);
  // Charges `budget`, which may be null.
  RetryDecision RetryAfter(absl::Duration delay, MonotonicTime now,
                           MonotonicTime deadline, RetryBudget* budget);

  const int max_retries_;
  const bool idempotent_;
  const bool hedged_;
  RetryBudget* const budget_;
  Backoff backoff_;
  absl::Duration expected_ = absl::ZeroDuration();
  int retries_ = 0;
  bool told_not_to_ = false;  // By the server.
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_RETRY_POLICY_H_
