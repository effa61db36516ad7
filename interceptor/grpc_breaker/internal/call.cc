#include "grpc_breaker/internal/call.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/internal/attempt_record.h"
#include "grpc_breaker/internal/batch_access.h"
#include "grpc_breaker/internal/call_timeout.h"
#include "grpc_breaker/internal/classify.h"
#include "grpc_breaker/internal/deadline.h"
#include "grpc_breaker/internal/notes.h"
#include "grpc_breaker/internal/unary_call.h"
#include "grpc_breaker/internal/user_code.h"
#include "grpc_breaker/internal/wire_status.h"

namespace grpc_breaker {
namespace internal {
namespace {

using grpc::experimental::ClientRpcInfo;
using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;

bool Has(InterceptorBatchMethods* batch, InterceptionHookPoints point) {
  return batch->QueryInterceptionHookPoint(point);
}

// Of a hijacked batch: initial metadata that the application hears of before
// anything else.
bool AsksForMetadataAlone(InterceptorBatchMethods* batch) {
  return Has(batch, InterceptionHookPoints::PRE_RECV_INITIAL_METADATA) &&
         !Has(batch, InterceptionHookPoints::PRE_RECV_MESSAGE) &&
         !Has(batch, InterceptionHookPoints::PRE_RECV_STATUS);
}

// What a call is, for as long as it lasts: gRPC's ClientRpcInfo outlives it,
// but generic stubs let the name go before that.
struct CallInfo {
  CallInfo(std::shared_ptr<ChannelContext> channel, Method& method,
           ClientRpcInfo* info)
      : channel(std::move(channel)),
        method(method),
        name(info->method()),
        type(info->type()),
        context(*info->client_context()),
        channel_interface(info->channel()) {}

  Environment& environment() const { return channel->registry->environment(); }

  const std::shared_ptr<ChannelContext> channel;
  Method& method;
  const std::string name;
  const ClientRpcInfo::Type type;
  grpc::ClientContext& context;
  grpc::ChannelInterface* const channel_interface;
};

// A call that runs natively, unless the breaker refuses it. gRPC may run the
// batches of a stream on several threads at once. Thread-safe.
class ObservingInterceptor final : public Interceptor {
 public:
  explicit ObservingInterceptor(CallInfo call) : call_(std::move(call)) {}

