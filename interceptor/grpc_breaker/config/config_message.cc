#include "grpc_breaker/config/config_message.h"

#include "grpc_breaker/config/policy_difference.h"
#include "grpc_breaker/config/policy_message.h"

namespace grpc_breaker::internal {

config::v1::Config ToMessage(const Policies& policies) {
  config::v1::Config message;
  message.set_strict_methods(policies.strict_methods);
  config::v1::Policy& by_default = *message.mutable_default_policy();
  by_default = ToMessage(policies.default_policy);
  by_default.clear_has_final_failure_hook();
  by_default.clear_has_attempt_hook();
  for (const auto& [name, policy] : policies.services) {
    (*message.mutable_services())[name] =
        Difference(by_default, ToMessage(policy));
  }
  for (const auto& [name, policy] : policies.methods) {
    const auto service =
        policies.services.find(name.substr(0, name.rfind('/') + 1));
    (*message.mutable_methods())[name] = Difference(
        service == policies.services.end() ? by_default
                                           : ToMessage(service->second),
        ToMessage(policy));
  }
  return message;
}

}  // namespace grpc_breaker::internal
