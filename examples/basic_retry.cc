// Basic retry: any function that returns a status can be repeated until it
// succeeds, with a growing, jittered delay in between.

#include <iostream>
#include <string>

#include "absl/status/statusor.h"
#include "examples/support/check.h"
#include "grpc_breaker/with_retry.h"

namespace {

int calls = 0;

// An API that is down for the first two calls.
absl::StatusOr<std::string> CallExternalApi(const std::string& endpoint) {
  if (++calls <= 2) return absl::UnavailableError("try again later");
  return "what " + endpoint + " says";
}

}  // namespace

int main() {
  grpc_breaker::RetryOptions config;
  config.max_retries = 3;
  config.base_delay = absl::Milliseconds(2);
  config.exponential_base = 2.0;
  config.jitter = grpc_breaker::Jitter::kPlusMinusHalf;

  const absl::StatusOr<std::string> result = grpc_breaker::WithRetry(
      config, [] { return CallExternalApi("weather"); });

  std::cout << shop::ValueOrExit(result) << ", at call " << calls << "\n";
  shop::Check(calls == 3, "two failures are retried");
}
