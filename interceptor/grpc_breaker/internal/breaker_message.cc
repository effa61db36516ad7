#include "grpc_breaker/internal/breaker_message.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/generated_enum_reflection.h"
#include "google/protobuf/message.h"
#include "google/protobuf/timestamp.pb.h"
#include "grpc_breaker/internal/policy_fields.h"
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

absl::string_view ToString(Idempotency idempotency) {
  return idempotency == Idempotency::kRepeatable ? "REPEATABLE" : "AS_DECLARED";
}

// The enumerator that has the name of the library's own after the prefix of its
// enum; UNSPECIFIED, which is 0, if there is none.
int NumberNamed(const google::protobuf::EnumDescriptor* type,
                absl::string_view name) {
  const absl::string_view prefix =
      absl::StripSuffix(type->value(0)->name(), "UNSPECIFIED");
  const google::protobuf::EnumValueDescriptor* found =
      type->FindValueByName(absl::StrCat(prefix, name));
  return found != nullptr ? found->number() : 0;
}

template <typename MessageEnum, typename Enum>
MessageEnum Named(Enum value) {
  return static_cast<MessageEnum>(NumberNamed(
      google::protobuf::GetEnumDescriptor<MessageEnum>(), ToString(value)));
}

// --- Options as messages ---
//
// The fields of a message have the names of those of the struct, so that the
// table of these says what is set. Set() is told of each field of a struct and
// its counterpart, which is null where the message has none.

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

template <typename Options>
void SetFields(const Options& options, Message* message);

void Set(bool value, const FieldDescriptor* field, Message* message) {
  message->GetReflection()->SetBool(message, field, value);
}

void Set(int value, const FieldDescriptor* field, Message* message) {
  message->GetReflection()->SetInt32(message, field, value);
}

void Set(double value, const FieldDescriptor* field, Message* message) {
  message->GetReflection()->SetDouble(message, field, value);
}

void Set(const std::string& value, const FieldDescriptor* field,
         Message* message) {
  message->GetReflection()->SetString(message, field, value);
}

// An endless duration is one that is not set.
void Set(absl::Duration value, const FieldDescriptor* field, Message* message) {
  if (value == absl::InfiniteDuration()) return;
  message->GetReflection()
      ->MutableMessage(message, field)
      ->CopyFrom(ToMessage(value));
}

template <typename Enum, typename = std::enable_if_t<std::is_enum_v<Enum>>>
void Set(Enum value, const FieldDescriptor* field, Message* message) {
  message->GetReflection()->SetEnumValue(
      message, field, NumberNamed(field->enum_type(), ToString(value)));
}

template <typename T>
void Set(const std::optional<T>& value, const FieldDescriptor* field,
         Message* message) {
  if (value) Set(*value, field, message);
}

void Set(const std::vector<double>& values, const FieldDescriptor* field,
         Message* message) {
  for (const double value : values) {
    message->GetReflection()->AddDouble(message, field, value);
  }
}

// A function stays here; only whether there is one travels, or not even that.
template <typename Function>
void Set(const std::function<Function>& value, const FieldDescriptor* field,
         Message* message) {
  if (field != nullptr) Set(value != nullptr, field, message);
}

void Set(const std::map<grpc::StatusCode, ClassOverride>& overrides,
         const FieldDescriptor* field, Message* message) {
  for (const auto& [code, override] : overrides) {
    Message* added = message->GetReflection()->AddMessage(message, field);
    SetFields(override, added);
    static_cast<config::v1::ClassOverride*>(added)->set_code(code);
  }
}

void Set(const Fallback& fallback, const FieldDescriptor* field,
         Message* message) {
  if (fallback.function == nullptr) return;
  SetFields(fallback, message->GetReflection()->MutableMessage(message, field));
}

void Set(const RetryOptions& options, const FieldDescriptor* field,
         Message* message) {
  SetFields(options, message->GetReflection()->MutableMessage(message, field));
}

void Set(const BreakerOptions& options, const FieldDescriptor* field,
         Message* message) {
  SetFields(options, message->GetReflection()->MutableMessage(message, field));
}

// The counterparts of a struct's fields, in the order of its table.
template <typename Options>
std::vector<const FieldDescriptor*> Counterparts(
    const Options& options, const google::protobuf::Descriptor* type) {
  std::vector<const FieldDescriptor*> fields;
  ForEachField(options, [&](const auto& field) {
    fields.push_back(type->FindFieldByName(field.name == "on_final_failure"
                                               ? "has_final_failure_hook"
                                               : std::string(field.name)));
  });
  return fields;
}

template <typename Options>
void SetFields(const Options& options, Message* message) {
  // Looked up once: there is one type of message for each struct.
  static const auto& counterparts = *new std::vector<const FieldDescriptor*>(
      Counterparts(options, message->GetDescriptor()));
  auto counterpart = counterparts.begin();
  ForEachField(options, [&](const auto& field) {
    Set(field.value, *counterpart++, message);
  });
}

// Never negative, whoever read the clock first.
absl::Duration Elapsed(MonotonicTime since, MonotonicTime now) {
  return std::max(absl::FromChrono(now - since), absl::ZeroDuration());
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
    *message->mutable_remaining() = ToMessage(manual.time_to_live);
  }
}

void SetLastError(const LastError& error, MonotonicTime now,
                  admin::v1::LastError* message) {
  message->set_code(error.code);
  message->set_message(ToUtf8(error.message));
  message->set_category(
      Named<config::v1::ErrorCategory>(error.error_class.category));
  message->set_severity(
      Named<config::v1::ErrorSeverity>(error.error_class.severity));
  *message->mutable_time() = ToMessage(error.time);
  *message->mutable_age() = ToMessage(Elapsed(error.at, now));
}

}  // namespace

config::v1::Policy ToMessage(const Policy& policy) {
  config::v1::Policy message;
  SetFields(policy, &message);
  return message;
}

admin::v1::State ToMessage(BreakerState state) {
  return Named<admin::v1::State>(state);
}

admin::v1::Transition ToMessage(const Registry& registry, const Method& method,
                                const BreakerTransition& transition,
                                MonotonicTime now) {
  admin::v1::Transition message;
  message.set_channel(registry.channel_name());
  message.set_method(method.name());
  message.set_from(ToMessage(transition.from));
  message.set_to(ToMessage(transition.to));
  message.set_cause(ToUtf8(transition.cause));
  SetWindow(transition.counts, message.mutable_window());
  *message.mutable_time() = ToMessage(transition.wall_time);
  *message.mutable_age() = ToMessage(Elapsed(transition.at, now));
  return message;
}

admin::v1::Breaker ToMessage(const Registry& registry, const Method& method) {
  const MonotonicTime now = registry.environment().Now();
  return ToMessage(registry, method, method.breaker().Snapshot(now), now);
}

admin::v1::Breaker ToMessage(const Registry& registry, const Method& method,
                             const BreakerSnapshot& snapshot,
                             MonotonicTime now) {
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
  if (const std::optional<LastError> error = method.last_error()) {
    SetLastError(*error, now, message.mutable_last_error());
  }
  *message.mutable_policy() = ToMessage(method.policy());
  // The breaker may have other options by now than the policy gave it.
  message.mutable_policy()->clear_breaker();
  SetFields(method.breaker().options(),
            message.mutable_policy()->mutable_breaker());
  message.set_repeatable(method.repeatable());
  if (method.retry_budget() != nullptr) {
    message.set_retry_budget_tokens(method.retry_budget()->tokens());
    SetFields(registry.options().retry_budget, message.mutable_retry_budget());
  }
  return message;
}

}  // namespace internal
}  // namespace grpc_breaker
