#include "grpc_breaker/circuit_breaker.h"

#include "grpc_breaker/breaker/breaker_impl.h"

namespace grpc_breaker {

Rejection CircuitBreaker::Permit::rejection() const {
  return {ticket_.reason, ticket_.refused_in,
          absl::Nanoseconds(ticket_.admitted ? 0 : ticket_.time_ns)};
}

absl::StatusOr<std::unique_ptr<CircuitBreaker>> CircuitBreaker::Create(
    std::string name, const BreakerOptions& options, Environment& environment,
    BreakerListener* listener) {
  absl::Status status = options.Validate();
  if (!status.ok()) return status;
  return std::make_unique<internal::BreakerImpl>(std::move(name), options,
                                                 environment, listener);
}

}  // namespace grpc_breaker
