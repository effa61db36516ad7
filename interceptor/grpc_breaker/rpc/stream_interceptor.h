#ifndef GRPC_BREAKER_RPC_STREAM_INTERCEPTOR_H_
#define GRPC_BREAKER_RPC_STREAM_INTERCEPTOR_H_

// A streaming call whose method's streams are retried (StreamRetryOptions).
//
// The first attempt is the application's own call, which runs natively; what is
// sent is kept for further attempts. A batch that comes back failed is held
// instead of told. Under its tag (stream_batch.h) the status is asked for, and
// if StreamCall says so another attempt is made, with all that was sent, on a
// call of the core's that belongs to the same completion queue; then the
// batches of the application run on that one:
//
//   kOpen --a batch fails--> kWaiting --status, backoff--> kReplaying --+
//     ^                          | no retry                             |
//     |                          v                                      |
//     |                        kEnded: what is left to tell             |
//     +--------------- all is sent again -------------------------------+
//
// Once it has committed nothing is kept or held any more, and
// a call whose first attempt that was is not touched again, but for what the
// breaker has to be told. Operations that wait for each other -- a reader and a
// writer, the three batches of a reactor -- are each held under their own tag;
// whichever brought the status drives the replay.
//
// Interceptors after ours see a retried stream as one call.
//
// Lifetime: the application cannot let go of a call while a batch of it is
// held. So one that it abandons has nothing pending: its attempt is cancelled,
// and its permit returned, as this object goes. When the last batch proceeds,
// nothing on this side may hold an attempt any longer, and with it the channel:
// see attempt_queue.h for what would come of it on a thread of the callback
// API.
//
// Thread-safe: gRPC runs the batches of a stream on several threads at once. No
// lock is held while gRPC or the application runs. Who holds a batch, and gives
// the lock back, has this object no longer: another thread may tell it, and be
// the last.

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/rpc/batch_access.h"
#include "grpc_breaker/rpc/call_info.h"
#include "grpc_breaker/rpc/observing_interceptor.h"
#include "grpc_breaker/rpc/replay_buffer.h"
#include "grpc_breaker/rpc/stream_attempt.h"
#include "grpc_breaker/rpc/stream_batch.h"
#include "grpc_breaker/rpc/stream_call.h"
#include "grpcpp/support/client_interceptor.h"

namespace grpc_breaker::internal {

class StreamInterceptor final : public grpc::experimental::Interceptor {
 public:
  explicit StreamInterceptor(CallInfo call);

  void Intercept(Batch* batch) override;

 private:
  enum class Mode : uint8_t {
    kRetried,
    // Committed to its first attempt: batches pass.
    kSettled,
    // Refused by the breaker, ended before it began, or with batches that are
    // none of gRPC's own: see native_.
    kNative,
  };
  enum class Phase : uint8_t { kIdle, kOpen, kWaiting, kReplaying, kEnded };

  // A batch from its first Intercept to its end.
  struct Operation {
    enum class Step : uint8_t {
      kRunning,       // By itself, or about to be told or run.
      kHeldBefore,    // It has not run.
      kHeldAfter,     // It has failed.
      kGetsMetadata,  // Held; its tag is used to receive initial metadata,
      kGetsEnd,       // ... the status,
      kReplays,       // ... or to send what was sent.
    };

    explicit Operation(StreamBatch methods) : batch(methods) {}
    bool OnlySends() const { return sends && !reads && !metadata && !ends; }
    bool held() const {
      return step == Step::kHeldBefore || step == Step::kHeldAfter;
    }

    StreamBatch batch;
    Step step = Step::kRunning;
    std::shared_ptr<StreamAttempt> attempt;  // That it ran on.
    bool sends = false;  // Initial metadata, a message, the half-close.
    // Before it runs: the message, as bytes, if there is one.
    const grpc::ByteBuffer* sent = nullptr;
    bool closes = false;
    bool metadata = false;  // Receives the initial metadata.
    bool ends = false;      // Receives the status, and a reply if there is one.
    void* message = nullptr;
    // Known when it has run for the first time.
    bool came_back = false;
    bool reads = false;  // A message of a stream.
    bool ok = true;
    uint32_t hooks = 0;
    // The status is received together with the initial metadata.
    bool with_metadata = false;
  };
  // A status that waits for what the server had sent before.
  struct Ending {
    Operation* operation;
    grpc::Status status;
    bool lacks_reply;
    bool retries = false;  // Unless headers came.
    bool application_asked = false;
  };
  using Step = Operation::Step;
  using Operations = std::list<Operation>;

  const CallInfo& info() const { return call_->info(); }
  bool client_streams_only() const {
    return info().type == CallInfo::RpcInfo::Type::CLIENT_STREAMING;
  }

