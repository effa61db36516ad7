#include "grpc_breaker/internal/breaker_filter.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpc_breaker/internal/method_name.h"

namespace grpc_breaker {
namespace internal {

absl::StatusOr<BreakerFilter> BreakerFilter::Parse(
    const admin::v1::BreakerFilter& message) {
  const std::string& prefix = message.method_prefix();
  if (!prefix.empty() && prefix != kOtherMethods &&
      FormOf(prefix) == NameForm::kMalformed) {
    return absl::InvalidArgumentError(
        absl::StrCat("filter.method_prefix: must be the beginning of "
                     "/package.Service/Method, or _other, got ",
                     Quoted(prefix)));
  }
  BreakerFilter filter;
  filter.channel_ = message.channel();
  filter.method_prefix_ = prefix;
  for (const int state : message.states()) {
    if (state == admin::v1::STATE_UNSPECIFIED ||
        !admin::v1::State_IsValid(state)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "filter.states: must be states that there are, got ", state));
    }
    filter.states_.insert(state);
  }
  return filter;
}

bool BreakerFilter::MatchesChannel(absl::string_view channel) const {
  return channel_.empty() || channel == channel_;
}

bool BreakerFilter::MatchesMethod(absl::string_view method) const {
  return absl::StartsWith(method, method_prefix_);
}

bool BreakerFilter::MatchesState(admin::v1::State state) const {
  return states_.empty() || states_.count(state) > 0;
}

std::string Quoted(absl::string_view value) {
  constexpr size_t kLongest = 100;
  return absl::StrCat("\"", absl::CHexEscape(value.substr(0, kLongest)), "\"",
                      value.size() > kLongest ? "..." : "");
}

}  // namespace internal
}  // namespace grpc_breaker
