#ifndef GRPC_BREAKER_INTERNAL_BREAKER_FILTER_H_
#define GRPC_BREAKER_INTERNAL_BREAKER_FILTER_H_

// Which breakers a request of the admin service asks for.
//
// Thread-compatible: plain values.

#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "grpc_breaker/admin/v1/admin.pb.h"

namespace grpc_breaker {
namespace internal {

class BreakerFilter {
 public:
  // InvalidArgument, naming field and value, if it could match nothing.
  static absl::StatusOr<BreakerFilter> Parse(
      const admin::v1::BreakerFilter& message);

  bool MatchesChannel(absl::string_view channel) const;
  bool MatchesMethod(absl::string_view method) const;
  bool MatchesState(admin::v1::State state) const;

 private:
  std::string channel_;  // Empty: all.
  std::string method_prefix_;
  std::set<int> states_;  // Empty: all.
};

// "\"value\"", cut short and without control characters, for messages.
std::string Quoted(absl::string_view value);

}  // namespace internal
}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_INTERNAL_BREAKER_FILTER_H_
