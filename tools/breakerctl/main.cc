// breakerctl: shows and changes the circuit breakers of a process that serves
// grpc_breaker.admin.v1.CircuitBreakerAdmin.

#include <cstdlib>
#include <string>
#include <vector>

#include "tools/breakerctl/program.h"

int main(int argc, char** argv) {
  // Today's gRPC tells the terminal of connections that end as well; what there
  // is to say of them is said here.
  setenv("GRPC_VERBOSITY", "ERROR", /*overwrite=*/0);
  return static_cast<int>(grpc_breaker::breakerctl::RunProgram(
      std::vector<std::string>(argv + 1, argv + argc)));
}
