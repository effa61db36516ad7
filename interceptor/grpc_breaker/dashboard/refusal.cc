#include "grpc_breaker/dashboard/refusal.h"

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "grpc_breaker/dashboard/json_text.h"

namespace grpc_breaker::internal {
namespace {

// Of a value that anybody may have sent, so much is told.
constexpr size_t kMostValueBytes = 200;

int HttpCode(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::OUT_OF_RANGE:
      return 400;
    case grpc::StatusCode::UNAUTHENTICATED:
      return 401;
    case grpc::StatusCode::PERMISSION_DENIED:
      return 403;
    case grpc::StatusCode::NOT_FOUND:
      return 404;
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::ABORTED:
      return 409;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return 503;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return 504;
    default:
      return 502;
  }
}

}  // namespace

Refusal Refuse(int code, absl::string_view field, absl::string_view value,
               absl::string_view message) {
  const std::string part(value.substr(0, kMostValueBytes));
  return {code, std::string(field), part,
          absl::StrCat(field, ": ", message, ", got \"", absl::CHexEscape(part),
                       "\"")};
}

Refusal Refuse(const grpc::Status& status) {
  return {HttpCode(status.error_code()), "", "",
          status.error_message().empty() ? "the process refused"
                                         : status.error_message()};
}

std::string ToJson(const Refusal& refusal) {
  return JsonText({{"error",
                    {{"field", refusal.field},
                     {"value", refusal.value},
                     {"message", refusal.message}}}});
}

}  // namespace grpc_breaker::internal
