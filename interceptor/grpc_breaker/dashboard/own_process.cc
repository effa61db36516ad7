#include "grpc_breaker/dashboard/own_process.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/support/channel_arguments.h"

namespace grpc_breaker::internal {
namespace {

// Says which of the callers a change is from. Nobody else can send it: there is
// no other way to this service.
constexpr char kCallerKey[] = "grpc-breaker-dashboard-caller";

}  // namespace

OwnProcess::FromCaller::FromCaller(OwnProcess& process,
                                   std::shared_ptr<const HttpCaller> caller,
                                   grpc::ClientContext& context)
    : process_(process), number_(process.Remember(std::move(caller))) {
  context.AddMetadata(kCallerKey, number_);
}

OwnProcess::FromCaller::~FromCaller() { process_.Forget(number_); }

OwnProcess::OwnProcess(AdminServiceOptions options) {
  // Who looks is asked at the door; here the page's own model looks.
  options.authorize_reads = false;
  if (options.authorizer != nullptr) {
    options.authorizer = [this, authorizer = std::move(options.authorizer)](
                             AdminRequest request) {
      const std::shared_ptr<const HttpCaller> caller = CallerOf(request);
      if (caller == nullptr) {
        return AdminDecision::Deny("who asked has gone");
      }
      caller->Describe(&request);
      return authorizer(request);
    };
  }
  service_ = MakeAdminService(std::move(options));
  grpc::ServerBuilder builder;
  builder.RegisterService(service_.get());
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) return;
  grpc::ChannelArguments arguments;
  // A page has a known number of breakers, but messages of errors are long.
  arguments.SetMaxReceiveMessageSize(-1);
  channel_ = server_->InProcessChannel(arguments);
}

OwnProcess::~OwnProcess() {
  channel_.reset();
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
}

std::string OwnProcess::Remember(std::shared_ptr<const HttpCaller> caller) {
  MutexLock lock(mutex_);
  std::string number = absl::StrCat(++last_number_);
  callers_.emplace(number, std::move(caller));
  return number;
}

void OwnProcess::Forget(const std::string& number) {
  MutexLock lock(mutex_);
  callers_.erase(number);
}

std::shared_ptr<const HttpCaller> OwnProcess::CallerOf(
    const AdminRequest& request) {
  const auto sent = request.metadata->find(kCallerKey);
  if (sent == request.metadata->end()) return nullptr;
  MutexLock lock(mutex_);
  const auto found =
      callers_.find(std::string(sent->second.data(), sent->second.size()));
  return found == callers_.end() ? nullptr : found->second;
}

}  // namespace grpc_breaker::internal
