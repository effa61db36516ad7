#ifndef GRPC_BREAKER_GRPC_STATUS_H_
#define GRPC_BREAKER_GRPC_STATUS_H_

// grpc::Status beside absl::Status: conversions, classification with the
// google.rpc details that came with the status, and the typed detail by which a
// breaker's own rejection is told apart.
//
// Thread-safe: pure functions over values.

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/status_traits.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker {

// Code and message. Details that parse as google.rpc.Status travel as the
// payloads of absl::Status, by type URL, and back.
absl::Status ToAbslStatus(const grpc::Status& status);
grpc::Status ToGrpcStatus(const absl::Status& status);

// As for absl::Status; google.rpc.RetryInfo, BadRequest and QuotaFailure in
// status.error_details() refine the result, and details that do not parse are
// treated as absent.
ErrorClass ClassifyError(const grpc::Status& status,
                         const ErrorOrigin& origin = {});
bool ShouldRetry(const grpc::Status& status, int attempt, int max_retries);

template <>
struct StatusTraits<grpc::Status> {
  static absl::Status ToStatus(const grpc::Status& result) {
    return ToAbslStatus(result);
  }
  static grpc::Status FromStatus(const absl::Status& status) {
    return ToGrpcStatus(status);
  }
  static ErrorClass Classify(const grpc::Status& result) {
    return ClassifyError(result);
  }
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_GRPC_STATUS_H_
