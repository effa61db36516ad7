#include "grpc_breaker/registry/status_details.h"

#include <unistd.h>

#include <utility>

#include "absl/random/random.h"
#include "absl/status/status.h"

namespace grpc_breaker::internal {

StatusDetails DetailsOf(const grpc::Status& status) {
  v1::RpcStatus details;
  if (!details.ParseFromString(status.error_details())) return {};
  return std::move(*details.mutable_details());
}

uint64_t ThisProcess() {
  static const uint64_t number = absl::Uniform<uint64_t>(absl::BitGen());
  return number + static_cast<uint64_t>(getpid());
}

absl::string_view TypeName(absl::string_view type_url) {
  const size_t slash = type_url.rfind('/');
  return slash == absl::string_view::npos ? type_url
                                          : type_url.substr(slash + 1);
}

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) +
         absl::Nanoseconds(duration.nanos());
}

void ToProto(absl::Duration duration, google::protobuf::Duration* proto) {
  proto->set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  proto->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
}

void AddDetail(absl::string_view type_url,
               const google::protobuf::MessageLite& message,
               v1::RpcStatus* details) {
  google::protobuf::Any* any = details->add_details();
  any->set_type_url(std::string(type_url));
  any->set_value(message.SerializeAsString());
}

grpc::Status MakeStatus(grpc::StatusCode code, absl::string_view message,
                        v1::RpcStatus details) {
  details.set_code(code);
  details.set_message(std::string(message));
  return grpc::Status(code, std::string(message), details.SerializeAsString());
}

std::optional<grpc::StatusCode> ParseCode(absl::string_view name) {
  for (int code = 0; code <= grpc::StatusCode::UNAUTHENTICATED; ++code) {
    if (absl::StatusCodeToString(static_cast<absl::StatusCode>(code)) == name) {
      return static_cast<grpc::StatusCode>(code);
    }
  }
  return std::nullopt;
}

}  // namespace grpc_breaker::internal
