#ifndef GRPC_BREAKER_POLICY_H_
#define GRPC_BREAKER_POLICY_H_

// What one method gets -- its Policy -- and the Options that say which policy
// each method of a channel gets.
//
// The most specific policy wins as a whole, nothing is merged: one for the
// method ("/pkg.Service/Method"), else one for the service ("/pkg.Service/"),
// else the default. Copy a policy and change a field to derive one from
// another.
//
// Thread-compatible: plain values. The functions in them are called from any
// thread, possibly from several at once.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpc_breaker/breaker_options.h"
#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/retry_options.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker {

class Directory;

// A call that has failed for good, as fallbacks and hooks see it. The pointers
// are valid during the call of the function only.
struct FailedCall {
  std::string method;               // "/pkg.Service/Method"
  const grpc::ByteBuffer* request;  // As sent; null for a streaming call.
  grpc::Status status;
  int attempts = 0;       // On the wire; 0 if every one was rejected.
  bool rejected = false;  // The last attempt was refused by the breaker.
};

// What a fallback makes of it.
struct FallbackResult {
  grpc::Status status;
  std::string reply;  // A serialized reply message; used if status is OK.
};

// Runs for unary calls on a thread of the library, or on the caller's, which
// may be one that others wait for: it should not block. One that throws has
// failed, and the call ends as if there were none.
struct GRPC_BREAKER_EXPORT Fallback {
  std::function<FallbackResult(const FailedCall&)> function;  // Empty: none.

  // Which failures it runs on.
  bool on_exhaustion = true;     // The last attempt failed retryably.
  bool on_not_retryable = true;  // No further attempt would have helped.
  bool on_rejection = true;      // The breaker refused.

  // Always the same answer.
  static Fallback Fixed(grpc::Status status, std::string reply = "");
};

enum class Idempotency {
  // Repeats what its proto file declares safe (option idempotency_level =
  // NO_SIDE_EFFECTS or IDEMPOTENT) and what the server provably never saw.
  kAsDeclared,
  // The user's word that calls may be repeated.
  kRepeatable,
};

// Replaces what the status table says of one code; unset fields stay.
struct ClassOverride {
  std::optional<ErrorCategory> category;  // Not kNone.
  std::optional<ErrorSeverity> severity;
  std::optional<Outcome> outcome;
  std::optional<bool> retryable;
};

struct GRPC_BREAKER_EXPORT Policy {
  RetryOptions retry;
  BreakerOptions breaker;
  // By the code of an error, in [1, 16].
  std::map<grpc::StatusCode, ClassOverride> classification;

  // Unset: kRepeatable in a policy for a method or a service, kAsDeclared in
  // the default policy.
  std::optional<Idempotency> idempotency;

  // For the whole call, all attempts and backoffs, where the caller set no
  // deadline. From 1 ms to a year.
  std::optional<absl::Duration> timeout;
  // For each attempt; its expiry can be retried while the call's deadline
  // lasts. From 1 ms to a year. Unary calls only.
  std::optional<absl::Duration> attempt_timeout;

  Fallback fallback;
  // Called once for a call that failed for good, before its fallback, so that
  // the application can compensate. Same rules as for a fallback.
  std::function<void(const FailedCall&)> on_final_failure;

  // Instead of failing fast when the breaker refuses: waits for its
  // retry-after, if retries are left and the deadline allows. Unary calls only.
  bool wait_when_rejected = false;

  // For attempts, where the application's ClientContext cannot be read (see
  // README, "Limits"); otherwise the context's own settings win.
  std::optional<bool> wait_for_ready;
  std::string authority;

  // Fields are named from `prefix`, such as "methods[/pkg.S/M].".
  absl::Status Validate(const std::string& prefix = "") const;
};

struct GRPC_BREAKER_EXPORT Options {
  Policy default_policy;
  std::map<std::string, Policy> services;  // By "/pkg.Service/".
  std::map<std::string, Policy> methods;   // By "/pkg.Service/Method".

  // Shared by all methods of the channel; off by default.
  RetryBudgetOptions retry_budget;

  // How the channel is called in events and in the admin service. UTF-8.
  // Empty: its target.
  std::string channel_name;

  // Methods beyond this many share one breaker, "_other", and the default
  // policy. In [1, 1000000], and at least methods.size(): a method with a
  // policy of its own always gets it.
  int max_methods = 1000;

  // Deprecated, without effect: what a reply is, is read from the call itself.
  bool generic_messages = false;

  // Hear every breaker of the channel; they live as long as it is used.
  std::vector<std::shared_ptr<BreakerListener>> listeners;

  // Where the admin service finds the channel; null keeps it out of sight. Need
  // not outlive the channel.
  Directory* directory;

  // The clock, timers and dice; outlives the channel and its calls. Not null.
  Environment* environment;

  Options();  // directory and environment are the process-wide ones.

  absl::Status Validate() const;

  // The most specific policy for "/pkg.Service/Method"; lives as long as this.
  const Policy& PolicyFor(absl::string_view method) const;
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_POLICY_H_
