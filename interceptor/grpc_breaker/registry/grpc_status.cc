#include "grpc_breaker/grpc_status.h"

#include <unistd.h>

#include <utility>

#include "absl/random/random.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "grpc_breaker/registry/wire_status.h"
#include "grpc_breaker/v1/rpc_details.pb.h"

namespace grpc_breaker {
namespace {

constexpr absl::string_view kRetryInfo = "google.rpc.RetryInfo";
constexpr absl::string_view kBadRequest = "google.rpc.BadRequest";
constexpr absl::string_view kQuotaFailure = "google.rpc.QuotaFailure";
constexpr absl::string_view kTypeUrlPrefix = "type.googleapis.com/";

using Details = google::protobuf::RepeatedPtrField<google::protobuf::Any>;

// Empty if there are none, or if they do not parse.
Details DetailsOf(const grpc::Status& status) {
  v1::RpcStatus details;
  if (!details.ParseFromString(status.error_details())) return {};
  return std::move(*details.mutable_details());
}

// Tells this process from others, the parent of a fork included.
uint64_t ThisProcess() {
  static const uint64_t number = absl::Uniform<uint64_t>(absl::BitGen());
  return number + static_cast<uint64_t>(getpid());
}

// The last component names the type; what is before says where to find it.
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

template <typename Message>
void AddDetail(absl::string_view type_url, const Message& message,
               v1::RpcStatus* details) {
  google::protobuf::Any* any = details->add_details();
  any->set_type_url(std::string(type_url));
  any->set_value(message.SerializeAsString());
}

void AddRetryInfo(absl::Duration delay, v1::RpcStatus* details) {
  v1::RetryInfo retry_info;
  ToProto(delay, retry_info.mutable_retry_delay());
  AddDetail(absl::StrCat(kTypeUrlPrefix, kRetryInfo), retry_info, details);
}

// Writes into the rejections among `details` whose they are.
void SetProcess(uint64_t process, v1::RpcStatus* details) {
  for (google::protobuf::Any& any : *details->mutable_details()) {
    v1::BreakerRejection rejection;
    if (TypeName(any.type_url()) == TypeName(kBreakerRejectionTypeUrl) &&
        rejection.ParseFromString(any.value())) {
      rejection.set_process(process);
      any.set_value(rejection.SerializeAsString());
    }
  }
}

grpc::Status MakeStatus(grpc::StatusCode code, absl::string_view message,
                        v1::RpcStatus details) {
  details.set_code(code);
  details.set_message(std::string(message));
  return grpc::Status(code, std::string(message), details.SerializeAsString());
}

}  // namespace

absl::Status ToAbslStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
  for (const google::protobuf::Any& detail : DetailsOf(status)) {
    if (detail.type_url() == kRejectionRetryAfterPayload) continue;
    result.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  }
  if (const auto rejection = RejectionDetailOf(status);
      rejection.has_value() && rejection->made_here) {
    result.SetPayload(kRejectionRetryAfterPayload,
                      absl::Cord(absl::FormatDuration(rejection->retry_after)));
  }
  return result;
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  v1::RpcStatus details;
  bool has_retry_info = false;
  status.ForEachPayload(
      [&](absl::string_view type_url, const absl::Cord& value) {
        if (type_url == kRejectionRetryAfterPayload) return;
        has_retry_info |= TypeName(type_url) == kRetryInfo;
        google::protobuf::Any* any = details.add_details();
        any->set_type_url(std::string(type_url));
        any->set_value(std::string(value));
      });
  const std::optional<absl::Duration> retry_after = RejectionRetryAfter(status);
  if (retry_after.has_value()) SetProcess(ThisProcess(), &details);
  if (retry_after > absl::ZeroDuration() && !has_retry_info) {
    AddRetryInfo(*retry_after, &details);
  }
  const auto code = static_cast<grpc::StatusCode>(status.code());
  if (details.details().empty()) {
    return grpc::Status(code, std::string(status.message()));
  }
  return MakeStatus(code, status.message(), std::move(details));
}

