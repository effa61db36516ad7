#ifndef GRPC_BREAKER_RPC_OBSERVING_INTERCEPTOR_H_
#define GRPC_BREAKER_RPC_OBSERVING_INTERCEPTOR_H_

// A call that runs natively: it takes a permit at its initial metadata, and the
// outcome is recorded at its final status. If the breaker refuses it, it is
// hijacked, and every operation of it fails.
//
// Thread-safe: gRPC may run the batches of a stream on several threads at once.

#include <atomic>
#include <cstdint>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "grpc_breaker/call_history.h"
#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/rpc/added_trailers.h"
#include "grpc_breaker/rpc/batch_access.h"
#include "grpc_breaker/rpc/call_info.h"
#include "grpc_breaker/rpc/call_timeout.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/client_interceptor.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker::internal {

class ObservingInterceptor final : public grpc::experimental::Interceptor {
 public:
  explicit ObservingInterceptor(CallInfo call) : call_(std::move(call)) {}
  ~ObservingInterceptor() override;

  void Intercept(Batch* batch) override;

  // In place of Intercept for the batch with the initial metadata, once the
  // breaker has refused `permit`. `corked`: operations have reached the core.
  void Refuse(CircuitBreaker::Permit permit, bool corked, Batch* batch);

  // The application has cancelled the call.
  void OnCancel() { cancelled_.store(true, std::memory_order_relaxed); }

 private:
  enum class Phase : uint8_t {
    kIdle,
    kCorked,     // Operations reach the core before initial metadata do.
    kUncounted,  // Its deadline had passed, or it ended, before it began.
    kAdmitted,
    kAnswered,  // Admitted, and a message of a stream has come.
    kRejected,
    kRejectionTold,
  };
  static bool Begun(Phase phase) {
    return phase != Phase::kIdle && phase != Phase::kCorked;
  }
  static bool Admitted(Phase phase) {
    return phase == Phase::kAdmitted || phase == Phase::kAnswered;
  }
  static bool Rejected(Phase phase) {
    return phase == Phase::kRejected || phase == Phase::kRejectionTold;
  }

  bool server_streams() const;
  bool client_streams() const;

  // Operations reach the core before initial metadata do.
  void NoteCorked();
  Phase BeginAs(Phase next);

  void KeepRequest(Batch* batch);
  bool Admit();
  void StartTimeout();

  void Reject(Batch* batch) ABSL_LOCKS_EXCLUDED(mutex_);
  void EndCorked(Batch* batch);
  void FailSend(Batch* batch);
  void FailOperations(Batch* batch);
  void FillRejection(Batch* batch);

  void Observe(Batch* batch);
  void ObserveResponse(Batch* batch) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnStatus(Batch* batch) ABSL_LOCKS_EXCLUDED(mutex_);
  StopReason Record(grpc::Status& status, ErrorOrigin origin, Batch* batch)
      ABSL_LOCKS_EXCLUDED(mutex_);
  std::optional<MonotonicTime> AnsweredAt() const;
  void NotifyFinalFailure(const grpc::Status& status,
                          const CallHistory& history) const;

  const CallInfo call_;
  std::atomic<Phase> phase_{Phase::kIdle};
  std::atomic<bool> cancelled_{false};
  // The batch by which a corked stream is hijacked.
  std::atomic<Batch*> ends_corked_{nullptr};

  // Of a unary call with a hook. Set before phase_ is, as what follows.
  std::optional<grpc::ByteBuffer> request_;

  // Set before phase_ says kAdmitted or kRejected. From then on, streams from
  // servers use the permit, and when initial metadata came, under the mutex.
  MonotonicTime started_;
  CircuitBreaker::Permit permit_;
  std::optional<CallTimeout> timeout_;
  Mutex mutex_;
  std::optional<MonotonicTime> metadata_at_;

  // Before phase_ says kRejected: what ends the call meanwhile tells this
  // status.
  bool refused_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::Status status_;
  // Of a call that has failed.
  AddedTrailers trailers_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_OBSERVING_INTERCEPTOR_H_
