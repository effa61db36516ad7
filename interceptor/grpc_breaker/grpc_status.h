#ifndef GRPC_BREAKER_GRPC_STATUS_H_
#define GRPC_BREAKER_GRPC_STATUS_H_

// grpc::Status beside absl::Status: conversions, classification with the
// google.rpc details that came with the status, and the typed detail by which a
// breaker's own rejection is told apart.
//
// Thread-safe: pure functions over values.

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/rejection.h"
#include "grpc_breaker/status_traits.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker {

// Code, message and details. Details that parse as google.rpc.Status travel as
// the payloads of absl::Status, by type URL, and back.
GRPC_BREAKER_EXPORT absl::Status ToAbslStatus(const grpc::Status& status);
GRPC_BREAKER_EXPORT grpc::Status ToGrpcStatus(const absl::Status& status);

// As for absl::Status; google.rpc.RetryInfo, BadRequest and QuotaFailure in
// status.error_details() refine the result, and details that do not parse are
// treated as absent. A BreakerRejection of another process tells of a breaker
// further down, and is a failure of the server that passed it on like any
// other.
GRPC_BREAKER_EXPORT ErrorClass ClassifyError(const grpc::Status& status,
                                             const ErrorOrigin& origin = {});
GRPC_BREAKER_EXPORT bool ShouldRetry(const grpc::Status& status, int attempt,
                                     int max_retries);

// The status of a call that a breaker refused: UNAVAILABLE, with a message for
// people and the details grpc_breaker.v1.BreakerRejection and, if the
// retry-after is known, google.rpc.RetryInfo.
GRPC_BREAKER_EXPORT grpc::Status MakeRejectionStatus(
    absl::string_view method, const Rejection& rejection);

// What such a status says; see proto/grpc_breaker/v1/rpc_details.proto.
struct RejectionDetail {
  std::string method;
  std::string state;   // "OPEN", ...
  std::string reason;  // "HALF_OPEN_LIMIT", ...
  absl::Duration retry_after = absl::ZeroDuration();
  // False: a server has passed on the refusal of a breaker further down.
  bool made_here = false;
};
GRPC_BREAKER_EXPORT std::optional<RejectionDetail> RejectionDetailOf(
    const grpc::Status& status);

// Whether a breaker of this process refused the very call whose status this is.
GRPC_BREAKER_EXPORT bool IsBreakerRejection(const grpc::Status& status);

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
