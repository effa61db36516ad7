#ifndef GRPC_BREAKER_FLEET_PROCESS_POLLER_H_
#define GRPC_BREAKER_FLEET_PROCESS_POLLER_H_

// Asks one process again and again, on a thread of its own. See fleet.h.
//
// Lifetime: the environment outlives it. Its end cancels what is under way.
//
// Thread-safe. No lock is held over an RPC or while `prepare` or `publish` run.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/fleet/breaker_rows.h"
#include "grpc_breaker/fleet/calls_under_way.h"
#include "grpc_breaker/fleet/fleet.h"
#include "grpc_breaker/fleet/fleet_snapshot.h"
#include "grpcpp/grpcpp.h"

namespace grpc_breaker::internal {

class ProcessPoller {
 public:
  // Takes what is known after each answer and each failure, and the events that
  // are new. On the poller's thread.
  using Publish =
      std::function<void(std::shared_ptr<const FleetProcessView> view,
                         std::vector<FleetEvent> events)>;

  // `options` are valid, and name an environment.
  ProcessPoller(FleetProcess process, const FleetOptions& options,
                Publish publish);
  ~ProcessPoller();
  ProcessPoller(const ProcessPoller&) = delete;
  ProcessPoller& operator=(const ProcessPoller&) = delete;

  // Asks soon.
  void Ring();

  // Cancels what is under way, and begins nothing more; does not wait.
  void Stop();

 private:
  using Stub = admin::v1::CircuitBreakerAdmin::Stub;

  // What its thread, timers and the watch have in common.
  class Bell;
  class Watch;

  // An RPC of the service that has one request and one answer.
  template <typename Request, typename Response>
  using Rpc = grpc::Status (Stub::*)(grpc::ClientContext* context,
                                     const Request& request,
                                     Response* response);

  void Run();
  // Until an interval ends: true; or until somebody has rung and may be heard,
  // or all is to end.
  bool Wait(MonotonicTime next_interval, MonotonicTime next_ring);

  // Tells when it was answered, before that is published.
  MonotonicTime Poll(bool interval_ended);
  grpc::Status AskForBreakers(BreakerRows::Breakers* breakers);
  grpc::Status AskForEvents();
  template <typename Request, typename Response>
  grpc::Status Call(Rpc<Request, Response> rpc, const Request& request,
                    Response* response);
  grpc::Status Prepare(grpc::ClientContext& context) const;
  void Note(admin::v1::Event event, MonotonicTime asked, MonotonicTime now);

  // Begins a watch if there is none and it is time to; when it will be.
  MonotonicTime TendWatch();
  bool BeginWatch();
  void PutOffWatch(MonotonicTime now);

  const FleetProcess process_;
  const FleetOptions options_;
  Environment& environment_;
  const Publish publish_;
  const std::unique_ptr<Stub> stub_;
  const std::shared_ptr<Bell> bell_;
  CallsUnderWay calls_;

  // The thread's alone.
  BreakerRows rows_;
  FleetProcessView view_;
  std::string events_token_;
  std::string rows_from_;  // The admin service; empty: not known.
  std::vector<FleetEvent> new_events_;
  MonotonicTime last_event_ = MonotonicTime::min();
  MonotonicTime watch_again_;
  absl::Duration watch_backoff_;

  std::thread thread_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_FLEET_PROCESS_POLLER_H_
