// Error classification: what a status means, and whether another attempt can
// help.

#include <iomanip>
#include <iostream>
#include <string>

#include "examples/support/check.h"
#include "grpc_breaker/grpc_status.h"

namespace {

using grpc_breaker::ErrorCategory;
using grpc_breaker::ErrorSeverity;

void Expect(const grpc::Status& status, ErrorCategory category,
            ErrorSeverity severity, bool retry) {
  const grpc_breaker::ErrorClass error = grpc_breaker::ClassifyError(status);
  const bool should_retry =
      grpc_breaker::ShouldRetry(status, /*attempt=*/0, /*max_retries=*/3);
  std::cout << std::left << std::setw(36) << status.error_message()
            << std::setw(11) << ToString(error.category) << std::setw(9)
            << ToString(error.severity) << (should_retry ? "retry" : "give up")
            << "\n";
  shop::Check(error.category == category && error.severity == severity &&
                  should_retry == retry,
              status.error_message());
}

}  // namespace

int main() {
  using grpc::StatusCode;
  Expect({StatusCode::UNAVAILABLE, "failed to connect to all addresses"},
         ErrorCategory::kNetwork, ErrorSeverity::kMedium, true);
  Expect({StatusCode::UNAVAILABLE, "restarting"}, ErrorCategory::kTransient,
         ErrorSeverity::kMedium, true);
  Expect({StatusCode::RESOURCE_EXHAUSTED, "too many requests"},
         ErrorCategory::kRateLimit, ErrorSeverity::kMedium, true);
  Expect({StatusCode::NOT_FOUND, "no such article"}, ErrorCategory::kPermanent,
         ErrorSeverity::kLow, false);
  Expect({StatusCode::PERMISSION_DENIED, "not your order"},
         ErrorCategory::kPermanent, ErrorSeverity::kMedium, false);
  Expect({StatusCode::DATA_LOSS, "ledger damaged"}, ErrorCategory::kPermanent,
         ErrorSeverity::kCritical, false);

  const grpc::Status restarting(StatusCode::UNAVAILABLE, "restarting");
  shop::Check(!grpc_breaker::ShouldRetry(restarting, 3, 3),
              "no retry beyond the last");
}
