#include "grpc_breaker/admin/same_token.h"

#include <cstddef>

namespace grpc_breaker::internal {

bool SameToken(absl::string_view presented, absl::string_view expected) {
  // Volatile, so that no compiler leaves the loop early.
  volatile unsigned different = presented.size() != expected.size();
  for (size_t i = 0; i < presented.size(); ++i) {
    different =
        different | (static_cast<unsigned char>(presented[i]) ^
                     static_cast<unsigned char>(expected[i % expected.size()]));
  }
  return different == 0;
}

}  // namespace grpc_breaker::internal
