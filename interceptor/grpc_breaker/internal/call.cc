#include "grpc_breaker/internal/call.h"

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/message_lite.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/internal/call_timeout.h"
#include "grpc_breaker/internal/classify.h"
#include "grpc_breaker/internal/notes.h"
#include "grpc_breaker/internal/unary_call.h"
#include "grpcpp/support/proto_buffer_reader.h"

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

// A unary call that UnaryCall makes. Thread-safe.
class HijackingInterceptor final : public Interceptor {
 public:
  HijackingInterceptor(std::shared_ptr<Registry> registry, Method& method,
                       const void* factory, ClientRpcInfo* info)
      : registry_(std::move(registry)),
        method_(method),
        factory_(factory),
        context_(*info->client_context()),
        // Generic stubs let the name go before the call ends.
        method_name_(info->method()) {}

  void Intercept(InterceptorBatchMethods* batch) override {
    if (Has(batch, InterceptionHookPoints::PRE_SEND_CANCEL)) return Cancel();
    if (Has(batch, InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
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
  void StartCall(InterceptorBatchMethods* batch) {
    UnaryRequest request{method_name_, *batch->GetSerializedSendMessage(),
                         *batch->GetSendInitialMetadata(),
                         ContextSettings(context_), context_.deadline()};
    request.settings.SetDefaults(method_.policy().wait_for_ready,
                                 method_.policy().authority);
    auto call = std::make_shared<UnaryCall>(registry_, method_, factory_,
                                            batch->GetInterceptedChannel(),
                                            std::move(request));
    bool cancelled;
    {
      absl::MutexLock lock(&mutex_);
      call_ = call;
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
      call = call_;
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

  // result_ does not change any more once has_result_ is set.
  void Deliver(InterceptorBatchMethods* batch) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const Attempt* attempt = result_.attempt.get();
    if (Has(batch, InterceptionHookPoints::PRE_RECV_INITIAL_METADATA) &&
        attempt != nullptr) {
      const auto& metadata = attempt->context().GetServerInitialMetadata();
      batch->GetRecvInitialMetadata()->insert(metadata.begin(), metadata.end());
    }
    grpc::Status status = result_.status;
    if (Has(batch, InterceptionHookPoints::PRE_RECV_MESSAGE)) {
      if (status.ok()) status = FillMessage(batch->GetRecvMessage());
      if (!status.ok()) batch->FailHijackedRecvMessage();
    }
    if (Has(batch, InterceptionHookPoints::PRE_RECV_STATUS)) {
      *batch->GetRecvStatus() = status;
      ReceivedMetadata* trailers = batch->GetRecvTrailingMetadata();
      if (attempt != nullptr) {
        const auto& metadata = attempt->context().GetServerTrailingMetadata();
        trailers->insert(metadata.begin(), metadata.end());
        CopyDebugErrorString(attempt->context(), &context_);
      }
      result_.notes.AppendTo(trailers);
    }
    batch->Proceed();
  }

  // `message` is what the application's stub made it: a generated stub's is a
  // protobuf, a generic stub's a ByteBuffer, and nothing here tells which.
  grpc::Status FillMessage(void* message) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (registry_->options().generic_messages) {
      *static_cast<grpc::ByteBuffer*>(message) = result_.reply;
      return grpc::Status::OK;
    }
    grpc::ProtoBufferReader reader(&result_.reply);
    if (static_cast<google::protobuf::MessageLite*>(message)
            ->ParseFromZeroCopyStream(&reader)) {
      return grpc::Status::OK;
    }
    return grpc::Status(grpc::StatusCode::INTERNAL,
                        absl::StrCat(method_name_, ": reply does not parse"));
  }

  const std::shared_ptr<Registry> registry_;
  Method& method_;
  const void* const factory_;
  grpc::ClientContext& context_;
  const std::string method_name_;

  absl::Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<UnaryCall> call_ ABSL_GUARDED_BY(mutex_);
  // Batches of the application that wait for the result.
  std::vector<InterceptorBatchMethods*> waiting_ ABSL_GUARDED_BY(mutex_);
  bool has_result_ ABSL_GUARDED_BY(mutex_) = false;
  UnaryResult result_ ABSL_GUARDED_BY(mutex_);
};

// A call that runs natively, unless the breaker refuses it. gRPC may run the
// batches of a stream on several threads at once. Thread-safe.
class ObservingInterceptor final : public Interceptor {
 public:
  ObservingInterceptor(std::shared_ptr<Registry> registry, Method& method,
                       ClientRpcInfo* info)
      : registry_(std::move(registry)),
        method_(method),
        context_(*info->client_context()),
        method_name_(info->method()),
        client_streams_(info->type() == ClientRpcInfo::Type::CLIENT_STREAMING ||
                        info->type() == ClientRpcInfo::Type::BIDI_STREAMING) {}

  void Intercept(InterceptorBatchMethods* batch) override {
    if (Has(batch, InterceptionHookPoints::PRE_SEND_CANCEL)) {
      cancelled_.store(true, std::memory_order_relaxed);
      return;
    }
    if (rejected_.load(std::memory_order_acquire)) {
      // First, because the batches of a hijacked CQ stream claim again and
      // again to send initial metadata.
      FailOperations(batch);
    } else if (Has(batch, InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      Environment& environment = registry_->environment();
      permit_ = method_.breaker().TryAcquire(environment.Now());
      if (!permit_.admitted()) return Reject(batch);
      StartTimeout();
      admitted_.store(true, std::memory_order_release);
    } else if (Has(batch, InterceptionHookPoints::POST_RECV_STATUS)) {
      OnStatus(batch);
    }
    started_.store(true, std::memory_order_relaxed);
    batch->Proceed();
  }

 private:
  void Reject(InterceptorBatchMethods* batch) {
    const Rejection rejection = permit_.rejection();
    status_ = MakeRejectionStatus(method_name_, rejection);
    notes_.AddRejection(rejection);
    NotifyFinalFailure(status_);
    rejected_.store(true, std::memory_order_release);
    FailSend(batch);
    // A corked stream's receive operations reach the core before its initial
    // metadata, and would wait there for ever.
    if (started_.load(std::memory_order_relaxed)) context_.TryCancel();
    // Enters Intercept again, with the receive operations of this batch.
    batch->Hijack();
  }

  void StartTimeout() {
    const std::optional<absl::Duration>& timeout = method_.policy().timeout;
    if (timeout.has_value() &&
        context_.deadline() == std::chrono::system_clock::time_point::max()) {
      timeout_.emplace(*timeout, &context_, registry_->environment());
    }
  }

  // Not for calls with one request, whose send shares a batch with what
  // delivers the status.
  void FailSend(InterceptorBatchMethods* batch) {
    if (client_streams_ &&
        Has(batch, InterceptionHookPoints::PRE_SEND_MESSAGE)) {
      batch->FailHijackedSendMessage();
    }
  }

  void FailOperations(InterceptorBatchMethods* batch) {
    FailSend(batch);
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

  void OnStatus(InterceptorBatchMethods* batch) {
    // A corked stream can be cancelled before, or just while, it starts.
    if (!admitted_.load(std::memory_order_acquire)) return;
    Environment& environment = registry_->environment();
    grpc::Status status = *batch->GetRecvStatus();
    if (status.ok() && Has(batch, InterceptionHookPoints::POST_RECV_MESSAGE) &&
        batch->GetRecvMessage() == nullptr) {
      // What the application is going to be told.
      status = NoMessageReturned();
    }
    if (status.ok()) {
      permit_.Record(Outcome::kSuccess, environment.Now());
      return;
    }
    const bool cancelled = cancelled_.load(std::memory_order_relaxed) &&
                           status.error_code() == grpc::StatusCode::CANCELLED;
    const bool timed_out =
        cancelled && timeout_.has_value() && timeout_->expired();
    if (timed_out) {
      status = DeadlineExceeded();
      *batch->GetRecvStatus() = status;
    }
    ErrorOrigin origin;
    origin.cancelled_by_caller = cancelled && !timed_out;
    const ErrorClass error =
        ClassifyAttempt(method_.policy(), status, context_, origin);
    permit_.Record(
        error.outcome, environment.Now(),
        DetailsOf(error, PushbackOf(*batch->GetRecvTrailingMetadata())));
    method_.RecordError({status.error_code(), status.error_message(), error,
                         environment.WallNow()});
    if (!origin.cancelled_by_caller) NotifyFinalFailure(status);
  }

  void NotifyFinalFailure(const grpc::Status& status) const {
    const auto& hook = method_.policy().on_final_failure;
    if (hook == nullptr) return;
    const bool rejected = !permit_.admitted();
    hook({method_name_, nullptr, status, rejected ? 0 : 1, rejected});
  }

  const std::shared_ptr<Registry> registry_;
  Method& method_;
  grpc::ClientContext& context_;
  const std::string method_name_;
  const bool client_streams_;

  // Set before admitted_ or rejected_ is.
  CircuitBreaker::Permit permit_;
  std::optional<CallTimeout> timeout_;
  std::atomic<bool> admitted_{false};
  std::atomic<bool> started_{false};
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> rejected_{false};
  std::atomic<bool> status_filled_{false};
  // Set before rejected_ is.
  grpc::Status status_;
  Notes notes_;
};

// Whether a unary call under this policy can run natively.
bool CanRunNatively(const Policy& policy) {
  return policy.retry.max_retries == 0 && policy.fallback.function == nullptr &&
         policy.on_final_failure == nullptr &&
         !policy.attempt_timeout.has_value() &&
         !policy.wait_for_ready.has_value() && policy.authority.empty() &&
         !policy.wait_when_rejected;
}

}  // namespace

Interceptor* MakeCallInterceptor(const std::shared_ptr<Registry>& registry,
                                 const void* factory, ClientRpcInfo* info) {
  Method& method = registry->Find(info->method());
  if (info->type() == ClientRpcInfo::Type::UNARY &&
      !CanRunNatively(method.policy())) {
    return new HijackingInterceptor(registry, method, factory, info);
  }
  return new ObservingInterceptor(registry, method, info);
}

}  // namespace internal
}  // namespace grpc_breaker