  void Intercept(InterceptorBatchMethods* batch) override {
    if (Has(batch, InterceptionHookPoints::PRE_SEND_CANCEL)) return OnCancel();
    if (phase_.load(std::memory_order_acquire) == Phase::kRejected) {
      // First, because the batches of a hijacked CQ stream claim again and
      // again to send initial metadata.
      FailOperations(batch);
    } else if (Has(batch, InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      if (!Admit()) return Reject(batch);
    } else {
      Observe(batch);
    }
    batch->Proceed();
  }

  void OnCancel() { cancelled_.store(true, std::memory_order_relaxed); }

 private:
  enum class Phase : uint8_t {
    kIdle,
    kCorked,     // Operations reach the core before initial metadata do.
    kUncounted,  // Its deadline had passed before it began.
    kAdmitted,
    kRejected,
  };

  bool server_streams() const {
    return call_.type == ClientRpcInfo::Type::SERVER_STREAMING ||
           call_.type == ClientRpcInfo::Type::BIDI_STREAMING;
  }
  bool client_streams() const {
    return call_.type == ClientRpcInfo::Type::CLIENT_STREAMING ||
           call_.type == ClientRpcInfo::Type::BIDI_STREAMING;
  }

  bool Admit() {
    if (Deadline::Of(call_.context).passed()) {
      // It can only fail, through no fault of the server.
      phase_.store(Phase::kUncounted, std::memory_order_release);
      return true;
    }
    started_ = call_.environment().Now();
    permit_ = call_.method.breaker().TryAcquire(started_);
    if (!permit_.admitted()) return false;
    StartTimeout();
    phase_.store(Phase::kAdmitted, std::memory_order_release);
    return true;
  }

  void StartTimeout() {
    const std::optional<absl::Duration>& timeout =
        call_.method.policy().timeout;
    if (timeout.has_value() && Deadline::Of(call_.context).infinite()) {
      timeout_.emplace(*timeout, call_.context.c_call(), call_.channel,
                       call_.environment());
    }
  }

  void Reject(InterceptorBatchMethods* batch) {
    const Rejection rejection = permit_.rejection();
    status_ = MakeRejectionStatus(call_.name, rejection);
    notes_.AddRejection(rejection);
    NotifyFinalFailure(status_);
    FailSend(batch);
    // A corked stream's receive operations have reached the core, and would
    // wait there for ever.
    if (phase_.exchange(Phase::kRejected, std::memory_order_acq_rel) ==
        Phase::kCorked) {
      call_.context.TryCancel();
    }
    // Enters Intercept again, with the receive operations of this batch.
    batch->Hijack();
  }

  // Not for calls with one request, whose send shares a batch with what
  // delivers the status.
  void FailSend(InterceptorBatchMethods* batch) {
    if (client_streams() &&
        Has(batch, InterceptionHookPoints::PRE_SEND_MESSAGE)) {
      batch->FailHijackedSendMessage();
    }
  }

  void FailOperations(InterceptorBatchMethods* batch) {
    FailSend(batch);
    if (AsksForMetadataAlone(batch)) {
      FailInitialMetadata(batch, call_.context.c_call());
    }
    // Without this a reader would see messages that nobody sent.
    if (Has(batch, InterceptionHookPoints::PRE_RECV_MESSAGE)) {
      batch->FailHijackedRecvMessage();
    }
    // POST: what the core says of a corked stream that Reject cancelled.
    if (Has(batch, InterceptionHookPoints::PRE_RECV_STATUS) ||
        Has(batch, InterceptionHookPoints::POST_RECV_STATUS)) {
      FillRejection(batch);
    }
  }

  void FillRejection(InterceptorBatchMethods* batch) {
    if (status_filled_.exchange(true, std::memory_order_relaxed)) return;
    *batch->GetRecvStatus() = status_;
    notes_.AppendTo(batch->GetRecvTrailingMetadata());
  }

  void Observe(InterceptorBatchMethods* batch) {
    Phase idle = Phase::kIdle;
    phase_.compare_exchange_strong(idle, Phase::kCorked,
                                   std::memory_order_relaxed);
    if (server_streams()) ObserveResponse(batch);
    if (Has(batch, InterceptionHookPoints::POST_RECV_STATUS)) OnStatus(batch);
  }

  // A stream may run for hours: what tells of its server is when it begins to
  // answer.
  void ObserveResponse(InterceptorBatchMethods* batch) {
    if (phase_.load(std::memory_order_acquire) != Phase::kAdmitted ||
        has_message_.load(std::memory_order_relaxed)) {
      return;
    }
    if (Has(batch, InterceptionHookPoints::POST_RECV_MESSAGE) &&
        batch->GetRecvMessage() != nullptr) {
      absl::MutexLock lock(&mutex_);
      if (!has_message_.exchange(true, std::memory_order_relaxed)) {
        permit_.NoteResponse(call_.environment().Now());
      }
    } else if (Has(batch, InterceptionHookPoints::POST_RECV_INITIAL_METADATA) &&
               !cancelled_.load(std::memory_order_relaxed)) {
      // Comes for calls that have failed as well: see OnStatus.
      absl::MutexLock lock(&mutex_);
      metadata_at_ = call_.environment().Now();
    }
  }

  void OnStatus(InterceptorBatchMethods* batch) {
    const Phase phase = phase_.load(std::memory_order_acquire);
    grpc::Status status = TakeStatus(batch);
    const bool cancelled = cancelled_.load(std::memory_order_relaxed) &&
                           status.error_code() == grpc::StatusCode::CANCELLED;
    if (phase == Phase::kAdmitted) {
      timeout_.reset();
      // The first message of a stream may be noted on another thread.
      const absl::MutexLockMaybe lock(server_streams() ? &mutex_ : nullptr);
      Record(status, cancelled, batch);
    } else if (phase != Phase::kUncounted) {
      // A corked stream was cancelled before, or just while, it starts.
      return;
    }
    if (!status.ok() && !cancelled) NotifyFinalFailure(status);
  }

  // As the application is going to see it.
  static grpc::Status TakeStatus(InterceptorBatchMethods* batch) {
    NormalizeReceived(batch->GetRecvStatus());
    Notes::EraseFrom(batch->GetRecvTrailingMetadata());
    return *batch->GetRecvStatus();
  }

  // A status that tells of the server may say OK; `status` then becomes what
  // gRPC's synchronous stubs make of it.
  void Record(grpc::Status& status, bool cancelled,
              InterceptorBatchMethods* batch) {
    const MonotonicTime now = call_.environment().Now();
    ErrorOrigin origin;
    origin.cancelled_by_caller = cancelled;
    origin.bad_reply = status.ok() &&
                       Has(batch, InterceptionHookPoints::POST_RECV_MESSAGE) &&
                       batch->GetRecvMessage() == nullptr;
    if (origin.bad_reply) status = NoMessageReturned();
    // A reader that has seen enough says nothing against the server.
    const bool enough =
        cancelled && (has_message_.load(std::memory_order_relaxed) ||
                      metadata_at_.has_value());
    if (!status.ok() && !enough) {
      RecordFailure(call_.method, call_.environment(), permit_, status,
                    call_.context, *batch->GetRecvTrailingMetadata(), origin,
                    now);
      return;
    }
    if (const std::optional<MonotonicTime> answered = AnsweredAt()) {
      permit_.NoteResponse(*answered);
    }
    permit_.Record(Outcome::kSuccess, now);
  }

  // When the server began to answer a stream that went well, where that is
  // known only now. How long the application took to send its messages is not
  // the server's doing, so that no stream of those is slow.
  std::optional<MonotonicTime> AnsweredAt() const {
    return call_.type == ClientRpcInfo::Type::CLIENT_STREAMING ? started_
                                                               : metadata_at_;
  }

  void NotifyFinalFailure(const grpc::Status& status) const {
    const auto& hook = call_.method.policy().on_final_failure;
    if (hook == nullptr) return;
    const Phase phase = phase_.load(std::memory_order_relaxed);
    FailedCall call;
    call.method = call_.name;
    call.request = nullptr;
    call.status = status;
    call.attempts = phase == Phase::kAdmitted ? 1 : 0;
    call.rejected = phase != Phase::kUncounted && !permit_.admitted();
    CallUserCode([&] { hook(call); });
  }

  const CallInfo call_;
  std::atomic<Phase> phase_{Phase::kIdle};
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> status_filled_{false};
  std::atomic<bool> has_message_{false};

  // Set before phase_ says kAdmitted or kRejected. From then on, streams from
  // servers use the permit, and when initial metadata came, under the mutex.
  MonotonicTime started_;
  CircuitBreaker::Permit permit_;
  std::optional<CallTimeout> timeout_;
  absl::Mutex mutex_;
  std::optional<MonotonicTime> metadata_at_;

  // Set before phase_ says kRejected.
  grpc::Status status_;
  Notes notes_;
};

// A unary call that UnaryCall makes, if its messages allow it. Thread-safe.
class HijackingInterceptor final : public Interceptor {
 public:
  explicit HijackingInterceptor(CallInfo call) : call_(std::move(call)) {}

