// What a user's test has: a clock that moves when it is told to.

#include "absl/time/time.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/testing/manual_environment.h"

int main() {
  grpc_breaker::ManualEnvironment environment;
  bool rang = false;
  environment.RunAt(
      grpc_breaker::TimeAfter(environment.Now(), absl::Minutes(1)),
      [&rang] { rang = true; });
  environment.Advance(absl::Minutes(1));
  return rang ? 0 : 1;
}
