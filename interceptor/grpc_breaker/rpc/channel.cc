#include "grpc_breaker/channel.h"

#include <utility>

#include "grpc_breaker/policy_source.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/registry/server_name.h"
#include "grpc_breaker/rpc/connection_watch.h"
#include "grpc_breaker/rpc/interceptor.h"
#include "grpc_breaker/rpc/service_config.h"
#include "grpc_breaker/rpc/unary_call.h"
#include "grpcpp/create_channel.h"

namespace grpc_breaker {
namespace {

class InterceptorFactory final
    : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit InterceptorFactory(std::shared_ptr<Registry> registry)
      : channel_(
            std::make_shared<internal::ChannelContext>(std::move(registry))) {}

  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* info) override {
    if (internal::AttemptScope::ChannelOf(info->client_context()) ==
        channel_.get()) {
      return nullptr;
    }
    return internal::MakeInterceptor(channel_, info);
  }

 private:
  const std::shared_ptr<internal::ChannelContext> channel_;
};

// What the application holds of a channel that is watched.
struct WatchedChannel {
  ~WatchedChannel() { watch->End(); }

  std::shared_ptr<grpc::Channel> channel;
  std::shared_ptr<internal::ConnectionWatch> watch;
};

// Sets what a source says of how the channel is made; the rest the registry
// asks for, which comes too late for these.
absl::Status AskPolicySource(Options* options) {
  if (options->policy_source == nullptr) return absl::OkStatus();
  Options asked = *options;
  if (const absl::StatusOr<int64_t> version =
          options->policy_source->ApplyTo(&asked);
      !version.ok()) {
    return version.status();
  }
  options->adopt_service_config = asked.adopt_service_config;
  options->probe_when_connected = asked.probe_when_connected;
  return absl::OkStatus();
}

}  // namespace

bool IsAttempt(grpc::experimental::ClientRpcInfo* info) {
  return internal::AttemptScope::ChannelOf(info->client_context()) != nullptr;
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> CreateChannel(
    const std::string& target,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials,
    Options options, const grpc::ChannelArguments& arguments) {
  if (credentials == nullptr) {
    return absl::InvalidArgumentError("credentials: must not be null");
  }
  if (absl::Status status = AskPolicySource(&options); !status.ok()) {
    return status;
  }
  if (options.adopt_service_config) {
    if (absl::Status status = internal::AdoptServiceConfig(arguments, &options);
        !status.ok()) {
      return status;
    }
  }
  grpc::ChannelArguments own_arguments = arguments;
  if (absl::Status status = DisableConfiguredRetries(&own_arguments);
      !status.ok()) {
    return status;
  }
  if (options.channel_name.empty()) options.channel_name = target;
  if (options.server_name.empty()) {
    options.server_name = internal::ServerNameOf(target);
  }
  std::shared_ptr<internal::ConnectionWatch> watch;
  if (options.probe_when_connected) {
    watch = std::make_shared<internal::ConnectionWatch>();
    options.listeners.push_back(watch);
  }
  auto registry = Registry::Create(std::move(options));
  if (!registry.ok()) return registry.status();
  std::vector<
      std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>>
      factories;
  factories.push_back(MakeInterceptorFactory(*registry));
  std::shared_ptr<grpc::Channel> channel =
      grpc::experimental::CreateCustomChannelWithInterceptors(
          target, credentials, own_arguments, std::move(factories));
  if (watch == nullptr) return channel;
  watch->Begin(*registry, channel);
  const auto watched = std::make_shared<WatchedChannel>();
  watched->channel = std::move(channel);
  watched->watch = std::move(watch);
  return std::shared_ptr<grpc::Channel>(watched, watched->channel.get());
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
