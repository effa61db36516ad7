#ifndef GRPC_BREAKER_STATUS_REJECTION_PAYLOAD_H_
#define GRPC_BREAKER_STATUS_REJECTION_PAYLOAD_H_

// What marks an absl::Status as a rejection of this process: see
// kRejectionRetryAfterPayload.
//
// Thread-safe: pure functions over values.

#include <string>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpc_breaker/rejection.h"

namespace grpc_breaker::internal {

inline void SetRetryAfter(absl::Duration retry_after, absl::Status* status) {
  const std::string text = absl::FormatDuration(retry_after);
  // From a view: the constructor from a string is a template, whose symbol
  // clang 18 and later do not find in an Abseil that g++ has built.
  status->SetPayload(kRejectionRetryAfterPayload,
                     absl::Cord(absl::string_view(text)));
}

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_STATUS_REJECTION_PAYLOAD_H_
