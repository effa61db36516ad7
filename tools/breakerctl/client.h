#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_CLIENT_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_CLIENT_H_

// A connection to the admin service of one process.

#include <chrono>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpc_breaker/fleet/calls_under_way.h"
#include "grpcpp/grpcpp.h"
#include "tools/breakerctl/output.h"

namespace grpc_breaker::breakerctl {

// What flags say of the process.
struct ConnectionFlags {
  std::string address;
  // TLS is spoken if it is asked for, or one of the next two is there. In PEM;
  // empty: the system's authorities, no certificate.
  bool tls = false;
  std::string authorities;
  std::string certificate;
  std::string key;
  // Whom the server's certificate is to be for; empty: the host of `address`.
  std::string server_name;
  // Sent with every request; empty: none.
  std::string token;
  // For an answer. In (0, 24h].
  absl::Duration timeout = absl::Seconds(5);
};

// Thread-safe.
class Client {
 public:
  using Event = admin::v1::WatchBreakersResponse;

  explicit Client(const ConnectionFlags& flags);

  const std::string& address() const { return address_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  // Adds the token, if there is one, and it may be sent there.
  grpc::Status Authorize(grpc::ClientContext& context) const;

  // Ends what Call() waits for, and what it would wait for later, by CANCELLED.
  void Cancel() { calls_.Cancel(); }

  // An RPC of the service that has one request and one answer.
  template <typename Request, typename Response>
  using Rpc = grpc::Status (admin::v1::CircuitBreakerAdmin::Stub::*)(
      grpc::ClientContext* context, const Request& request, Response* response);

  // As many breakers or events as the service gives at once.
  static constexpr int kPageSize = 1000;

  template <typename Request, typename Response>
  grpc::Status Call(Rpc<Request, Response> rpc, const Request& request,
                    Response* response) const {
    internal::CallsUnderWay::Call call(calls_);
    grpc::ClientContext& context = call.context();
    if (grpc::Status status = Authorize(context); !status.ok()) return status;
    context.set_deadline(Deadline());
    return (stub_.get()->*rpc)(&context, request, response);
  }

  // Into `all`, as one page.
  template <typename Request, typename Response>
  grpc::Status CallForAllPages(Rpc<Request, Response> rpc, Request request,
                               Response* all) const {
    request.set_page_size(kPageSize);
    do {
      Response page;
      grpc::Status status = Call(rpc, request, &page);
      if (!status.ok()) return status;
      request.set_page_token(page.next_page_token());
      page.clear_next_page_token();
      all->MergeFrom(page);
    } while (!request.page_token().empty());
    return grpc::Status::OK;
  }

  // All pages of them.
  grpc::Status List(const admin::v1::BreakerFilter& filter,
                    admin::v1::ListBreakersResponse* all) const;

  // `channel` may be empty.
  grpc::Status Get(const std::string& method, const std::string& channel,
                   admin::v1::Breaker* breaker) const;

  // All pages of them.
  grpc::Status ListChannels(admin::v1::ListChannelsResponse* all) const;

  // `name` may be empty.
  grpc::Status GetChannel(const std::string& name,
                          admin::v1::Channel* channel) const;

  // Tells of events until `on_event` answers false, and then is OK, or until
  // the connection ends.
  grpc::Status Watch(const admin::v1::BreakerFilter& filter,
                     absl::FunctionRef<bool(const Event&)> on_event) const;

 private:
  std::chrono::system_clock::time_point Deadline() const;

  const std::string address_;
  const absl::Duration timeout_;
  const std::string token_;
  const bool is_private_;  // Nobody can read what travels there.
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<admin::v1::CircuitBreakerAdmin::Stub> stub_;
  mutable internal::CallsUnderWay calls_;
};

// The exit status for an RPC that ended so, and what to say of it.
ExitCode CodeOf(const grpc::Status& status);
std::string Describe(const grpc::Status& status);

// Says what an RPC to `address` failed by.
ExitCode Fail(const grpc::Status& status, absl::string_view address);

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_CLIENT_H_
