#ifndef GRPC_BREAKER_ERROR_CLASS_H_
#define GRPC_BREAKER_ERROR_CLASS_H_

// What a status means: the one table from a canonical status code, and from
// what is known about how it came about, to a category and a severity for
// people, an outcome for the circuit breaker and a verdict for the retry
// policy.
//
// The codes of absl::Status and grpc::Status are the same numbers; this header
// is free of gRPC, and grpc_status.h adds the overloads for grpc::Status.
//
// Thread-safe: pure functions over values.

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker {

enum class ErrorCategory {
  kNone,       // Not an error.
  kNetwork,    // No answer: connect failure, reset, time-out.
  kRateLimit,  // The server asks for fewer calls.
  kResource,   // Something is exhausted here or there: memory, disk, size.
  kTransient,  // The server answered that it cannot serve right now.
  kPermanent,  // The same call would fail the same way.
};

enum class ErrorSeverity { kNone, kLow, kMedium, kHigh, kCritical };

// What an attempt tells the breaker.
enum class Outcome {
  kSuccess,  // The server is well, whatever it answered.
  kFailure,  // The server, or the way to it, is not well.
  kIgnored,  // Says nothing about the server: the permit goes back uncounted.
};

struct ErrorClass {
  ErrorCategory category = ErrorCategory::kNone;
  ErrorSeverity severity = ErrorSeverity::kNone;
  Outcome outcome = Outcome::kSuccess;
  // Whether another attempt can help. Whether one is *safe* is a question of
  // idempotency, and whether one is *allowed* of the retry policy.
  bool retryable = false;
  // True if the server provably never saw the attempt, so that repeating it is
  // safe for any method.
  bool never_sent = false;
  // The least wait before the next attempt that the server asked for in a
  // google.rpc.RetryInfo detail.
  std::optional<absl::Duration> retry_delay;

  friend bool operator==(const ErrorClass& a, const ErrorClass& b) {
    return a.category == b.category && a.severity == b.severity &&
           a.outcome == b.outcome && a.retryable == b.retryable &&
           a.never_sent == b.never_sent && a.retry_delay == b.retry_delay;
  }
  friend bool operator!=(const ErrorClass& a, const ErrorClass& b) {
    return !(a == b);
  }
};

// How a status came about, as far as the caller knows. The defaults mean
// "nothing is known"; the interceptor fills in all of it.
struct ErrorOrigin {
  // Whether the status was sent by a server, as opposed to made by this
  // process because no answer came. Unset: guessed from the message.
  std::optional<bool> server_answered;
  // The server had begun to answer, so that it has seen the attempt, whatever
  // the message says.
  bool answer_begun = false;
  // The application cancelled the call.
  bool cancelled_by_caller = false;
  // DEADLINE_EXCEEDED is this attempt's own time-out, and the call's deadline
  // has not passed.
  bool attempt_timeout = false;
  // A breaker of this process refused the attempt.
  bool rejected_by_breaker = false;
  // The status is one for a reply that is missing or does not parse, though the
  // server said OK.
  bool bad_reply = false;
  // From google.rpc details.
  std::optional<absl::Duration> retry_info;
  bool bad_request = false;
  bool quota_failure = false;
};

// The status table. `message` only refines what `origin` leaves open:
// RESOURCE_EXHAUSTED made by this process (no memory, no disk) against a
// server's rate limit, and where no server answered: a connection or stream
// that broke (kNetwork, whatever the code), one that the server never saw, and
// call credentials that could not be had. A message or metadata larger than a
// limit are kResource whoever says so: it is the call's fault, not the
// server's. A code outside of 0..16 is treated as UNKNOWN.
GRPC_BREAKER_EXPORT ErrorClass ClassifyError(absl::StatusCode code,
                                             absl::string_view message,
                                             const ErrorOrigin& origin = {});
GRPC_BREAKER_EXPORT ErrorClass ClassifyError(const absl::Status& status);

// True if `status` is worth another attempt after `attempt` retries (0 after
// the first attempt) out of at most `max_retries`.
GRPC_BREAKER_EXPORT bool ShouldRetry(const absl::Status& status, int attempt,
                                     int max_retries);

// "NETWORK", "RATE_LIMIT", ...; "LOW", ...; "SUCCESS", ...
GRPC_BREAKER_EXPORT absl::string_view ToString(ErrorCategory category);
GRPC_BREAKER_EXPORT absl::string_view ToString(ErrorSeverity severity);
GRPC_BREAKER_EXPORT absl::string_view ToString(Outcome outcome);

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_ERROR_CLASS_H_
