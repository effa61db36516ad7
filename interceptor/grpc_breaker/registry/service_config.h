#ifndef GRPC_BREAKER_REGISTRY_SERVICE_CONFIG_H_
#define GRPC_BREAKER_REGISTRY_SERVICE_CONFIG_H_

// A gRPC service config (JSON), as far as it speaks of what policies and the
// retry budget do: names, time limits, retries (gRFC A6). What else is in it,
// such as load balancing, is left to gRPC.
//
// Thread-compatible: plain values.

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/struct.pb.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/retry_options.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker::internal {

// What a retryPolicy or a hedgingPolicy says.
struct ConfiguredRetries {
  RetryOptions retry;
  HedgingOptions hedging;
  // The errors after which there is another attempt, and no others.
  std::set<grpc::StatusCode> codes;
};

// One element of "methodConfig".
struct MethodConfig {
  // "/pkg.Service/Method", "/pkg.Service/", or "" for all methods.
  std::vector<std::string> names;
  std::optional<absl::Duration> timeout;
  std::optional<bool> wait_for_ready;
  std::optional<ConfiguredRetries> retries;
};

struct ServiceConfig {
  std::vector<MethodConfig> methods;  // No name comes twice.
  std::optional<RetryBudgetOptions> retry_budget;
};

// InvalidArgument says that it is none.
GRPC_BREAKER_EXPORT absl::StatusOr<google::protobuf::Struct> ParseJsonObject(
    absl::string_view json);

// InvalidArgument names the JSON path and the value of what is wrong, as gRFC
// A6 has it.
GRPC_BREAKER_EXPORT absl::StatusOr<ServiceConfig> ParseServiceConfig(
    absl::string_view json, AttemptLimit limit);

// Sets what the config says in the options, which have the last word: policies
// by name stay as they are, as do fields of the default policy that are not as
// they are by default, and a retry budget.
GRPC_BREAKER_EXPORT void Adopt(const ServiceConfig& config, Options* options);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_REGISTRY_SERVICE_CONFIG_H_
