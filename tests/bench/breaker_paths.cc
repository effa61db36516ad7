// Walks one path of the breaker so many times, for a tool that counts
// instructions to look at: breaker_paths PATH OPERATIONS.

#include <cstdio>
#include <cstring>
#include <memory>

#include "absl/strings/numbers.h"
#include "grpc_breaker/circuit_breaker.h"

namespace grpc_breaker {
namespace {

struct Path {
  const char* name;
  BreakerOptions options;
  bool open;
  Outcome outcome;
};

BreakerOptions Defaults() { return {}; }

// Never opens, so that the path stays the same.
BreakerOptions Unmoved() {
  BreakerOptions options;
  options.consecutive_failures = 0;
  options.failure_rate = 0;
  return options;
}

BreakerOptions WithSlowCalls() {
  BreakerOptions options;
  options.slow_rate = 0.5;
  options.slow_call = absl::Seconds(10);
  return options;
}

BreakerOptions WithBulkhead() {
  BreakerOptions options;
  options.max_concurrent_calls = 1000;
  return options;
}

BreakerOptions WithLastCalls() {
  BreakerOptions options;
  options.last_calls = 100;
  options.last_calls_failures = 50;
  return options;
}

BreakerOptions QuickToOpen() {
  BreakerOptions options;
  options.consecutive_failures = 1;
  options.open_duration = absl::Hours(24);
  return options;
}

int Walk(const Path& path, int operations) {
  // Every walk sees the same times, hence the same buckets.
  MonotonicTime now = MonotonicTime(std::chrono::hours(1));
  const std::unique_ptr<CircuitBreaker> breaker =
      *CircuitBreaker::Create("/pkg.Service/Method", path.options);
  if (path.open) breaker->TryAcquire(now).Record(Outcome::kFailure, now);
  int admitted = 0;
  for (int i = 0; i < operations; ++i) {
    now += std::chrono::nanoseconds(100);
    CircuitBreaker::Permit permit = breaker->TryAcquire(now);
    admitted += permit.admitted() ? 1 : 0;
    if (permit.admitted()) permit.Record(path.outcome, now);
  }
  return admitted == (path.open ? 0 : operations) ? 0 : 1;
}

int Run(int argc, char** argv) {
  const Path paths[] = {
      {"closed_success", Defaults(), false, Outcome::kSuccess},
      {"closed_success_slow_calls", WithSlowCalls(), false, Outcome::kSuccess},
      {"closed_success_bulkhead", WithBulkhead(), false, Outcome::kSuccess},
      {"closed_success_last_calls", WithLastCalls(), false, Outcome::kSuccess},
      {"closed_failure", Unmoved(), false, Outcome::kFailure},
      {"open_rejected", QuickToOpen(), true, Outcome::kSuccess},
  };
  int operations = 0;
  if (argc == 3 && absl::SimpleAtoi(argv[2], &operations) && operations >= 0) {
    for (const Path& path : paths) {
      if (std::strcmp(path.name, argv[1]) == 0) return Walk(path, operations);
    }
  }
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    for (const Path& path : paths) std::puts(path.name);
    return 0;
  }
  std::fprintf(stderr, "Usage: %s PATH OPERATIONS | --list\n", argv[0]);
  return 2;
}

}  // namespace
}  // namespace grpc_breaker

int main(int argc, char** argv) { return grpc_breaker::Run(argc, argv); }
