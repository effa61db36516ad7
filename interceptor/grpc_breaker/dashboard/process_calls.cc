#include "grpc_breaker/dashboard/process_calls.h"

#include <optional>
#include <utility>

#include "absl/time/clock.h"
#include "grpcpp/client_context.h"

namespace grpc_breaker::internal {
namespace {

using Action = ChangeRequest::Action;

}  // namespace

std::string RpcOf(Action action) {
  switch (action) {
    case Action::kOpen:
      return "ForceOpen";
    case Action::kClose:
      return "ForceClose";
    case Action::kReset:
      break;
  }
  return "Reset";
}

ProcessCalls::ProcessCalls(const DashboardProcess& process, OwnProcess* own,
                           absl::Duration timeout)
    : name_(process.name),
      prepare_(process.prepare),
      own_(own),
      timeout_(timeout),
      stub_(admin::v1::CircuitBreakerAdmin::NewStub(process.channel)) {}

grpc::Status ProcessCalls::GetBreaker(const std::string& channel,
                                      const std::string& method,
                                      admin::v1::Breaker* breaker) const {
  CallsUnderWay::Call call(calls_);
  grpc::ClientContext& context = call.context();
  if (grpc::Status status = Prepare(context); !status.ok()) return status;
  admin::v1::GetBreakerRequest request;
  request.set_channel(channel);
  request.set_method(method);
  return stub_->GetBreaker(&context, request, breaker);
}

grpc::Status ProcessCalls::Change(const ChangeRequest& request,
                                  std::shared_ptr<const HttpCaller> caller,
                                  admin::v1::ChangeResponse* response) const {
  CallsUnderWay::Call call(calls_);
  grpc::ClientContext& context = call.context();
  if (grpc::Status status = Prepare(context); !status.ok()) return status;
  std::optional<OwnProcess::FromCaller> from;
  if (own_ != nullptr) from.emplace(*own_, std::move(caller), context);
  const auto describe = [&](auto* message) {
    message->mutable_target()->set_channel(request.channel);
    message->mutable_target()->set_method(request.method);
    message->set_reason(request.reason);
    message->set_actor(request.actor);
  };
  if (request.action == Action::kReset) {
    admin::v1::ResetRequest reset;
    describe(&reset);
    return stub_->Reset(&context, reset, response);
  }
  admin::v1::HoldRequest hold;
  describe(&hold);
  if (request.ttl != absl::ZeroDuration()) {
    hold.mutable_ttl()->set_seconds(absl::ToInt64Seconds(request.ttl));
  }
  return request.action == Action::kOpen
             ? stub_->ForceOpen(&context, hold, response)
             : stub_->ForceClose(&context, hold, response);
}

grpc::Status ProcessCalls::Prepare(grpc::ClientContext& context) const {
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout_));
  return prepare_ == nullptr ? grpc::Status::OK : prepare_(context);
}

}  // namespace grpc_breaker::internal
