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
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/message_lite.h"
#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/breaker_options.h"
#include "grpc_breaker/call_history.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/retry_options.h"
#include "grpcpp/impl/serialization_traits.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker {

class Directory;
class PolicySource;

// A call that has failed for good, as fallbacks and hooks see it. The pointers
// are valid during the call of the function only.
struct FailedCall {
  std::string method;               // "/pkg.Service/Method"
  const grpc::ByteBuffer* request;  // As sent; null for a streaming call.
  grpc::Status status;
  int attempts = 0;       // On the wire; 0 if every one was rejected.
  bool rejected = false;  // The last attempt was refused by the breaker.
  CallHistory history;    // Of the attempts.

  // The request as a message. FailedPrecondition for a streaming call, and
  // InvalidArgument if it does not parse.
  template <typename Request>
  absl::StatusOr<Request> ParseRequest() const;
};

// An attempt that has ended, as Policy::on_attempt sees it.
struct FinishedAttempt {
  std::string method;  // "/pkg.Service/Method"
  int number = 1;      // Within its call, from 1 on.
  grpc::Status status;
  ErrorClass error;      // kNone throughout if it succeeded.
  absl::Duration delay;  // The wait before it.
  absl::Duration took;
  // Another attempt decided the call first, so that this one was cancelled. The
  // breaker is not told of it. `error` is as of a success.
  bool lost = false;
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

  // Always OK, with this message.
  template <typename Message>
  static Fallback Reply(const Message& reply);

  // What `function` makes of the request: it takes a `const Request&`, and if
  // it likes a `const FailedCall&` after it, and returns absl::StatusOr<Reply>.
  // If the request is not a Request, the call ends as if there were none.
  template <typename Request, typename Reply, typename Function>
  static Fallback Typed(Function function);
};

// Whether calls may be repeated. Whatever it says, those that no server can
// have seen are.
enum class Idempotency {
  // If the method's proto file declares it safe: option idempotency_level =
  // NO_SIDE_EFFECTS or IDEMPOTENT.
  kAsDeclared,
  // The user's word that they may.
  kRepeatable,
};

// "AS_DECLARED", ...
GRPC_BREAKER_EXPORT absl::string_view ToString(Idempotency idempotency);

// Replaces what the status table says of one code; unset fields stay.
struct ClassOverride {
  std::optional<ErrorCategory> category;  // Not kNone.
  std::optional<ErrorSeverity> severity;
  std::optional<Outcome> outcome;
  std::optional<bool> retryable;
};

struct GRPC_BREAKER_EXPORT Policy {
  RetryOptions retry;
  // Instead of retries, for calls that may be repeated.
  HedgingOptions hedging;
  // Whether streaming calls are retried at all.
  StreamRetryOptions stream_retry;
  BreakerOptions breaker;
  // By the code of an error, in [1, 16].
  std::map<grpc::StatusCode, ClassOverride> classification;

  // Naming a method in a policy does not imply that it may be repeated.
  Idempotency idempotency = Idempotency::kAsDeclared;

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
  // Called for each attempt that has ended, before one that follows begins; of
  // a stream, for the one that there is, if its final status is read. Same
  // rules as for a fallback.
  std::function<void(const FinishedAttempt&)> on_attempt;

  // Instead of failing fast when the breaker refuses: waits for its
  // retry-after, if retries are left and the deadline allows. Unary calls only.
  bool wait_when_rejected = false;

  // Whether an attempt that has received initial metadata is a unary call's
  // last, as in gRFC A6. Otherwise all that an attempt which failed has
  // received is thrown away, since the application has seen nothing of it.
  bool commit_at_initial_metadata = false;

  // Where the application's ClientContext does not say; unary calls only.
  std::optional<bool> wait_for_ready;
  std::string authority;

  // Fields are named from `prefix`, such as "methods[/pkg.S/M].".
  absl::Status Validate(const std::string& prefix = "") const;
};

