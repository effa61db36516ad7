#ifndef GRPC_BREAKER_CHANNEL_H_
#define GRPC_BREAKER_CHANNEL_H_

// The public door: a channel whose every call passes a circuit breaker and a
// retry policy of its method.
//
//   grpc_breaker::Options options;
//   options.methods["/pkg.Greeter/Hello"].retry.max_retries = 2;
//   auto channel = grpc_breaker::CreateChannel("localhost:50051",
//       grpc::InsecureChannelCredentials(), options);
//   if (!channel.ok()) ...
//   auto stub = pkg::Greeter::NewStub(*channel);
//
// Lifetime: the channel may be destroyed while calls are under way, even in a
// backoff; they complete.
//
// Thread-safe.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/policy.h"
#include "grpcpp/channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"
#include "grpcpp/support/client_interceptor.h"

namespace grpc_breaker {

class Registry;

// `target`, `credentials` and `arguments` as for grpc::CreateCustomChannel.
// A retry policy that `arguments` configure in gRPC's own service config is
// taken out, so that its attempts do not multiply ours, or taken over with
// Options::adopt_service_config; gRPC's transparent retries stay on.
GRPC_BREAKER_EXPORT absl::StatusOr<std::shared_ptr<grpc::Channel>>
CreateChannel(
    const std::string& target,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials,
    Options options = {},
    const grpc::ChannelArguments& arguments = grpc::ChannelArguments());

// For grpc::experimental::CreateCustomChannelWithInterceptors, beside the
// application's own interceptors: those before it in the vector see calls,
// those after it see attempts. Use DisableConfiguredRetries on the channel's
// arguments as well.
GRPC_BREAKER_EXPORT absl::StatusOr<
    std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>>
MakeInterceptorFactory(Options options);

// The same over a registry of the application's own, which it may share
// between channels to one backend.
GRPC_BREAKER_EXPORT
std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>
MakeInterceptorFactory(std::shared_ptr<Registry> registry);

// For the factories of the application's own interceptors, and only while gRPC
// asks them for one: whether `info` is of an attempt that the library makes.
// Its reply is a grpc::ByteBuffer, whatever that of the application's stub is.
// Its request is bytes, too, and so is that of the application's call to
// interceptors after ours, if it may be retried: GetSerializedSendMessage() has
// them, GetSendMessage() is null.
GRPC_BREAKER_EXPORT bool IsAttempt(grpc::experimental::ClientRpcInfo* info);

// Takes retry policies out of the service config in `arguments`, if there is
// one. Fails with InvalidArgument if that is not JSON.
GRPC_BREAKER_EXPORT absl::Status DisableConfiguredRetries(
    grpc::ChannelArguments* arguments);

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_CHANNEL_H_
