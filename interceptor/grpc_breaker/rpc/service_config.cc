// gRPC's own service config, as far as it would retry what we retry.

#include "grpc_breaker/rpc/service_config.h"

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "grpc_breaker/channel.h"
#include "grpc_breaker/registry/service_config.h"

namespace grpc_breaker {
namespace {

// Null if `arguments` has none.
const char* FindServiceConfig(const grpc::ChannelArguments& arguments) {
  const grpc_channel_args raw = arguments.c_channel_args();
  for (size_t i = 0; i < raw.num_args; ++i) {
    // There are so many. NOLINTNEXTLINE(clang-analyzer-core.NullDereference)
    const grpc_arg& argument = raw.args[i];
    if (argument.type == GRPC_ARG_STRING &&
        absl::string_view(argument.key) == GRPC_ARG_SERVICE_CONFIG) {
      return argument.value.string;  // Of several, the core takes the first.
    }
  }
  return nullptr;
}

// ChannelArguments can neither replace nor erase one of them, so this copies
// all others.
grpc::ChannelArguments WithServiceConfig(
    const grpc::ChannelArguments& arguments, const std::string& json) {
  grpc::ChannelArguments copy;
  // There is one. NOLINTNEXTLINE(clang-analyzer-core.NullDereference)
  const std::string own_agent = copy.c_channel_args().args[0].value.string;
  copy.SetServiceConfigJSON(json);
  const grpc_channel_args raw = arguments.c_channel_args();
  for (size_t i = 0; i < raw.num_args; ++i) {
    const grpc_arg& argument = raw.args[i];
    switch (argument.type) {
      case GRPC_ARG_INTEGER:
        copy.SetInt(argument.key, argument.value.integer);
        break;
      case GRPC_ARG_STRING: {
        const absl::string_view key = argument.key;
        absl::string_view value = argument.value.string;
        if (key == GRPC_ARG_SERVICE_CONFIG) break;
        if (key == GRPC_ARG_PRIMARY_USER_AGENT_STRING &&
            absl::ConsumeSuffix(&value, own_agent)) {
          // Without a prefix it is what the copy has already.
          if (absl::ConsumeSuffix(&value, " ")) {
            copy.SetUserAgentPrefix(std::string(value));
          }
        } else {
          copy.SetString(argument.key, std::string(value));
        }
        break;
      }
      case GRPC_ARG_POINTER:
        copy.SetPointerWithVtable(argument.key, argument.value.pointer.p,
                                  argument.value.pointer.vtable);
        break;
    }
  }
  return copy;
}

// False if there was none.
bool EraseRetryPolicies(google::protobuf::Struct* service_config) {
  bool erased = service_config->mutable_fields()->erase("retryThrottling") > 0;
  const auto methods = service_config->mutable_fields()->find("methodConfig");
  if (methods == service_config->mutable_fields()->end()) return erased;
  for (google::protobuf::Value& method :
       *methods->second.mutable_list_value()->mutable_values()) {
    auto& fields = *method.mutable_struct_value()->mutable_fields();
    erased |= fields.erase("retryPolicy") > 0;
    erased |= fields.erase("hedgingPolicy") > 0;
  }
  return erased;
}

}  // namespace

namespace internal {

absl::Status AdoptServiceConfig(const grpc::ChannelArguments& arguments,
                                Options* options) {
  const char* json = FindServiceConfig(arguments);
  if (json == nullptr) return absl::OkStatus();
  const absl::StatusOr<ServiceConfig> config =
      ParseServiceConfig(json, AttemptLimit::kGrpcA6);
  if (!config.ok()) return config.status();
  Adopt(*config, options);
  return absl::OkStatus();
}

}  // namespace internal

absl::Status DisableConfiguredRetries(grpc::ChannelArguments* arguments) {
  const char* json = FindServiceConfig(*arguments);
  if (json == nullptr) return absl::OkStatus();
  absl::StatusOr<google::protobuf::Struct> service_config =
      internal::ParseJsonObject(json);
  if (!service_config.ok()) return service_config.status();
  if (!EraseRetryPolicies(&*service_config)) return absl::OkStatus();
  std::string stripped;
  const auto printed =
      google::protobuf::util::MessageToJsonString(*service_config, &stripped);
  if (!printed.ok()) return absl::InternalError(printed.ToString());
  *arguments = WithServiceConfig(*arguments, stripped);
  return absl::OkStatus();
}

}  // namespace grpc_breaker
