#ifndef GRPC_BREAKER_LOGGING_LISTENER_H_
#define GRPC_BREAKER_LOGGING_LISTENER_H_

// A listener that writes a line for each change of state of a breaker, with the
// channel's name where it is one of a channel:
//
//   options.listeners.push_back(grpc_breaker::MakeLoggingListener());
//
//   2025-12-03T10:15:00.250Z breaker prices /pkg.S/M: CLOSED -> OPEN (5
//   consecutive failures; 12 calls, 5 failed)              -- on one line
//
// and one where events were dropped, and for each warning about a policy.
//
// Thread-safe if the sink is.

#include <functional>
#include <memory>

#include "absl/strings/string_view.h"
#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker {

// Takes one line, without its end and without control characters; it must not
// block.
using LogSink = std::function<void(absl::string_view line)>;

// An empty sink writes to stderr, each line by one write.
GRPC_BREAKER_EXPORT std::shared_ptr<BreakerListener> MakeLoggingListener(
    LogSink sink = nullptr);

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_LOGGING_LISTENER_H_
