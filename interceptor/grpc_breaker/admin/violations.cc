#include "grpc_breaker/admin/violations.h"

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "grpc_breaker/registry/status_details.h"
#include "grpc_breaker/v1/rpc_details.pb.h"

namespace grpc_breaker::internal {

void Violations::Add(absl::string_view field, absl::string_view rule,
                     absl::string_view value) {
  Add(field, absl::StrCat("must be ", rule, ", got ", value));
}

void Violations::Add(absl::string_view field, absl::string_view description) {
  violations_.push_back({std::string(field), std::string(description)});
}

grpc::Status Violations::ToStatus() const {
  if (violations_.empty()) return grpc::Status::OK;
  // Each text is in the trailing metadata three times, of which gRPC takes 8
  // KiB by default.
  constexpr size_t kMostBytes = 1500;
  std::string message;
  v1::BadRequest bad_request;
  for (const Violation& violation : violations_) {
    if (message.size() > kMostBytes) {
      absl::StrAppend(&message, "; and ",
                      violations_.size() - bad_request.field_violations_size(),
                      " more");
      break;
    }
    absl::StrAppend(&message, message.empty() ? "" : "; ", violation.field,
                    ": ", violation.description);
    v1::BadRequest::FieldViolation& added = *bad_request.add_field_violations();
    added.set_field(violation.field);
    added.set_description(violation.description);
  }
  v1::RpcStatus details;
  AddDetail("type.googleapis.com/google.rpc.BadRequest", bad_request, &details);
  return MakeStatus(grpc::StatusCode::INVALID_ARGUMENT, message,
                    std::move(details));
}

}  // namespace grpc_breaker::internal
