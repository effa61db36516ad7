#ifndef GRPC_BREAKER_STATUS_TRAITS_H_
#define GRPC_BREAKER_STATUS_TRAITS_H_

// Teaches WithRetry and CircuitBreaker::Execute what a function may return:
// absl::Status, absl::StatusOr<T> and, with grpc_status.h, grpc::Status. A
// specialisation for another type needs the same three functions.
//
// Thread-safe: pure functions over values.

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpc_breaker/error_class.h"

namespace grpc_breaker {

template <typename Result>
struct StatusTraits;  // No definition: this type does not carry a status.

template <>
struct StatusTraits<absl::Status> {
  static absl::Status ToStatus(const absl::Status& result) { return result; }
  static absl::Status FromStatus(absl::Status status) { return status; }
  static ErrorClass Classify(const absl::Status& result) {
    return ClassifyError(result);
  }
};

template <typename T>
struct StatusTraits<absl::StatusOr<T>> {
  static absl::Status ToStatus(const absl::StatusOr<T>& result) {
    return result.status();
  }
  static absl::StatusOr<T> FromStatus(absl::Status status) { return status; }
  static ErrorClass Classify(const absl::StatusOr<T>& result) {
    return ClassifyError(result.status());
  }
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_STATUS_TRAITS_H_
