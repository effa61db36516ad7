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

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/registry.h"

namespace grpc_breaker::internal {

class BreakerFilter {
 public:
  // InvalidArgument, naming field and value, if it could match nothing.
  static absl::StatusOr<BreakerFilter> Parse(
      const admin::v1::BreakerFilter& message);

  bool MatchesChannel(absl::string_view channel) const;
  bool MatchesMethod(absl::string_view method) const;
  bool MatchesState(admin::v1::State state) const;

  const std::string& channel() const { return channel_; }
  const std::string& method_prefix() const { return method_prefix_; }

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

// "\"value\"", cut short and without control characters, for messages.
std::string Quoted(absl::string_view value);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_ADMIN_BREAKER_FILTER_H_
