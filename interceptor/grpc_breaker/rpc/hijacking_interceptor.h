#ifndef GRPC_BREAKER_RPC_HIJACKING_INTERCEPTOR_H_
#define GRPC_BREAKER_RPC_HIJACKING_INTERCEPTOR_H_

// A unary call that UnaryCall makes: its request is copied, and the result is
// filled into the application's receive operations. One without a request, or
// with a reply of a type that is not known (batch_access.h), runs natively
// whatever its policy says.
//
// Thread-safe.

#include <atomic>
#include <memory>

#include "grpc_breaker/rpc/batch_access.h"
#include "grpc_breaker/rpc/call_info.h"
#include "grpc_breaker/rpc/observing_interceptor.h"
#include "grpc_breaker/rpc/unary_call.h"
#include "grpcpp/support/client_interceptor.h"

namespace grpc_breaker::internal {

class HijackingInterceptor final : public grpc::experimental::Interceptor {
 public:
  explicit HijackingInterceptor(CallInfo call)
      : call_(std::make_shared<UnaryCall>(std::move(call))) {}

  void Intercept(Batch* batch) override;

 private:
  const CallInfo& info() const { return call_->info(); }

  void RunNatively(Batch* batch);
  void StartCall(Batch* batch);
  void Cancel();
  void Deliver(Batch* batch);
  void DeliverReply(Batch* batch);
  bool HasInitialMetadata(Batch* batch) const;

  const std::shared_ptr<UnaryCall> call_;

  // Null unless the call runs natively.
  std::unique_ptr<ObservingInterceptor> native_owner_;
  std::atomic<ObservingInterceptor*> native_{nullptr};
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_HIJACKING_INTERCEPTOR_H_
