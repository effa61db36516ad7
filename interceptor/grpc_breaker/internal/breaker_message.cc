#include "grpc_breaker/internal/breaker_message.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/generated_enum_reflection.h"
#include "google/protobuf/timestamp.pb.h"
#include "grpc_breaker/internal/utf8.h"

namespace grpc_breaker {
namespace internal {
namespace {

// The ranges of google.protobuf.Duration and Timestamp.
constexpr absl::Duration kLongestDuration = absl::Seconds(315576000000);
constexpr int64_t kFirstTimestamp = -62135596800;
constexpr int64_t kLastTimestamp = 253402300799;

google::protobuf::Duration ToMessage(absl::Duration duration) {
  duration = std::clamp(duration, -kLongestDuration, kLongestDuration);
  google::protobuf::Duration message;
  message.set_seconds(
      absl::IDivDuration(duration, absl::Seconds(1), &duration));
  message.set_nanos(static_cast<int32_t>(
      absl::IDivDuration(duration, absl::Nanoseconds(1), &duration)));
  return message;
}

google::protobuf::Timestamp ToMessage(absl::Time time) {
  time = std::clamp(time, absl::FromUnixSeconds(kFirstTimestamp),
                    absl::FromUnixSeconds(kLastTimestamp));
  google::protobuf::Timestamp message;
  message.set_seconds(absl::ToUnixSeconds(time));
  message.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(
      time - absl::FromUnixSeconds(message.seconds()))));
  return message;
}

// The enumerator of a message's enum that has the name of the library's own
// after the prefix; UNSPECIFIED, which is 0, if there is none.
template <typename MessageEnum, typename Enum>
MessageEnum Named(absl::string_view prefix, Enum value) {
  const google::protobuf::EnumValueDescriptor* found =
      google::protobuf::GetEnumDescriptor<MessageEnum>()->FindValueByName(
          absl::StrCat(prefix, ToString(value)));
  return static_cast<MessageEnum>(found != nullptr ? found->number() : 0);
}

config::v1::ErrorCategory ToMessage(ErrorCategory category) {
  return Named<config::v1::ErrorCategory>("ERROR_CATEGORY_", category);
}

config::v1::ErrorSeverity ToMessage(ErrorSeverity severity) {
  return Named<config::v1::ErrorSeverity>("ERROR_SEVERITY_", severity);
}

config::v1::Idempotency ToMessage(std::optional<Idempotency> idempotency) {
  if (!idempotency) return config::v1::IDEMPOTENCY_UNSPECIFIED;
  return *idempotency == Idempotency::kRepeatable
             ? config::v1::IDEMPOTENCY_REPEATABLE
             : config::v1::IDEMPOTENCY_AS_DECLARED;
}

void SetRetry(const RetryOptions& options, config::v1::RetryPolicy* message) {
  message->set_max_retries(options.max_retries);
  *message->mutable_base_delay() = ToMessage(options.base_delay);
  *message->mutable_max_delay() = ToMessage(options.max_delay);
  message->set_exponential_base(options.exponential_base);
  message->set_jitter(Named<config::v1::Jitter>("JITTER_", options.jitter));
}

// An endless duration is one that is not set.
void SetIfFinite(
    absl::Duration duration,
    google::protobuf::Duration* (config::v1::BreakerPolicy::*field)(),
    config::v1::BreakerPolicy* message) {
  if (duration == absl::InfiniteDuration()) return;
  *(message->*field)() = ToMessage(duration);
}

void SetBreaker(const BreakerOptions& options,
                config::v1::BreakerPolicy* message) {
  using Message = config::v1::BreakerPolicy;
  message->set_enabled(options.enabled);
  message->set_consecutive_failures(options.consecutive_failures);
  message->set_last_calls(options.last_calls);
  message->set_last_calls_failures(options.last_calls_failures);
  message->set_failure_rate(options.failure_rate);
  message->set_slow_rate(options.slow_rate);
  SetIfFinite(options.slow_call, &Message::mutable_slow_call, message);
  *message->mutable_window() = ToMessage(options.window);
  message->set_minimum_calls(options.minimum_calls);
  message->set_critical_weight(options.critical_weight);
  message->set_open_on_critical(options.open_on_critical);
  message->set_throttle_k(options.throttle_k);
  message->set_max_concurrent_calls(options.max_concurrent_calls);
  *message->mutable_open_duration() = ToMessage(options.open_duration);
  message->set_open_multiplier(options.open_multiplier);
  *message->mutable_max_open_duration() = ToMessage(options.max_open_duration);
  message->set_open_jitter(options.open_jitter);
  message->set_use_server_delay(options.use_server_delay);
  message->set_half_open_permits(options.half_open_permits);
  message->set_half_open_successes(options.half_open_successes);
  message->set_half_open_failure_rate(options.half_open_failure_rate);
  SetIfFinite(options.half_open_max_wait, &Message::mutable_half_open_max_wait,
              message);
  *message->mutable_permit_lease() = ToMessage(options.permit_lease);
  for (const double share : options.ramp) message->add_ramp(share);
  *message->mutable_ramp_step() = ToMessage(options.ramp_step);
  *message->mutable_rejection_event_interval() =
      ToMessage(options.rejection_event_interval);
}

void SetOverride(grpc::StatusCode code, const ClassOverride& override,
                 config::v1::ClassOverride* message) {
  message->set_code(code);
  if (override.category) message->set_category(ToMessage(*override.category));
  if (override.severity) message->set_severity(ToMessage(*override.severity));
  if (override.outcome) {
    message->set_outcome(
        Named<config::v1::Outcome>("OUTCOME_", *override.outcome));
  }
  if (override.retryable) message->set_retryable(*override.retryable);
}

void SetWindow(const WindowCounts& counts, admin::v1::Window* message) {
  message->set_successes(counts.successes);
  message->set_failures(counts.failures);
  message->set_failure_rate(counts.failure_rate());
  message->set_slow(counts.slow);
  message->set_slow_rate(counts.slow_rate());
}

void SetManual(const ManualState& manual, absl::Time now,
               admin::v1::ManualState* message) {
  message->set_reason(ToUtf8(manual.reason));
  message->set_actor(ToUtf8(manual.actor));
  if (manual.time_to_live != absl::InfiniteDuration()) {
    *message->mutable_expires() = ToMessage(now + manual.time_to_live);
  }
}

void SetLastError(const LastError& error, admin::v1::LastError* message) {
  message->set_code(error.code);
  message->set_message(ToUtf8(error.message));
  message->set_category(ToMessage(error.error_class.category));
  message->set_severity(ToMessage(error.error_class.severity));
  *message->mutable_time() = ToMessage(error.time);
}

}  // namespace

