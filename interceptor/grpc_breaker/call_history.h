#ifndef GRPC_BREAKER_CALL_HISTORY_H_
#define GRPC_BREAKER_CALL_HISTORY_H_

// What became of the attempts of one call, and why there were no more.
//
// Every call that did not succeed at once carries it, but for a corked stream
// that ended before its first message: in the details of its status, unless
// that is OK, as grpc_breaker.v1.CallHistory, and in the trailing metadata that
// the application sees (trailing_metadata.h). A call that succeeded at once
// carries nothing.
//
// Thread-safe: values, and pure functions over them.

#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/stop_reason.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker {

struct AttemptRecord {
  // UNIMPLEMENTED if the server said OK and sent no reply that parses.
  grpc::StatusCode code = grpc::StatusCode::OK;
  // The wait before it; 0 for the first.
  absl::Duration delay = absl::ZeroDuration();

  friend bool operator==(const AttemptRecord& a, const AttemptRecord& b) {
    return a.code == b.code && a.delay == b.delay;
  }
};

struct CallHistory {
  // Those that went on the wire, in their order; the last one has the call's
  // own code, unless a breaker, a cancellation or a fallback ended it, or the
  // call is hedged: then any one may. Those that lost are CANCELLED.
  std::vector<AttemptRecord> attempts;
  StopReason stopped = StopReason::kSucceeded;

  friend bool operator==(const CallHistory& a, const CallHistory& b) {
    return a.attempts == b.attempts && a.stopped == b.stopped;
  }
};

// Nothing if the status is OK, or not from a call of this process: a server may
// pass on that of a call which it made itself.
GRPC_BREAKER_EXPORT std::optional<CallHistory> CallHistoryOf(
    const grpc::Status& status);
// After the call. Nothing if it succeeded at once.
GRPC_BREAKER_EXPORT std::optional<CallHistory> CallHistoryOf(
    const grpc::ClientContext& context);

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_CALL_HISTORY_H_
