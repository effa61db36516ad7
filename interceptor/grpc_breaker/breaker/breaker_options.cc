#include "grpc_breaker/breaker_options.h"

#include "grpc_breaker/breaker/breaker_fields.h"

namespace grpc_breaker {

absl::Status BreakerOptions::Validate() const {
  return internal::CheckFields("breaker.", *this);
}

bool operator==(const BreakerOptions& a, const BreakerOptions& b) {
  return internal::AllFieldsEqual(a, b);
}

}  // namespace grpc_breaker
