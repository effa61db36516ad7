#ifndef GRPC_BREAKER_ADMIN_BREAKER_FILTER_H_
#define GRPC_BREAKER_ADMIN_BREAKER_FILTER_H_

// Which breakers a request of the admin service asks for, and how they are
// found: from any place in their order, in time that grows with what is looked
// at, not with what there is.
//
// Thread-compatible: plain values.

#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/admin/violations.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/registry.h"

namespace grpc_breaker::internal {

class GRPC_BREAKER_EXPORT BreakerFilter {
 public:
  BreakerFilter(std::string channel, std::string method_prefix)
      : channel_(std::move(channel)),
        method_prefix_(std::move(method_prefix)) {}

  // Of the field `filter` of a request. It is a violation if it could match
  // nothing.
  static BreakerFilter Parse(const admin::v1::BreakerFilter& message,
                             Violations& violations);

  bool MatchesChannel(absl::string_view channel) const;
  bool MatchesMethod(absl::string_view method) const;
  bool MatchesState(admin::v1::State state) const;

  const std::string& channel() const { return channel_; }
  const std::string& method_prefix() const { return method_prefix_; }
  bool of_all_states() const { return states_.empty(); }

 private:
  std::string channel_;  // Empty: all.
  std::string method_prefix_;
  std::set<int> states_;  // Empty: all.
};

// Names a breaker, and a place in their order: by channel and then method.
struct BreakerName {
  std::string channel;
  std::string method;

  bool operator<(const BreakerName& other) const {
    return std::tie(channel, method) < std::tie(other.channel, other.method);
  }
};

// Calls `visit` for the living registries of the directory in order of their
// names, from `first` on, until it returns false. If `only` is not empty, for
// that channel alone.
void VisitRegistries(
    const Directory& directory, absl::string_view only, std::string first,
    absl::FunctionRef<bool(const std::shared_ptr<Registry>&)> visit);

// Calls `visit` for the breakers whose channel and method match, in their
// order, from behind `after` on, until it returns false.
void VisitBreakers(
    const Directory& directory, const BreakerFilter& filter,
    const BreakerName& after,
    absl::FunctionRef<bool(const std::shared_ptr<Registry>&, const Method&)>
        visit);

// Adds a violation to `violations` unless the value is the whole name of a
// method, or the beginning of one.
void CheckMethod(absl::string_view field, absl::string_view value,
                 Violations& violations);
void CheckMethodPrefix(absl::string_view field, absl::string_view value,
                       Violations& violations);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_ADMIN_BREAKER_FILTER_H_
