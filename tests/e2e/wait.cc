#include "tests/e2e/wait.h"

#include <cstdio>
#include <cstdlib>

#include "absl/time/clock.h"

namespace grpc_breaker::e2e {

void Hangs(absl::string_view what) {
  std::fprintf(stderr, "HANGS: after %s still waiting for %.*s\n",
               absl::FormatDuration(kWatchdog).c_str(),
               static_cast<int>(what.size()), what.data());
  std::abort();
}

void WaitUntil(absl::FunctionRef<bool()> condition, absl::string_view what) {
  const Watchdog watchdog;
  while (!condition()) {
    if (watchdog.barks()) Hangs(what);
    absl::SleepFor(absl::Milliseconds(1));
  }
}

}  // namespace grpc_breaker::e2e
