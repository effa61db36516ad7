// Thresholds: when a circuit opens. Failures in a row react at once to a server
// that is down; a failure rate notices one that is half broken, and leaves
// alone one that fails now and then.

#include <iomanip>
#include <iostream>

#include "examples/support/check.h"
#include "grpc_breaker/circuit_breaker.h"

namespace {

using grpc_breaker::BreakerOptions;
using grpc_breaker::BreakerState;
using grpc_breaker::CircuitBreaker;
using grpc_breaker::Outcome;

// How many of `calls` calls it takes to open the circuit, if `fails(i)` says
// whether the i-th one fails; `calls` if it stays closed.
template <typename Fails>
int CallsUntilOpen(const BreakerOptions& options, int calls, Fails fails) {
  const auto breaker =
      shop::ValueOrExit(CircuitBreaker::Create("warehouse", options));
  for (int i = 0; i < calls; ++i) {
    CircuitBreaker::Permit permit = breaker->TryAcquire();
    if (!permit.admitted()) return i;
    permit.Record(fails(i) ? Outcome::kFailure : Outcome::kSuccess);
  }
  return calls;
}

bool Always(int /*call*/) { return true; }
bool EveryOther(int call) { return call % 2 == 0; }
bool EveryTenth(int call) { return call % 10 == 0; }

}  // namespace

int main() {
  BreakerOptions in_a_row;
  in_a_row.consecutive_failures = 5;
  in_a_row.failure_rate = 0;  // Off.
  BreakerOptions rate;
  rate.consecutive_failures = 0;  // Off.
  rate.failure_rate = 0.5;
  rate.minimum_calls = 20;  // No verdict from fewer.
  rate.window = absl::Seconds(10);

  std::cout << "calls before the circuit opens, of 1000:\n"
            << "                    5 in a row   50 % of 20 or more\n";
  const auto row = [&](const char* name, auto fails, int after_row,
                       int after_rate) {
    const int by_row = CallsUntilOpen(in_a_row, 1000, fails);
    const int by_rate = CallsUntilOpen(rate, 1000, fails);
    std::cout << std::left << std::setw(20) << name << std::right
              << std::setw(10) << by_row << std::setw(21) << by_rate << "\n";
    shop::Check(by_row == after_row && by_rate == after_rate, name);
  };
  row("every call fails", Always, 5, 20);
  row("every other fails", EveryOther, 1000, 20);
  row("one in ten fails", EveryTenth, 1000, 1000);
}
