#ifndef GRPC_BREAKER_ADMIN_VIOLATIONS_H_
#define GRPC_BREAKER_ADMIN_VIOLATIONS_H_

// What is wrong with a request, all of it at once, as the status that says so:
// INVALID_ARGUMENT with a google.rpc.BadRequest among its details.
//
// Thread-compatible.

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker::internal {

class Violations {
 public:
  // "FIELD: must be RULE, got VALUE"
  void Add(absl::string_view field, absl::string_view rule,
           absl::string_view value);

  // "FIELD: DESCRIPTION"
  void Add(absl::string_view field, absl::string_view description);

  // OK if there are none. Of very many, as many as can be sent.
  grpc::Status ToStatus() const;

 private:
  struct Violation {
    std::string field;
    std::string description;
  };
  std::vector<Violation> violations_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_ADMIN_VIOLATIONS_H_
