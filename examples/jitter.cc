// Jitter: clients that failed together must not come back together. When do
// 1,000 clients that lost their server at one moment make their first retry?

#include <algorithm>
#include <array>
#include <iomanip>
#include <iostream>

#include "examples/support/check.h"
#include "grpc_breaker/backoff.h"

namespace {

using grpc_breaker::Jitter;

constexpr int kClients = 1000;
constexpr int kSlots = 20;  // Of 100 ms.

std::array<int, kSlots> FirstRetries(Jitter jitter) {
  grpc_breaker::RetryOptions options;
  options.base_delay = absl::Seconds(1);
  options.jitter = jitter;
  std::array<int, kSlots> slots = {};
  for (int client = 0; client < kClients; ++client) {
    grpc_breaker::Backoff backoff(options,
                                  grpc_breaker::Environment::Default());
    const int slot = static_cast<int>(backoff.Next() / absl::Milliseconds(100));
    ++slots[std::min(slot, kSlots - 1)];
  }
  return slots;
}

}  // namespace

int main() {
  std::cout << "clients that retry in each tenth of a second:\n";
  for (Jitter jitter : {Jitter::kNone, Jitter::kGrpcA6, Jitter::kPlusMinusHalf,
                        Jitter::kEqual, Jitter::kFull}) {
    const auto slots = FirstRetries(jitter);
    std::cout << std::left << std::setw(16) << ToString(jitter) << std::right;
    for (int clients : slots) std::cout << std::setw(5) << clients;
    std::cout << "\n";
    const int peak = *std::max_element(slots.begin(), slots.end());
    if (jitter == Jitter::kNone) {
      shop::Check(peak == kClients, "without jitter all come at once");
    } else {
      shop::Check(peak < kClients / 2, "jitter spreads the load");
    }
  }
}
