#include "grpc_breaker/admin/breaker_message.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "grpc_breaker/base/utf8.h"
#include "grpc_breaker/config/policy_message.h"
#include "grpc_breaker/config/time_message.h"

namespace grpc_breaker::internal {
namespace {

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
    *message->mutable_remaining() = ToMessage(manual.time_to_live);
  }
}

void SetLastError(const LastError& error, MonotonicTime now,
                  ErrorMessages error_messages, admin::v1::LastError* message) {
  message->set_code(error.code);
  if (error_messages == ErrorMessages::kShown) {
    message->set_message(ToUtf8(error.message));
  }
  message->set_category(
      Named<config::v1::ErrorCategory>(error.error_class.category));
  message->set_severity(
      Named<config::v1::ErrorSeverity>(error.error_class.severity));
  *message->mutable_time() = ToMessage(error.time);
  *message->mutable_age() = ToMessage(Elapsed(error.at, now));
}

void SetRecent(const RecentCalls& recent, admin::v1::RecentCalls* message) {
  *message->mutable_window() = ToMessage(recent.window);
  message->set_calls(recent.calls);
  message->set_failures(recent.failures);
  message->set_rejected(recent.rejected);
  message->set_rate(recent.calls_per_second());
  if (!recent.p50.has_value()) return;
  *message->mutable_p50() = ToMessage(*recent.p50);
  *message->mutable_p95() = ToMessage(*recent.p95);
  *message->mutable_p99() = ToMessage(*recent.p99);
}

}  // namespace

absl::Duration Elapsed(MonotonicTime since, MonotonicTime now) {
  return std::max(absl::FromChrono(now - since), absl::ZeroDuration());
}

admin::v1::State ToMessage(BreakerState state) {
  return Named<admin::v1::State>(state);
}

admin::v1::Transition ToMessage(const BreakerTransition& transition,
                                absl::Duration age) {
  admin::v1::Transition message;
  message.set_channel(transition.channel);
  message.set_method(transition.breaker);
  message.set_from(ToMessage(transition.from));
  message.set_to(ToMessage(transition.to));
  message.set_cause(ToUtf8(transition.cause));
  SetWindow(transition.counts, message.mutable_window());
  *message.mutable_time() = ToMessage(transition.wall_time);
  *message.mutable_age() = ToMessage(std::max(age, absl::ZeroDuration()));
  return message;
}

admin::v1::Transition ToMessage(const Registry& registry, const Method& method,
                                const BreakerTransition& transition,
                                MonotonicTime now) {
  admin::v1::Transition message =
      ToMessage(transition, Elapsed(transition.at, now));
  message.set_channel(registry.channel_name());
  message.set_method(method.name());
  return message;
}

admin::v1::Audit ToMessage(const BreakerAudit& audit, absl::Duration age) {
  admin::v1::Audit message;
  message.set_rpc(audit.rpc);
  admin::v1::Target& target = *message.mutable_target();
  if (audit.method.empty()) {
    target.set_method_prefix(ToUtf8(audit.method_prefix));
  } else {
    target.set_method(ToUtf8(audit.method));
  }
  target.set_channel(ToUtf8(audit.channel));
  message.set_reason(ToUtf8(audit.reason));
  message.set_actor(ToUtf8(audit.actor));
  message.set_authenticated(audit.authenticated);
  message.set_peer(ToUtf8(audit.peer));
  if (audit.time_to_live != absl::InfiniteDuration()) {
    *message.mutable_ttl() = ToMessage(audit.time_to_live);
  }
  message.set_code(static_cast<int>(audit.status.code()));
  message.set_message(ToUtf8(audit.status.message()));
  message.set_count(audit.changed);
  for (const std::string& change : audit.policy_changes) {
    message.add_policy_changes(ToUtf8(change));
  }
  *message.mutable_time() = ToMessage(audit.wall_time);
  *message.mutable_age() = ToMessage(std::max(age, absl::ZeroDuration()));
  return message;
}

admin::v1::Breaker ToMessage(const Registry& registry, const Method& method,
                             ErrorMessages error_messages) {
  const MonotonicTime now = registry.environment().Now();
  return ToMessage(registry, method, method.breaker().Snapshot(now), now,
                   error_messages);
}

admin::v1::Breaker ToMessage(const Registry& registry, const Method& method,
                             const BreakerSnapshot& snapshot, MonotonicTime now,
                             ErrorMessages error_messages) {
  const absl::Time wall_now = registry.environment().WallNow();

  admin::v1::Breaker message;
  message.set_channel(registry.channel_name());
  message.set_method(method.name());
  message.set_state(ToMessage(snapshot.state));
  *message.mutable_since() = ToMessage(snapshot.since_wall);
  *message.mutable_in_state() = ToMessage(Elapsed(snapshot.since, now));
  SetWindow(snapshot.counts, message.mutable_window());
  message.set_consecutive_failures(snapshot.consecutive_failures);
  message.set_permits_in_use(snapshot.permits_in_use);
  if (snapshot.state == BreakerState::kOpen) {
    *message.mutable_next_probe() =
        ToMessage(wall_now + snapshot.next_probe_in);
    *message.mutable_next_probe_in() = ToMessage(snapshot.next_probe_in);
  }
  message.set_rejections(snapshot.rejections);
  message.set_transitions(snapshot.transitions);
  message.set_calls_under_way(snapshot.calls_under_way);
  message.set_ramp_share(snapshot.ramp_share);
  message.set_throttle_probability(snapshot.throttle_probability);
  if (snapshot.manual) {
    SetManual(*snapshot.manual, wall_now, message.mutable_manual());
  }
  if (snapshot.state == BreakerState::kMetricsOnly) {
    message.set_shadow_state(ToMessage(snapshot.shadow_state));
  }
  message.set_would_have_rejected(snapshot.would_have_rejected);
  message.set_events_dropped(snapshot.events_dropped);
  message.set_events_failed(snapshot.events_failed);
  SetRecent(method.recent_calls(now), message.mutable_recent());
  const CallCounts counts = method.call_counts();
  message.set_calls(counts.calls);
  message.set_failed_calls(counts.failures);
  if (const std::optional<LastError> error = method.last_error()) {
    SetLastError(*error, now, error_messages, message.mutable_last_error());
  }
  if (const RetryBudget* budget = method.retry_budget()) {
    const RetryBudgetOptions options = budget->options();
    if (options.max_tokens != 0) {
      message.set_retry_budget_tokens(budget->tokens());
    }
    if (options.ratio != 0) {
      message.set_retry_budget_retries_left(budget->retries_left(now));
    }
  }
  return message;
}

void AddPolicy(const Registry& registry, const Method& method,
               admin::v1::Breaker* message) {
  message->set_policy_updates(
      static_cast<int32_t>(registry.policy_updates(method.name())));
  const std::shared_ptr<const Policy> policy = method.policy();
  *message->mutable_policy() = ToMessage(*policy);
  // The breaker may have other options by now than the policy gave it.
  *message->mutable_policy()->mutable_breaker() =
      ToMessage(method.breaker().options());
  message->set_repeatable(method.MayRepeat(*policy));
  if (method.retry_budget() != nullptr) {
    *message->mutable_retry_budget() =
        ToMessage(method.retry_budget()->options());
  }
}

}  // namespace grpc_breaker::internal
