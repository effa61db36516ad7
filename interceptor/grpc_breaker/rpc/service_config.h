#ifndef GRPC_BREAKER_RPC_SERVICE_CONFIG_H_
#define GRPC_BREAKER_RPC_SERVICE_CONFIG_H_

// The service config that an application gives to gRPC with a channel's
// arguments.
//
// Thread-safe: a pure function over values.

#include "absl/status/status.h"
#include "grpc_breaker/policy.h"
#include "grpcpp/support/channel_arguments.h"

namespace grpc_breaker::internal {

// What the service config in `arguments` says, into `options`, as for
// Options::adopt_service_config.
absl::Status AdoptServiceConfig(const grpc::ChannelArguments& arguments,
                                Options* options);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_SERVICE_CONFIG_H_
