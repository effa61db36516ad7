#include "grpc_breaker/admin/channel_message.h"

#include <memory>

#include "grpc_breaker/admin/breaker_message.h"
#include "grpc_breaker/base/utf8.h"
#include "grpc_breaker/config/config_message.h"
#include "grpc_breaker/config/time_message.h"
#include "grpc_breaker/policy_source.h"

namespace grpc_breaker::internal {
namespace {

admin::v1::PolicySource ToMessage(const PolicySourceStatus& status,
                                  MonotonicTime now) {
  admin::v1::PolicySource message;
  message.set_name(ToUtf8(status.name));
  message.set_hash(ToUtf8(status.hash));
  *message.mutable_loaded() = internal::ToMessage(status.loaded);
  *message.mutable_loaded_age() =
      internal::ToMessage(Elapsed(status.loaded_at, now));
  message.set_error(ToUtf8(status.error));
  if (status.failures > 0) {
    *message.mutable_failed() = internal::ToMessage(status.failed);
    *message.mutable_failed_age() =
        internal::ToMessage(Elapsed(status.failed_at, now));
  }
  message.set_reloads(status.reloads);
  message.set_failures(status.failures);
  return message;
}

}  // namespace

admin::v1::Channel ToMessage(const Registry& registry) {
  admin::v1::Channel message;
  message.set_channel(ToUtf8(registry.channel_name()));
  message.set_methods(static_cast<int64_t>(registry.size()));
  message.set_max_methods(static_cast<int64_t>(registry.max_methods()));
  if (const auto& source = registry.policy_source()) {
    *message.mutable_policy_source() =
        ToMessage(source->status(), registry.environment().Now());
  }
  return message;
}

void AddPolicies(const Registry& registry, admin::v1::Channel* message) {
  *message->mutable_config() = ToMessage(*registry.policies());
  if (registry.policy_source() != nullptr) {
    *message->mutable_given_config() = ToMessage(*registry.given_policies());
  }
}

}  // namespace grpc_breaker::internal