// The policies of a channel's methods.
struct GRPC_BREAKER_EXPORT Policies {
  Policy default_policy;
  std::map<std::string, Policy> services;  // By "/pkg.Service/".
  std::map<std::string, Policy> methods;   // By "/pkg.Service/Method".

  // Whether a policy for a method that its service does not have is an error.
  // Of services whose proto file is not linked in, nothing is known.
  bool strict_methods = true;

  // The policy of a service, named by the class that gRPC generated for it; if
  // there is none yet, a copy of the default policy.
  //
  //   options.Service<shop::Inventory>().timeout = absl::Seconds(1);
  template <typename ServiceClass>
  Policy& Service() {
    return ServicePolicy(ServiceClass::service_full_name());
  }

  // The policy of one of its methods; if there is none yet, a copy of that of
  // the service, or else of the default. Where the service does not have the
  // method, Validate() says so, whatever `strict_methods` is.
  //
  //   options.Method<shop::Inventory>("GetStock").retry.max_retries = 2;
  template <typename ServiceClass>
  Policy& Method(absl::string_view method) {
    return MethodPolicy(ServiceClass::service_full_name(), method);
  }

  // The most specific policy for "/pkg.Service/Method"; lives as long as this.
  const Policy& PolicyFor(absl::string_view method) const;

  absl::Status Validate() const;

  // Of policies that are valid: what they ask for and will not get. That is
  // retries of a method, or of all known methods of a service, that neither the
  // policy nor the proto file says may be repeated; and in a build that cannot
  // make attempts (docs/limits.md), all that needs them.
  std::vector<PolicyWarning> Warnings() const;

 private:
  Policy& ServicePolicy(absl::string_view service);
  Policy& MethodPolicy(absl::string_view service, absl::string_view method);

  std::set<std::string> named_by_type_;  // Of `methods`.
};

// What becomes of a service config that asks for more attempts than gRPC makes.
enum class AttemptLimit {
  kGrpcA6,  // 5, without a word, as gRFC A6 has it.
  kNone,    // Up to 101, as for RetryOptions::max_retries; more are an error.
};

struct GRPC_BREAKER_EXPORT Options : Policies {
  // Shared by all methods of the channel, and with channels to the same server
  // name; off by default.
  RetryBudgetOptions retry_budget;

  // Whose retry budget it is: channels with the same name, and the same
  // environment, share one, unless they want one of their own. If their options
  // for it differ, those of the newest channel hold for all. Empty: what gRPC
  // makes of the target, or for a Registry that is made without one, a budget
  // of its own.
  std::string server_name;

  // How the channel is called in events and in the admin service. UTF-8.
  // Empty: its target.
  std::string channel_name;

  // Methods beyond this many share one breaker, "_other", and the default
  // policy. In [1, 1000000], and at least methods.size(): a method with a
  // policy of its own always gets it.
  int max_methods = 1000;

  // Breakers that opened because nothing answered probe as soon as the channel
  // is connected again, once until they have been CLOSED, instead of waiting
  // for the end of open_duration. While one of them is OPEN, the channel tries
  // to connect, at the pace of gRPC's own backoff. For channels made by
  // CreateChannel: they are destroyed when a listener that hears of such a
  // probe has returned.
  bool probe_when_connected = true;

  // Deprecated, without effect: what a reply is, is read from the call itself.
  bool generic_messages = false;

  // Hear every breaker of the channel, and at its creation the warnings; they
  // live as long as it is used.
  std::vector<std::shared_ptr<BreakerListener>> listeners;

  // Sets more of these options when the channel is made, and gives it other
  // policies as long as it lives (policy_source.h). Null: nobody does.
  std::shared_ptr<PolicySource> policy_source;

  // Where the admin service finds the channel; null keeps it out of sight. Need
  // not outlive the channel.
  Directory* directory;

  // The clock, timers and dice; outlives the channel and its calls. Not null.
  Environment* environment;

