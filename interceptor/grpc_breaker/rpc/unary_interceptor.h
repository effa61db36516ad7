#ifndef GRPC_BREAKER_RPC_UNARY_INTERCEPTOR_H_
#define GRPC_BREAKER_RPC_UNARY_INTERCEPTOR_H_

// A unary call with something to do for it: retries, a fallback, a hook, a
// limit. It goes one of three ways, as its first batch shows:
//
//   native first  The first attempt is the application's own call. If it fails,
//                 the end of its batch is held back until UnaryCall has made
//                 what further attempts there are, and their result is written
//                 over that of the first. Costs a call that succeeds nothing
//                 but its permit.
//   hijacked      UnaryCall makes all attempts, and fills their result into the
//                 application's receive operations. For policies that change
//                 how the first attempt is made, and where the application
//                 receives initial metadata before the status, so that a batch
//                 of the first attempt would be told before its failure.
//   native        Without a request, or with a reply of a type that is not
//                 known (batch_access.h), whatever the policy says.
//
// Thread-safe.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/rejection.h"
#include "grpc_breaker/rpc/added_trailers.h"
#include "grpc_breaker/rpc/batch_access.h"
#include "grpc_breaker/rpc/call_info.h"
#include "grpc_breaker/rpc/observing_interceptor.h"
#include "grpc_breaker/rpc/shared_bytes.h"
#include "grpc_breaker/rpc/unary_call.h"
#include "grpcpp/support/client_interceptor.h"

namespace grpc_breaker::internal {

class UnaryInterceptor final : public grpc::experimental::Interceptor {
 public:
  explicit UnaryInterceptor(CallInfo info) : info_(std::move(info)) {}
  ~UnaryInterceptor() override;

  void Intercept(Batch* batch) override;

 private:
  enum class Way : uint8_t {
    kUndecided,  // Or natively: see native_.
    kNativeFirst,
    kHijacked,
    kOver,  // The first attempt, that is.
  };

  void Begin(Batch* batch);
  void Cancel();

  void RunNatively(Batch* batch);

  bool CanStartNatively(Batch* batch) const;
  bool CallerWaits(Batch* batch) const;
  void StartNatively(Batch* batch);
  void FinishNatively(Batch* batch);

  void Hijack(Batch* batch, std::optional<Rejection> rejection);

  // Lets Cancel see the call from now on.
  UnaryCall& MakeCall();
  UnaryRequest RequestOf(SharedBytes message,
                         std::multimap<std::string, std::string> metadata);
  void Deliver(Batch* batch);
  void DeliverReply(Batch* batch);
  void DeliverInitialMetadata(Batch* batch);
  void DeliverStatus(Batch* batch);
  bool HasInitialMetadata(Batch* batch) const;

  const CallInfo info_;
  // The one that makes the call.
  const std::thread::id callers_thread_ = std::this_thread::get_id();
  std::atomic<bool> cancelled_{false};
  // Set before a batch goes on.
  Way way_ = Way::kUndecided;

  // Of a first attempt that runs natively; set before its batch goes on.
  CircuitBreaker::Permit permit_;
  MonotonicTime started_;
  SharedBytes request_;
  std::multimap<std::string, std::string> metadata_;
  void* reply_ = nullptr;

  // Once each, whatever other interceptors do.
  std::atomic<bool> reply_delivered_{false};
  std::atomic<bool> status_delivered_{false};

  // What was added to the application's trailing metadata.
  AddedTrailers added_;

  std::shared_ptr<UnaryCall> call_owner_;
  std::atomic<UnaryCall*> call_{nullptr};

  // Null unless the whole call runs natively.
  std::unique_ptr<ObservingInterceptor> native_owner_;
  std::atomic<ObservingInterceptor*> native_{nullptr};
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_UNARY_INTERCEPTOR_H_
