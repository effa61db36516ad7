#ifndef GRPC_BREAKER_LOGGING_LISTENER_H_
#define GRPC_BREAKER_LOGGING_LISTENER_H_

// A listener that writes a structured line for what operators want to read of
// afterwards: each change of state of a breaker, calls that were refused, each
// change that somebody asked the admin service for, events that were dropped,
// warnings about policies, and whether policies of a file are in force.
//
//   options.listeners.push_back(grpc_breaker::MakeLoggingListener());
//
//   time=2025-12-03T10:15:00.250Z level=error event=transition channel=prices
//   breaker=/pkg.S/M from=CLOSED to=OPEN cause="5 consecutive failures"
//   calls=12 failures=5 slow=0                               -- on one line
//
// or, with LogFormat::kJson, an object of JSON with the same fields on one
// line. Into Abseil's log:
//
//   grpc_breaker::MakeLoggingListener(
//       [](absl::LogSeverity severity, absl::string_view line) {
//         LOG(LEVEL(severity)) << line;
//       });
//
// Levels: error for a breaker that opens and policies that cannot be had;
// warning for what somebody holds by hand, refused calls, refused changes,
// dropped events and policies; else info. Of refused calls a breaker tells at
// most once per BreakerOptions::rejection_event_interval, and so there are no
// more lines.
//
// Values from elsewhere, such as reasons and causes, are quoted and escaped:
// nobody can end a line, or begin a field, by what he writes. What is not UTF-8
// becomes U+FFFD.
//
// Thread-safe if the sink is.

#include <functional>
#include <memory>

#include "absl/base/log_severity.h"
#include "absl/strings/string_view.h"
#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker {

// Takes one line, without its end and without control characters; it must not
// block. kInfo, kWarning or kError.
using LogSink =
    std::function<void(absl::LogSeverity severity, absl::string_view line)>;

enum class LogFormat { kLogfmt, kJson };

// An empty sink writes to stderr, each line by one write.
GRPC_BREAKER_EXPORT std::shared_ptr<BreakerListener> MakeLoggingListener(
    LogSink sink = nullptr, LogFormat format = LogFormat::kLogfmt);

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_LOGGING_LISTENER_H_