  // Whether CreateChannel takes over what the service config in its arguments
  // says of time limits, retries and their throttling, instead of dropping the
  // retries. What the application has set wins: its policies by name, those for
  // a service also over methods of it, the fields of its default policy, its
  // retry budget. The rest of an adopted policy is that of the default policy.
  bool adopt_service_config = false;

  Options();  // directory and environment are the process-wide ones.

  // The policies and the retry budget that a gRPC service config (JSON) asks
  // for: methodConfig with name, timeout, waitForReady, and retryPolicy or
  // hedgingPolicy, and retryThrottling. What it does not name is not retried,
  // and there is another attempt after the codes that it lists, whatever the
  // status table says, and after no others; to list a method is the user's word
  // that it may be repeated. Fields that are not known are ignored, as gRPC
  // does. What is wrong is an InvalidArgument that names its JSON path and
  // value, such as
  //   "methodConfig[1].retryPolicy.maxAttempts: must be an integer of at least
  //   2, got 1".
  // See docs/grpc_retries.md.
  static absl::StatusOr<Options> FromServiceConfig(
      absl::string_view json, AttemptLimit limit = AttemptLimit::kGrpcA6);

  absl::Status Validate() const;
};

// ---- Implementation

namespace internal {

GRPC_BREAKER_EXPORT grpc::Status ParseMessage(
    grpc::ByteBuffer bytes, google::protobuf::MessageLite* message);
GRPC_BREAKER_EXPORT grpc::Status SerializeMessage(
    const google::protobuf::MessageLite& message, grpc::ByteBuffer* bytes);
// OK with the bytes, or why there are none.
GRPC_BREAKER_EXPORT FallbackResult ResultOf(grpc::Status status,
                                            const grpc::ByteBuffer& bytes);

// Other messages than protobufs have traits of their own.
template <typename Message>
inline constexpr bool kIsProtobuf =
    std::is_base_of_v<google::protobuf::MessageLite, Message>;

template <typename Message>
FallbackResult SerializeReply(const Message& reply) {
  grpc::ByteBuffer bytes;
  grpc::Status status;
  if constexpr (kIsProtobuf<Message>) {
    status = SerializeMessage(reply, &bytes);
  } else {
    bool own = false;
    status = grpc::SerializationTraits<Message>::Serialize(reply, &bytes, &own);
  }
  return ResultOf(std::move(status), bytes);
}

}  // namespace internal

template <typename Request>
absl::StatusOr<Request> FailedCall::ParseRequest() const {
  if (request == nullptr) {
    return absl::FailedPreconditionError(
        "request: a streaming call has more than one, or none");
  }
  Request message;
  grpc::Status parsed;
  if constexpr (internal::kIsProtobuf<Request>) {
    parsed = internal::ParseMessage(*request, &message);
  } else {
    grpc::ByteBuffer bytes = *request;
    parsed = grpc::SerializationTraits<Request>::Deserialize(&bytes, &message);
  }
  if (!parsed.ok()) {
    return absl::InvalidArgumentError("request: does not parse, " +
                                      parsed.error_message());
  }
  return message;
}

template <typename Message>
Fallback Fallback::Reply(const Message& reply) {
  FallbackResult result = internal::SerializeReply(reply);
  return Fixed(std::move(result.status), std::move(result.reply));
}

template <typename Request, typename Reply, typename Function>
Fallback Fallback::Typed(Function function) {
  Fallback fallback;
  fallback.function = [function = std::move(function)](const FailedCall& call) {
    const absl::StatusOr<Request> request = call.ParseRequest<Request>();
    if (!request.ok()) return FallbackResult{call.status, ""};
    absl::StatusOr<Reply> reply = [&]() -> absl::StatusOr<Reply> {
      if constexpr (std::is_invocable_v<const Function&, const Request&,
                                        const FailedCall&>) {
        return function(*request, call);
      } else {
        return function(*request);
      }
    }();
    if (!reply.ok()) return FallbackResult{ToGrpcStatus(reply.status()), ""};
    return internal::SerializeReply(*reply);
  };
  return fallback;
}

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_POLICY_H_
