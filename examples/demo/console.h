#ifndef GRPC_BREAKER_EXAMPLES_DEMO_CONSOLE_H_
#define GRPC_BREAKER_EXAMPLES_DEMO_CONSOLE_H_

// What the demo shows: the rows of a table, and what happens in between. In
// colour on a terminal, unless the environment has NO_COLOR.
//
// Thread-safe.

#include <mutex>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "examples/demo/load.h"
#include "grpc_breaker/breaker_events.h"

namespace demo {

class Console {
 public:
  Console();

  void Say(absl::string_view text);

  void TableHead();
  // `answers` and `server_calls` are those of the last `tick`.
  void TableRow(absl::string_view phase, const Answers& answers,
                int64_t server_calls, absl::Duration tick,
                grpc_breaker::BreakerState state);
  void Transition(const grpc_breaker::BreakerTransition& transition);

 private:
  std::string Seconds() const;  // Since the start.
  std::string Paint(grpc_breaker::BreakerState state) const;

  const absl::Time start_;
  const bool colours_;
  std::mutex mutex_;
};

}  // namespace demo

#endif  // GRPC_BREAKER_EXAMPLES_DEMO_CONSOLE_H_