  void Intercept(InterceptorBatchMethods* batch) override {
    if (Has(batch, InterceptionHookPoints::PRE_SEND_CANCEL)) return Cancel();
    if (ObservingInterceptor* native =
            native_.load(std::memory_order_acquire)) {
      return native->Intercept(batch);
    }
    if (Has(batch, InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      if (!Has(batch, InterceptionHookPoints::PRE_SEND_MESSAGE) ||
          !CanFillReply(batch)) {
        return RunNatively(batch);
      }
      return StartCall(batch);
    }
    if (Has(batch, InterceptionHookPoints::PRE_RECV_INITIAL_METADATA) ||
        Has(batch, InterceptionHookPoints::PRE_RECV_MESSAGE) ||
        Has(batch, InterceptionHookPoints::PRE_RECV_STATUS)) {
      return DeliverOrWait(batch);
    }
    batch->Proceed();
  }

 private:
  void RunNatively(InterceptorBatchMethods* batch) {
    native_owner_ = std::make_unique<ObservingInterceptor>(call_);
    {
      absl::MutexLock lock(&mutex_);
      native_.store(native_owner_.get(), std::memory_order_release);
      if (cancelled_) native_owner_->OnCancel();
    }
    native_owner_->Intercept(batch);
  }

  void StartCall(InterceptorBatchMethods* batch) {
    UnaryRequest request{call_.name,
                         *batch->GetSerializedSendMessage(),
                         *batch->GetSendInitialMetadata(),
                         ContextSettings(call_.context),
                         Deadline::Of(call_.context),
                         CoreChannelOf(call_.channel_interface)};
    const Policy& policy = call_.method.policy();
    request.settings.SetDefaults(policy.wait_for_ready, policy.authority);
    auto call = std::make_shared<UnaryCall>(call_.channel, call_.method,
                                            batch->GetInterceptedChannel(),
                                            std::move(request));
    bool cancelled;
    {
      absl::MutexLock lock(&mutex_);
      unary_call_ = call;
      cancelled = cancelled_;
    }
    if (cancelled) call->Cancel();
    // Enters Intercept again, with the receive operations of this batch.
    batch->Hijack();
    // May end the call, and with it this interceptor.
    call->Start([this](UnaryResult result) { OnResult(std::move(result)); });
  }

  // Under the locks of the application's context.
  void Cancel() {
    std::shared_ptr<UnaryCall> call;
    {
      absl::MutexLock lock(&mutex_);
      cancelled_ = true;
      call = unary_call_;
      ObservingInterceptor* native = native_.load(std::memory_order_relaxed);
      if (native != nullptr) native->OnCancel();
    }
    if (call != nullptr) call->Cancel();
  }

  void DeliverOrWait(InterceptorBatchMethods* batch) {
    {
      absl::MutexLock lock(&mutex_);
      if (!has_result_) {
        waiting_.push_back(batch);
        return;
      }
    }
    Deliver(batch);
  }

  void OnResult(UnaryResult result) {
    std::vector<InterceptorBatchMethods*> waiting;
    {
      absl::MutexLock lock(&mutex_);
      result_ = std::move(result);
      has_result_ = true;
      waiting.swap(waiting_);
    }
    // The last of them may end the call, and with it this interceptor.
    for (InterceptorBatchMethods* batch : waiting) Deliver(batch);
  }

  // Once has_result_ is set, result_ does not change any more.
  void Deliver(InterceptorBatchMethods* batch) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (Has(batch, InterceptionHookPoints::PRE_RECV_MESSAGE)) {
      DeliverReply(batch);
    }
    Attempt* attempt = result_.attempt.get();
    if (Has(batch, InterceptionHookPoints::PRE_RECV_INITIAL_METADATA)) {
      if (attempt != nullptr) {
        const auto& metadata = attempt->context().GetServerInitialMetadata();
        batch->GetRecvInitialMetadata()->insert(metadata.begin(),
                                                metadata.end());
      }
      if (AsksForMetadataAlone(batch) && !HasInitialMetadata(batch)) {
        FailInitialMetadata(batch, call_.context.c_call());
      }
    }
    if (Has(batch, InterceptionHookPoints::PRE_RECV_STATUS)) {
      *batch->GetRecvStatus() = FinalStatus();
      ReceivedMetadata* trailers = batch->GetRecvTrailingMetadata();
      if (attempt != nullptr) {
        const auto& metadata = attempt->context().GetServerTrailingMetadata();
        trailers->insert(metadata.begin(), metadata.end());
        Notes::EraseFrom(trailers);
        CopyDebugErrorString(attempt->context(), &call_.context);
      }
      result_.notes.AppendTo(trailers);
    }
    batch->Proceed();
  }

