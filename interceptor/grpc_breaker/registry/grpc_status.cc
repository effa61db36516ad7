#include "grpc_breaker/grpc_status.h"

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "grpc_breaker/registry/status_details.h"
#include "grpc_breaker/registry/wire_status.h"
#include "grpc_breaker/status/rejection_payload.h"
#include "grpc_breaker/v1/rpc_details.pb.h"

namespace grpc_breaker {
namespace {

using internal::AddDetail;
using internal::DetailsOf;
using internal::FromProto;
using internal::MakeStatus;
using internal::ThisProcess;
using internal::ToProto;
using internal::TypeName;

constexpr absl::string_view kRetryInfo = "google.rpc.RetryInfo";
constexpr absl::string_view kBadRequest = "google.rpc.BadRequest";
constexpr absl::string_view kQuotaFailure = "google.rpc.QuotaFailure";
constexpr absl::string_view kTypeUrlPrefix = "type.googleapis.com/";

void AddRetryInfo(absl::Duration delay, v1::RpcStatus* details) {
  v1::RetryInfo retry_info;
  ToProto(delay, retry_info.mutable_retry_delay());
  AddDetail(absl::StrCat(kTypeUrlPrefix, kRetryInfo), retry_info, details);
}

template <typename Message>
bool SetProcessIn(uint64_t from, uint64_t process, google::protobuf::Any* any) {
  Message message;
  if (TypeName(any->type_url()) != message.GetTypeName() ||
      !message.ParseFromString(any->value()) || message.process() != from) {
    return false;
  }
  message.set_process(process);
  any->set_value(message.SerializeAsString());
  return true;
}

// Makes what is of this process among `details` nobody's. False if there is
// nothing.
bool Disown(v1::RpcStatus* details) {
  bool found = false;
  for (google::protobuf::Any& any : *details->mutable_details()) {
    found |= SetProcessIn<v1::BreakerRejection>(ThisProcess(), 0, &any) ||
             SetProcessIn<v1::CallHistory>(ThisProcess(), 0, &any);
  }
  return found;
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
    internal::SetRetryAfter(rejection->retry_after, &result);
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
  if (retry_after.has_value()) {
    for (google::protobuf::Any& any : *details.mutable_details()) {
      SetProcessIn<v1::BreakerRejection>(0, ThisProcess(), &any);
    }
  }
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
  std::string details = status->error_details();
  v1::RpcStatus parsed;
  const bool forwarded =
      !details.empty() && parsed.ParseFromString(details) && Disown(&parsed);
  if (known && !forwarded) return;
  if (forwarded) details = parsed.SerializeAsString();
  *status =
      grpc::Status(known ? status->error_code() : grpc::StatusCode::UNKNOWN,
                   status->error_message(), details);
}

}  // namespace grpc_breaker::internal
