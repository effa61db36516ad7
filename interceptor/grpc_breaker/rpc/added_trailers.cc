#include "grpc_breaker/rpc/added_trailers.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "grpc_breaker/registry/status_details.h"
#include "grpc_breaker/trailing_metadata.h"

namespace grpc_breaker::internal {

void AddedTrailers::AddRejection(const Rejection& rejection) {
  entries_.emplace_back(kRejectedKey, std::string(ToString(rejection.reason)));
  entries_.emplace_back(kRetryAfterKey,
                        absl::StrCat(absl::ToInt64Milliseconds(absl::Ceil(
                            rejection.retry_after, absl::Milliseconds(1)))));
}

void AddedTrailers::AddHistory(const CallHistory& history) {
  entries_.emplace_back(kAttemptsKey, absl::StrCat(history.attempts.size()));
  entries_.emplace_back(kAttemptHistoryKey, AttemptsText(history));
  entries_.emplace_back(kStoppedKey, std::string(ToString(history.stopped)));
}

void AddedTrailers::AppendTo(ReceivedMetadata* metadata) const {
  for (const auto& [key, value] : entries_) metadata->emplace(key, value);
}

void AddedTrailers::EraseFrom(ReceivedMetadata* metadata) {
  if (metadata->empty()) return;
  for (const char* key : {kAttemptsKey, kAttemptHistoryKey, kStoppedKey,
                          kRejectedKey, kRetryAfterKey}) {
    metadata->erase(key);
  }
}

}  // namespace grpc_breaker::internal