ErrorClass ClassifyError(const grpc::Status& status,
                         const ErrorOrigin& origin) {
  if (status.ok()) return {};
  ErrorOrigin refined = origin;
  for (const google::protobuf::Any& detail : DetailsOf(status)) {
    const absl::string_view type = TypeName(detail.type_url());
    v1::RetryInfo retry_info;
    if (type == kRetryInfo && retry_info.ParseFromString(detail.value())) {
      refined.retry_info = FromProto(retry_info.retry_delay());
    } else if (type == kBadRequest) {
      refined.bad_request = true;
    } else if (type == kQuotaFailure) {
      refined.quota_failure = true;
    }
  }
  if (origin.server_answered != true && IsBreakerRejection(status)) {
    refined.rejected_by_breaker = true;
  }
  return ClassifyError(static_cast<absl::StatusCode>(status.error_code()),
                       status.error_message(), refined);
}

bool ShouldRetry(const grpc::Status& status, int attempt, int max_retries) {
  return attempt < max_retries && ClassifyError(status).retryable;
}

grpc::Status MakeRejectionStatus(absl::string_view method,
                                 const Rejection& rejection) {
  v1::BreakerRejection detail;
  detail.set_method(std::string(method));
  detail.set_state(std::string(ToString(rejection.state)));
  detail.set_reason(std::string(ToString(rejection.reason)));
  ToProto(rejection.retry_after, detail.mutable_retry_after());
  detail.set_process(ThisProcess());
  v1::RpcStatus details;
  AddDetail(kBreakerRejectionTypeUrl, detail, &details);
  if (rejection.retry_after > absl::ZeroDuration()) {
    AddRetryInfo(rejection.retry_after, &details);
  }
  return MakeStatus(grpc::StatusCode::UNAVAILABLE,
                    RejectionMessage(method, rejection), std::move(details));
}

std::optional<RejectionDetail> RejectionDetailOf(const grpc::Status& status) {
  if (status.ok()) return std::nullopt;
  absl::Duration retry_info = absl::ZeroDuration();
  std::optional<RejectionDetail> result;
  for (const google::protobuf::Any& any : DetailsOf(status)) {
    const absl::string_view type = TypeName(any.type_url());
    v1::BreakerRejection detail;
    v1::RetryInfo info;
    if (type == TypeName(kBreakerRejectionTypeUrl) &&
        detail.ParseFromString(any.value())) {
      result = RejectionDetail{detail.method(), detail.state(), detail.reason(),
                               FromProto(detail.retry_after()),
                               detail.process() == ThisProcess()};
    } else if (type == kRetryInfo && info.ParseFromString(any.value())) {
      retry_info = FromProto(info.retry_delay());
    }
  }
  // A rejection that came by way of absl::Status has only this.
  if (result.has_value() && result->retry_after == absl::ZeroDuration()) {
    result->retry_after = retry_info;
  }
  return result;
}

bool IsBreakerRejection(const grpc::Status& status) {
  const std::optional<RejectionDetail> detail = RejectionDetailOf(status);
  return detail.has_value() && detail->made_here;
}

}  // namespace grpc_breaker

namespace grpc_breaker::internal {

void NormalizeReceived(grpc::Status* status) {
  if (status->ok()) return;
  const bool known = status->error_code() > grpc::StatusCode::OK &&
                     status->error_code() <= grpc::StatusCode::UNAUTHENTICATED;
  const bool forwarded = IsBreakerRejection(*status);
  if (known && !forwarded) return;
  std::string details = status->error_details();
  v1::RpcStatus parsed;
  if (forwarded && parsed.ParseFromString(details)) {
    SetProcess(0, &parsed);
    details = parsed.SerializeAsString();
  }
  *status =
      grpc::Status(known ? status->error_code() : grpc::StatusCode::UNKNOWN,
                   status->error_message(), std::move(details));
}

}  // namespace grpc_breaker::internal
