#ifndef GRPC_BREAKER_ADMIN_BREAKER_TARGET_H_
#define GRPC_BREAKER_ADMIN_BREAKER_TARGET_H_

// Which breakers a request of the admin service wants to change.
//
// Thread-compatible: plain values.

#include <memory>
#include <string>
#include <vector>

#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/admin/violations.h"
#include "grpc_breaker/registry.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker::internal {

// A breaker, held.
struct FoundBreaker {
  std::shared_ptr<Registry> registry;
  const Method* method = nullptr;  // Lives as long as the registry.
};

class BreakerTarget {
 public:
  // Of the field `target` of a request.
  static BreakerTarget Parse(const admin::v1::Target& message,
                             Violations& violations);

  // One of these two is set.
  const std::string& method() const { return method_; }
  const std::string& method_prefix() const { return method_prefix_; }
  const std::string& channel() const { return channel_; }  // Empty: all.

  // Those that there are now, by channel and then method; of those beyond the
  // limit one only.
  std::vector<FoundBreaker> Find(const Directory& directory) const;

  // Whether there are so many as the request allows, and at least one.
  grpc::Status CheckCount(const std::vector<FoundBreaker>& found) const;

 private:
  std::string method_;
  std::string method_prefix_;
  std::string channel_;
  size_t max_breakers_ = 0;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_ADMIN_BREAKER_TARGET_H_