  void Cancel();
  // From now on.
  ObservingInterceptor& GoNative() ABSL_LOCKS_EXCLUDED(mutex_);
  void Refuse(CircuitBreaker::Permit permit, Batch* batch);
  void Pass(Batch* batch);

  // A batch that has not run.
  void Before(StreamBatch batch) ABSL_LOCKS_EXCLUDED(mutex_);
  const std::shared_ptr<StreamAttempt>& First(const StreamBatch& batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Start(const StreamBatch& batch) ABSL_LOCKS_EXCLUDED(mutex_);
  void RunOrHold(Operation operation) ABSL_LOCKS_EXCLUDED(mutex_);
  // Operations have places, which are used again, so that a message takes no
  // memory of its own.
  Operation& Register(Operation operation)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Operation Unregister(Operations::iterator place)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool MustWait(const Operation& operation) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Prepare(Operation& operation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Run(Operation& operation);

  // A batch that has run.
  void After(StreamBatch batch) ABSL_LOCKS_EXCLUDED(mutex_);
  Operations::iterator Find(const StreamBatch& batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteReturn(Operation& operation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnRun(Operation& operation) ABSL_LOCKS_EXCLUDED(mutex_);
  bool EndsBeforeItBegan() ABSL_LOCKS_EXCLUDED(mutex_);
  bool Succeeded(Operation& operation) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnFailed(Operation& operation) ABSL_LOCKS_EXCLUDED(mutex_);
  void AskWhy(Operation& operation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool BringsAnswer(const Operation& operation) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnMetadata(Operation& operation) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnEnd(Operation& operation, grpc::Status status, bool lacks_reply)
      ABSL_LOCKS_EXCLUDED(mutex_);
  std::optional<Ending> TakeEnding() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndAttempt(Ending ending) ABSL_LOCKS_EXCLUDED(mutex_);
  bool HeadersCame(const grpc::Status& status, StreamAttempt& attempt,
                   bool application_asked) const;

  // Another attempt.
  void Replay(Operation& driver, std::shared_ptr<StreamAttempt> attempt)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void SendNext(Operation& driver, bool first) ABSL_LOCKS_EXCLUDED(mutex_);
  void Reopen(Operation& driver) ABSL_LOCKS_EXCLUDED(mutex_);
  Operation* NextOrOpen(Operation& driver, std::vector<Operation*>& after,
                        std::vector<Operation*>& before)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Assign(Operation& operation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Perform(Operation& operation) ABSL_LOCKS_EXCLUDED(mutex_);

  // The end of retries, and of the call.
  void Commit() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Settle() ABSL_LOCKS_EXCLUDED(mutex_);
  void CommitAndRelease() ABSL_LOCKS_EXCLUDED(mutex_);
  void End() ABSL_LOCKS_EXCLUDED(mutex_);
  void TellEnd(Operation& operation) ABSL_LOCKS_EXCLUDED(mutex_);
  void FillEnd(const Operation& operation);
  void FillMetadata(const Operation& operation);
  // What is told: as it came, or `ok`. It may be the end of this object.
  void Tell(Operation& operation) ABSL_LOCKS_EXCLUDED(mutex_);
  void Tell(Operation& operation, bool ok) ABSL_LOCKS_EXCLUDED(mutex_);
  // With the `ending` that waited for it.
  Operation Take(Operation& operation, std::optional<Ending>* ending = nullptr)
      ABSL_LOCKS_EXCLUDED(mutex_);

  const std::shared_ptr<StreamCall> call_;
  std::atomic<Mode> mode_{Mode::kRetried};
  std::unique_ptr<ObservingInterceptor> native_;  // Set before mode_ is.

  Mutex mutex_;
  Phase phase_ ABSL_GUARDED_BY(mutex_) = Phase::kIdle;
  std::atomic<bool> committed_{false};  // Set under mutex_.
  // A batch of the application's has asked for the initial metadata.
  bool metadata_asked_for_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<StreamAttempt> first_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<StreamAttempt> attempt_ ABSL_GUARDED_BY(mutex_);
  Operations operations_ ABSL_GUARDED_BY(mutex_);
  Operations spare_ ABSL_GUARDED_BY(mutex_);
  ReplayBuffer sent_ ABSL_GUARDED_BY(mutex_);
  size_t replayed_ ABSL_GUARDED_BY(mutex_) = 0;

  std::optional<Ending> ending_ ABSL_GUARDED_BY(mutex_);

  // Parses the reply of a stream of the client's.
  std::shared_ptr<grpc::internal::DeserializeFunc> deserializer_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_STREAM_INTERCEPTOR_H_
