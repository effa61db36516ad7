#include "examples/demo/console.h"

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace demo {

using grpc_breaker::BreakerState;

Console::Console()
    : start_(absl::Now()),
      colours_(isatty(STDOUT_FILENO) == 1 &&
               std::getenv("NO_COLOR") == nullptr) {}

void Console::Say(absl::string_view text) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::cout << text << std::endl;
}

void Console::TableHead() {
  Say("  time  phase       app/s  server/s  answered/s  fallback/s  "
      "rejected/s   p50 us   p99 us  breaker");
}

void Console::TableRow(absl::string_view phase, const Answers& answers,
                       int64_t server_calls, absl::Duration tick,
                       BreakerState state) {
  const double ticks_per_second = absl::Seconds(1) / tick;
  Say(absl::StrFormat(
      "%6s  %-10s %6.0f %9.0f %11.0f %11.0f %11.0f %8d %8d  %s", Seconds(),
      phase, answers.calls() * ticks_per_second,
      server_calls * ticks_per_second, answers.from_server * ticks_per_second,
      answers.from_fallback * ticks_per_second,
      answers.rejected * ticks_per_second,
      absl::ToInt64Microseconds(answers.Latency(0.5)),
      absl::ToInt64Microseconds(answers.Latency(0.99)), Paint(state)));
}

void Console::Transition(const grpc_breaker::BreakerTransition& transition) {
  Say(absl::StrCat(Seconds(), "  >> ", Paint(transition.from), " -> ",
                   Paint(transition.to), ": ", transition.cause));
}

std::string Console::Seconds() const {
  return absl::StrFormat("%6.1f", absl::ToDoubleSeconds(absl::Now() - start_));
}

std::string Console::Paint(BreakerState state) const {
  const absl::string_view name = ToString(state);
  if (!colours_) return std::string(name);
  const char* colour = state == BreakerState::kClosed ? "32"   // Green.
                       : state == BreakerState::kOpen ? "31"   // Red.
                                                      : "33";  // Yellow.
  return absl::StrCat("\033[1;", colour, "m", name, "\033[0m");
}

}  // namespace demo