config::v1::Policy ToMessage(const Policy& policy) {
  config::v1::Policy message;
  SetRetry(policy.retry, message.mutable_retry());
  SetBreaker(policy.breaker, message.mutable_breaker());
  for (const auto& [code, override] : policy.classification) {
    SetOverride(code, override, message.add_classification());
  }
  message.set_idempotency(ToMessage(policy.idempotency));
  if (policy.timeout) *message.mutable_timeout() = ToMessage(*policy.timeout);
  if (policy.attempt_timeout) {
    *message.mutable_attempt_timeout() = ToMessage(*policy.attempt_timeout);
  }
  if (policy.fallback.function) {
    config::v1::FallbackPolicy* fallback = message.mutable_fallback();
    fallback->set_on_exhaustion(policy.fallback.on_exhaustion);
    fallback->set_on_not_retryable(policy.fallback.on_not_retryable);
    fallback->set_on_rejection(policy.fallback.on_rejection);
  }
  message.set_has_final_failure_hook(policy.on_final_failure != nullptr);
  if (policy.wait_for_ready) {
    message.set_wait_for_ready(*policy.wait_for_ready);
  }
  message.set_authority(policy.authority);
  return message;
}

admin::v1::State ToMessage(BreakerState state) {
  return Named<admin::v1::State>("STATE_", state);
}

admin::v1::Transition ToMessage(const BreakerTransition& transition) {
  admin::v1::Transition message;
  message.set_from(ToMessage(transition.from));
  message.set_to(ToMessage(transition.to));
  message.set_cause(ToUtf8(transition.cause));
  SetWindow(transition.counts, message.mutable_window());
  *message.mutable_time() = ToMessage(transition.wall_time);
  return message;
}

admin::v1::Breaker ToMessage(const Registry& registry, const Method& method) {
  return ToMessage(registry, method,
                   method.breaker().Snapshot(registry.environment().Now()));
}

admin::v1::Breaker ToMessage(const Registry& registry, const Method& method,
                             const BreakerSnapshot& snapshot) {
  const absl::Time now = registry.environment().WallNow();

  admin::v1::Breaker message;
  message.set_channel(registry.channel_name());
  message.set_method(method.name());
  message.set_state(ToMessage(snapshot.state));
  *message.mutable_since() = ToMessage(snapshot.since_wall);
  SetWindow(snapshot.counts, message.mutable_window());
  message.set_consecutive_failures(snapshot.consecutive_failures);
  message.set_permits_in_use(snapshot.permits_in_use);
  if (snapshot.state == BreakerState::kOpen) {
    *message.mutable_next_probe() = ToMessage(now + snapshot.next_probe_in);
  }
  message.set_rejections(snapshot.rejections);
  message.set_transitions(snapshot.transitions);
  message.set_calls_under_way(snapshot.calls_under_way);
  message.set_ramp_share(snapshot.ramp_share);
  message.set_throttle_probability(snapshot.throttle_probability);
  if (snapshot.manual) {
    SetManual(*snapshot.manual, now, message.mutable_manual());
  }
  if (snapshot.state == BreakerState::kMetricsOnly) {
    message.set_shadow_state(ToMessage(snapshot.shadow_state));
  }
  message.set_would_have_rejected(snapshot.would_have_rejected);
  if (const std::optional<LastError> error = method.last_error()) {
    SetLastError(*error, message.mutable_last_error());
  }
  *message.mutable_policy() = ToMessage(method.policy());
  message.set_repeatable(method.repeatable());
  if (method.retry_budget() != nullptr) {
    message.set_retry_budget_tokens(method.retry_budget()->tokens());
  }
  return message;
}

}  // namespace internal
}  // namespace grpc_breaker