  void DeliverReply(InterceptorBatchMethods* batch)
      ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (!result_.status.ok()) return batch->FailHijackedRecvMessage();
    if (FillReply(batch, result_.reply)) return unary_call_->AcceptReply();
    UnaryResult result = result_;
    unary_call_->RefuseReply(&result);
    if (result.status.ok() && !FillReply(batch, result.reply)) {
      result.status = grpc::Status(
          grpc::StatusCode::INTERNAL,
          absl::StrCat(call_.name, ": the fallback's reply does not parse"));
    }
    if (!result.status.ok()) batch->FailHijackedRecvMessage();
    absl::MutexLock lock(&mutex_);
    status_of_reply_ = std::move(result.status);
  }

  // That of the result, unless reading the reply has changed it.
  grpc::Status FinalStatus() {
    absl::MutexLock lock(&mutex_);
    return status_of_reply_.value_or(result_.status);
  }

  // Whether the application of a bare channel would be told of initial
  // metadata, as far as that is known of an attempt afterwards.
  bool HasInitialMetadata(InterceptorBatchMethods* batch)
      ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (result_.status.ok()) return true;
    Attempt* attempt = result_.attempt.get();
    if (attempt == nullptr) return false;
    grpc::ClientContext* context = attempt->mutable_context();
    if (HasTrailersOnly(*context)) return !IsReactorStart(batch);
    return !context->GetServerInitialMetadata().empty() ||
           ServerAnswered(context->debug_error_string()) == true;
  }

  const CallInfo call_;

  absl::Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<UnaryCall> unary_call_ ABSL_GUARDED_BY(mutex_);
  // Batches of the application that wait for the result.
  std::vector<InterceptorBatchMethods*> waiting_ ABSL_GUARDED_BY(mutex_);
  bool has_result_ ABSL_GUARDED_BY(mutex_) = false;
  UnaryResult result_ ABSL_GUARDED_BY(mutex_);
  std::optional<grpc::Status> status_of_reply_ ABSL_GUARDED_BY(mutex_);

  // Null unless the call runs natively.
  std::unique_ptr<ObservingInterceptor> native_owner_;
  std::atomic<ObservingInterceptor*> native_{nullptr};
};

// Whether a unary call under this policy can run natively.
bool CanRunNatively(const Policy& policy) {
  return policy.retry.max_retries == 0 && policy.fallback.function == nullptr &&
         policy.on_final_failure == nullptr &&
         !policy.attempt_timeout.has_value() &&
         !policy.wait_for_ready.has_value() && policy.authority.empty();
}

}  // namespace

Interceptor* MakeCallInterceptor(const std::shared_ptr<ChannelContext>& channel,
                                 ClientRpcInfo* info) {
  Method& method = channel->registry->Find(info->method());
  CallInfo call(channel, method, info);
  if (info->type() == ClientRpcInfo::Type::UNARY &&
      !CanRunNatively(method.policy())) {
    return new HijackingInterceptor(std::move(call));
  }
  return new ObservingInterceptor(std::move(call));
}

}  // namespace internal
}  // namespace grpc_breaker
