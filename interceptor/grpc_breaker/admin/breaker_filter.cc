#include "grpc_breaker/admin/breaker_filter.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpc_breaker/base/nearest_name.h"
#include "grpc_breaker/registry/method_name.h"

namespace grpc_breaker::internal {
namespace {

// How many are fetched at a time.
constexpr size_t kFetched = 100;

// The least name that is greater.
std::string Successor(absl::string_view name) {
  return absl::StrCat(name, absl::string_view("\0", 1));
}

}  // namespace

BreakerFilter BreakerFilter::Parse(const admin::v1::BreakerFilter& message,
                                   Violations& violations) {
  BreakerFilter filter(message.channel(), message.method_prefix());
  if (!filter.method_prefix_.empty()) {
    CheckMethodPrefix("filter.method_prefix", filter.method_prefix_,
                      violations);
  }
  for (const int state : message.states()) {
    if (state == admin::v1::STATE_UNSPECIFIED ||
        !admin::v1::State_IsValid(state)) {
      violations.Add("filter.states", "states that there are",
                     absl::StrCat(state));
      break;  // However many there are.
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

void VisitRegistries(
    const Directory& directory, absl::string_view only, std::string first,
    absl::FunctionRef<bool(const std::shared_ptr<Registry>&)> visit) {
  if (!only.empty()) {
    if (only < first) return;
    const auto found = directory.RegistriesFrom(only, 1);
    if (!found.empty() && found[0]->channel_name() == only) visit(found[0]);
    return;
  }
  for (;;) {
    const std::vector<std::shared_ptr<Registry>> some =
        directory.RegistriesFrom(first, kFetched);
    for (const auto& registry : some) {
      if (!visit(registry)) return;
    }
    if (some.size() < kFetched) return;
    first = Successor(some.back()->channel_name());
  }
}

void VisitBreakers(
    const Directory& directory, const BreakerFilter& filter,
    const BreakerName& after,
    absl::FunctionRef<bool(const std::shared_ptr<Registry>&, const Method&)>
        visit) {
  const auto visit_registry = [&](const std::shared_ptr<Registry>& registry) {
    std::string first = filter.method_prefix();
    if (registry->channel_name() == after.channel) {
      first = std::max(first, Successor(after.method));
    }
    for (;;) {
      const std::vector<const Method*> some =
          registry->MethodsFrom(first, kFetched);
      for (const Method* method : some) {
        if (!filter.MatchesMethod(method->name())) return true;
        if (!visit(registry, *method)) return false;
      }
      if (some.size() < kFetched) return true;
      first = Successor(some.back()->name());
    }
  };
  VisitRegistries(directory, filter.channel(), after.channel, visit_registry);
}

void CheckMethod(absl::string_view field, absl::string_view value,
                 Violations& violations) {
  if (value == kOtherMethods || FormOf(value) == NameForm::kMethod) return;
  violations.Add(field, "of the form /package.Service/Method, or _other",
                 Quoted(value));
}

void CheckMethodPrefix(absl::string_view field, absl::string_view value,
                       Violations& violations) {
  if (value == kOtherMethods || FormOf(value) != NameForm::kMalformed) return;
  violations.Add(field, "the beginning of /package.Service/Method, or _other",
                 Quoted(value));
}

}  // namespace grpc_breaker::internal
