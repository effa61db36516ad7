#ifndef GRPC_BREAKER_FLEET_FLEET_H_
#define GRPC_BREAKER_FLEET_FLEET_H_

// Follows the admin services of several processes, and has at any time what is
// known of all of their breakers: see fleet_snapshot.h, and fleet_group.h for
// taking them together.
//
//   absl::StatusOr<std::unique_ptr<Fleet>> fleet =
//       Fleet::Start({{"10.0.0.1:5000", channel}}, options);
//   std::shared_ptr<const FleetSnapshot> seen = (*fleet)->snapshot();
//   for (;;) seen = (*fleet)->WaitForChange(seen->version, absl::Seconds(1));
//
// Each process is asked for its breakers and for what has happened every
// interval, on a thread of its own, so that one that does not answer delays
// nothing of the others. It is also asked for a watch, which serves as a
// doorbell only: when something has changed it is asked at once, though not
// more often than every 100 ms, nor so that it is asked for more than half of
// the time. That brings states and events up to date; rates and points are made
// by the intervals alone. Without a watch -- it is refused, or ends -- the
// intervals go on, and a watch is tried again after 1 second, then 2, and so on
// up to a minute.
//
// A process that does not answer keeps what it had, marked as stale, and is
// asked again. One that was restarted, which the token of its events tells,
// begins anew; and so does a channel whose counts have become less, as it was
// made anew: no rate is negative.
//
// Memory: per breaker its message and at most twice `points` of 64 bytes, in
// the latest snapshot; `events` events; what a request to each process brings.
// A breaker that an answer does not have any more is forgotten. An older
// snapshot takes what has changed since, as long as somebody holds it.
//
// Lifetime: the environment outlives it. Nobody waits in WaitForChange when it
// is destroyed. That cancels what is under way and waits for its threads, which
// takes no time to speak of even where a process hangs.
//
// Thread-safe. No lock is held over an RPC or while `prepare` runs.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/fleet/fleet_snapshot.h"
#include "grpcpp/client_context.h"
#include "grpcpp/impl/channel_interface.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker::internal {

class ProcessPoller;
class Timeline;

struct FleetProcess {
  // As the views have it; each once.
  std::string name;

  // Not null, and without breakers of its own: they would count what asks for
  // breakers. One that soon connects anew (GRPC_ARG_MAX_RECONNECT_BACKOFF_MS)
  // sees a process soon that comes back.
  std::shared_ptr<grpc::ChannelInterface> channel;

  // Adds what each request needs, such as a token, before it is sent; an error
  // stands for the answer. Empty: nothing is needed. Called on the process's
  // own thread, which the end of the fleet waits for: it should not block.
  std::function<grpc::Status(grpc::ClientContext& context)> prepare;
};

struct FleetOptions {
  // Which breakers and events.
  admin::v1::BreakerFilter filter;

  // From one request to the next, from 10ms to 24h.
  absl::Duration interval = absl::Seconds(1);

  // For an answer, from 1ms to 24h.
  absl::Duration timeout = absl::Seconds(5);

  // Points of history per breaker, from 1 to 100000.
  int points = 150;

  // Events of all processes together, from 1 to 100000.
  int events = 1000;

  // The clock, and who wakes the threads. Null: the default one. Deadlines of
  // RPCs go by the real time in any case.
  Environment* environment = nullptr;

  // Names the field and its value.
  absl::Status Validate() const;
};

class GRPC_BREAKER_EXPORT Fleet {
 public:
  // Begins to ask. At least one process.
  static absl::StatusOr<std::unique_ptr<Fleet>> Start(
      std::vector<FleetProcess> processes, FleetOptions options = {});
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // The latest; never null, and has all processes from the beginning.
  std::shared_ptr<const FleetSnapshot> snapshot() const
      ABSL_LOCKS_EXCLUDED(mutex_);

  // The latest, as soon as its version is not `version`, or after `timeout` of
  // real time. A new one comes of every answer and every failure.
  std::shared_ptr<const FleetSnapshot> WaitForChange(
      uint64_t version, absl::Duration timeout) const
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Asks each process soon, as if something had changed there.
  void Refresh();

 private:
  Fleet(std::vector<FleetProcess> processes, const FleetOptions& options);

  // One process has answered, or failed to.
  void Publish(size_t process, std::shared_ptr<const FleetProcessView> view,
               std::vector<FleetEvent> events) ABSL_LOCKS_EXCLUDED(mutex_);

  mutable absl::Mutex mutex_;
  std::shared_ptr<const FleetSnapshot> snapshot_ ABSL_GUARDED_BY(mutex_);
  const std::unique_ptr<Timeline> timeline_ ABSL_PT_GUARDED_BY(mutex_);

  // End first: their threads use all of the above.
  std::vector<std::unique_ptr<ProcessPoller>> pollers_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_FLEET_FLEET_H_
