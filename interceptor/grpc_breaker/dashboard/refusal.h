#ifndef GRPC_BREAKER_DASHBOARD_REFUSAL_H_
#define GRPC_BREAKER_DASHBOARD_REFUSAL_H_

// Why a request gets an error, as HTTP and JSON say it.
//
// Thread-compatible: plain values.

#include <string>

#include "absl/strings/string_view.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker::internal {

struct Refusal {
  int code = 500;       // Of HTTP.
  std::string field;    // Of the request: a header, a parameter; may be empty.
  std::string value;    // What it had.
  std::string message;  // For people; names both.
};

// "FIELD: MESSAGE, got "VALUE"".
Refusal Refuse(int code, absl::string_view field, absl::string_view value,
               absl::string_view message);

// What a process has answered.
Refusal Refuse(const grpc::Status& status);

// {"error": {"field": ..., "value": ..., "message": ...}}, whatever bytes the
// texts have.
std::string ToJson(const Refusal& refusal);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_DASHBOARD_REFUSAL_H_
