#include "grpc_breaker/call_history.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "grpc_breaker/registry/status_details.h"
#include "grpc_breaker/trailing_metadata.h"

namespace grpc_breaker {
namespace {

constexpr absl::string_view kTypeName = "grpc_breaker.v1.CallHistory";
constexpr absl::string_view kTypeUrl =
    "type.googleapis.com/grpc_breaker.v1.CallHistory";

std::optional<StopReason> ParseStopReason(absl::string_view text) {
  for (size_t i = 0; i < kStopReasons; ++i) {
    const auto reason = static_cast<StopReason>(i);
    if (ToString(reason) == text) return reason;
  }
  return std::nullopt;
}

// As AttemptsText writes them.
std::optional<std::vector<AttemptRecord>> ParseAttempts(
    absl::string_view text) {
  std::vector<AttemptRecord> attempts;
  for (const absl::string_view part :
       absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> fields =
        absl::StrSplit(part, absl::MaxSplits(';', 1));
    const std::optional<grpc::StatusCode> code =
        internal::ParseCode(fields.first);
    int64_t milliseconds;
    if (!code.has_value() || !absl::SimpleAtoi(fields.second, &milliseconds)) {
      return std::nullopt;
    }
    attempts.push_back({*code, absl::Milliseconds(milliseconds)});
  }
  return attempts;
}

bool IsOurs(const google::protobuf::Any& any, v1::CallHistory* parsed) {
  return internal::TypeName(any.type_url()) == kTypeName &&
         parsed->ParseFromString(any.value()) &&
         parsed->process() == internal::ThisProcess();
}

}  // namespace

std::optional<CallHistory> CallHistoryOf(const grpc::Status& status) {
  if (status.ok()) return std::nullopt;
  for (const google::protobuf::Any& any : internal::DetailsOf(status)) {
    v1::CallHistory parsed;
    if (!IsOurs(any, &parsed)) continue;
    CallHistory history;
    for (const v1::CallHistory::Attempt& attempt : parsed.attempts()) {
      history.attempts.push_back({static_cast<grpc::StatusCode>(attempt.code()),
                                  internal::FromProto(attempt.delay())});
    }
    const std::optional<StopReason> stopped = ParseStopReason(parsed.stopped());
    if (!stopped.has_value()) return std::nullopt;
    history.stopped = *stopped;
    return history;
  }
  return std::nullopt;
}

std::optional<CallHistory> CallHistoryOf(const grpc::ClientContext& context) {
  const auto& trailers = context.GetServerTrailingMetadata();
  const auto value = [&](const char* key) -> std::optional<absl::string_view> {
    const auto found = trailers.find(key);
    if (found == trailers.end()) return std::nullopt;
    return absl::string_view(found->second.data(), found->second.size());
  };
  const std::optional<absl::string_view> text = value(kAttemptHistoryKey);
  const std::optional<StopReason> stopped =
      ParseStopReason(value(kStoppedKey).value_or(""));
  if (!text.has_value() || !stopped.has_value()) return std::nullopt;
  std::optional<std::vector<AttemptRecord>> attempts = ParseAttempts(*text);
  if (!attempts.has_value()) return std::nullopt;
  return CallHistory{*std::move(attempts), *stopped};
}

namespace internal {

void AddHistory(const CallHistory& history, grpc::Status* status) {
  if (status->ok()) return;
  v1::RpcStatus details;
  if (!details.ParseFromString(status->error_details())) return;
  v1::CallHistory message;
  for (const AttemptRecord& attempt : history.attempts) {
    v1::CallHistory::Attempt* added = message.add_attempts();
    added->set_code(attempt.code);
    ToProto(attempt.delay, added->mutable_delay());
  }
  message.set_stopped(std::string(ToString(history.stopped)));
  message.set_process(ThisProcess());
  google::protobuf::Any* place = nullptr;
  for (google::protobuf::Any& any : *details.mutable_details()) {
    v1::CallHistory before;
    if (IsOurs(any, &before)) place = &any;
  }
  if (place == nullptr) place = details.add_details();
  place->set_type_url(std::string(kTypeUrl));
  place->set_value(message.SerializeAsString());
  *status = MakeStatus(status->error_code(), status->error_message(),
                       std::move(details));
}

std::string AttemptsText(const CallHistory& history) {
  return absl::StrJoin(
      history.attempts, ",", [](std::string* out, const AttemptRecord& a) {
        absl::StrAppend(
            out,
            absl::StatusCodeToString(static_cast<absl::StatusCode>(a.code)),
            ";", absl::ToInt64Milliseconds(a.delay));
      });
}

}  // namespace internal

}  // namespace grpc_breaker
