#include "grpc_breaker/rpc/call_timeout.h"

#include <utility>

#include "grpc_breaker/rpc/classify.h"

namespace grpc_breaker::internal {
namespace {

// A reference to a call of the core, and to what it needs to be let go.
class CallReference {
 public:
  CallReference(grpc_call* call, std::shared_ptr<void> library)
      : library_(std::move(library)), call_(call) {
    grpc_call_ref(call_);
  }
  CallReference(CallReference&& other) noexcept
      : library_(std::move(other.library_)),
        call_(std::exchange(other.call_, nullptr)) {}
  ~CallReference() {
    if (call_ != nullptr) grpc_call_unref(call_);
  }

  void EndByDeadline() const {
    const grpc::Status status = DeadlineExceeded();
    // Nothing happens if the call has ended.
    grpc_call_cancel_with_status(
        call_, static_cast<grpc_status_code>(status.error_code()),
        status.error_message().c_str(), nullptr);
  }

 private:
  std::shared_ptr<void> library_;
  grpc_call* call_;
};

}  // namespace

CallTimeout::CallTimeout(absl::Duration timeout, grpc_call* call,
                         std::shared_ptr<void> library,
                         Environment& environment)
    : environment_(environment),
      timer_(environment.RunAt(
          TimeAfter(environment.Now(), timeout),
          [reference = CallReference(call, std::move(library))] {
            reference.EndByDeadline();
          })) {}

CallTimeout::~CallTimeout() { environment_.Cancel(timer_); }

}  // namespace grpc_breaker::internal
