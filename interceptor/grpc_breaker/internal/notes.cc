#include "grpc_breaker/internal/notes.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "grpc_breaker/trailing_metadata.h"

namespace grpc_breaker {
namespace internal {

void Notes::AddRejection(const Rejection& rejection) {
  notes_.emplace_back(kRejectedKey, std::string(ToString(rejection.reason)));
  notes_.emplace_back(kRetryAfterKey,
                      absl::StrCat(absl::ToInt64Milliseconds(absl::Ceil(
                          rejection.retry_after, absl::Milliseconds(1)))));
}

void Notes::AddAttempts(int attempts) {
  notes_.emplace_back(kAttemptsKey, absl::StrCat(attempts));
}

void Notes::AppendTo(ReceivedMetadata* metadata) const {
  for (const auto& [key, value] : notes_) metadata->emplace(key, value);
}

void Notes::EraseFrom(ReceivedMetadata* metadata) {
  if (metadata->empty()) return;
  for (const char* key : {kAttemptsKey, kRejectedKey, kRetryAfterKey}) {
    metadata->erase(key);
  }
}

}  // namespace internal
}  // namespace grpc_breaker
