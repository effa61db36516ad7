#include "grpc_breaker/channel.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "grpc_breaker/internal/call.h"
#include "grpc_breaker/internal/unary_call.h"
#include "grpc_breaker/registry.h"
#include "grpcpp/create_channel.h"

namespace grpc_breaker {
namespace {

class InterceptorFactory final
    : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit InterceptorFactory(std::shared_ptr<Registry> registry)
      : channel_(std::make_shared<internal::ChannelContext>(
            internal::ChannelContext{std::move(registry)})) {}

  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* info) override {
    if (internal::AttemptScope::ChannelOf(info->client_context()) ==
        channel_.get()) {
      return nullptr;
    }
    return internal::MakeCallInterceptor(channel_, info);
  }

 private:
  const std::shared_ptr<internal::ChannelContext> channel_;
};

// Null if `arguments` has none.
const char* FindServiceConfig(const grpc::ChannelArguments& arguments) {
  const grpc_channel_args raw = arguments.c_channel_args();
  for (size_t i = 0; i < raw.num_args; ++i) {
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

bool IsAttempt(grpc::experimental::ClientRpcInfo* info) {
  return internal::AttemptScope::ChannelOf(info->client_context()) != nullptr;
}

absl::Status DisableConfiguredRetries(grpc::ChannelArguments* arguments) {
  const char* json = FindServiceConfig(*arguments);
  if (json == nullptr) return absl::OkStatus();
  google::protobuf::Struct service_config;
  auto parsed =
      google::protobuf::util::JsonStringToMessage(json, &service_config);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("service config: not a JSON object: ", parsed.ToString(),
                     ", got ", json));
  }
  if (!EraseRetryPolicies(&service_config)) return absl::OkStatus();
  std::string stripped;
  parsed =
      google::protobuf::util::MessageToJsonString(service_config, &stripped);
  if (!parsed.ok()) return absl::InternalError(parsed.ToString());
  *arguments = WithServiceConfig(*arguments, stripped);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> CreateChannel(
    const std::string& target,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials,
    Options options, const grpc::ChannelArguments& arguments) {
  if (credentials == nullptr) {
    return absl::InvalidArgumentError("credentials: must not be null");
  }
  grpc::ChannelArguments own_arguments = arguments;
  if (absl::Status status = DisableConfiguredRetries(&own_arguments);
      !status.ok()) {
    return status;
  }
  if (options.channel_name.empty()) options.channel_name = target;
  auto factory = MakeInterceptorFactory(std::move(options));
  if (!factory.ok()) return factory.status();
  std::vector<
      std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>>
      factories;
  factories.push_back(*std::move(factory));
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      target, credentials, own_arguments, std::move(factories));
}

absl::StatusOr<
    std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>>
MakeInterceptorFactory(Options options) {
  auto registry = Registry::Create(std::move(options));
  if (!registry.ok()) return registry.status();
  return MakeInterceptorFactory(*std::move(registry));
}

std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>
MakeInterceptorFactory(std::shared_ptr<Registry> registry) {
  return std::make_unique<InterceptorFactory>(std::move(registry));
}

}  // namespace grpc_breaker
