#ifndef GRPC_BREAKER_DASHBOARD_SERVER_H_
#define GRPC_BREAKER_DASHBOARD_SERVER_H_

// A page that shows every breaker as it is now: of this process, or of others
// that have the admin service. It is one page of HTML that loads nothing else,
// over plain HTTP.
//
//   auto dashboard = grpc_breaker::DashboardServer::Start();
//   if (!dashboard.ok()) ...
//   LOG(INFO) << "breakers: " << (*dashboard)->url();
//
// It is open to every user of the machine, as a loopback port is, and to nobody
// else. Pages of other sites, which a browser on this machine may show, get
// nothing: a request must name this server as its host, so that no other name
// can be made to lead here (DNS rebinding), and must not come from another
// origin. Who looks can be guarded by an authorizer (authorize_reads).
//
// It only shows, unless `allow_changes` is set. Then what the page is asked to
// do must come from the page itself, which knows a token of the server's; and
// it is done as the admin service of the process does it, for whom that
// service's authorizer allows to.
//
// HTTP is spoken by cpp-httplib; this library is built where that is found, and
// its headers are needed by nobody else. Who cannot do without TLS puts a proxy
// in front (`host_names`).
//
// Lifetime: directory and environment outlive the server, and so do the
// environments of the channels that are shown. What is asked for a process
// keeps its channel.
//
// Each process is asked every second, and whenever something changes there,
// also while nobody looks at the page, so that who comes sees the last two
// minutes. Memory: for each breaker of each process up to 19 KB of history,
// which are 150 points, and its message, also those of the last 32 views that
// pages got; the latest 1000 events.
//
// Thread-safe. No lock is held while the authorizer, a listener or `prepare`
// runs. 17 threads for HTTP and one for each process, which mostly wait, and
// those of gRPC.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/admin_service.h"
#include "grpc_breaker/export.h"
#include "grpcpp/client_context.h"
#include "grpcpp/impl/channel_interface.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker {

// A process that has the admin service.
struct DashboardProcess {
  // As the page has it; each once, and not empty.
  std::string name;

  // Not null, and without breakers of its own.
  std::shared_ptr<grpc::ChannelInterface> channel;

  // Adds what each request needs, such as a token, before it is sent; an error
  // stands for the answer. Empty: nothing is needed. Does not block; called on
  // several threads.
  std::function<grpc::Status(grpc::ClientContext& context)> prepare;
};

// What the admin service of this process is told, where that is what the page
// shows, and the page's own.
//
// The authorizer is asked about what comes by HTTP: AdminRequest::peer is the
// browser's or the proxy's address, and `metadata` has the headers of its
// request, their names in small letters. So AllowBearerTokens() works where
// something in front of this server sends the header "authorization". With
// `authorize_reads` it is asked for what the request would be by gRPC:
// "ListBreakers" of all that `filter` chooses for the page, that and
// "ListEvents" for what it shows, "GetBreaker" of one for details.
struct DashboardOptions : AdminServiceOptions {
  // A numeric loopback address with a port, of which 0 chooses a free one; with
  // `host_names` any numeric address.
  std::string address = "127.0.0.1:0";

  // Under which names the server is reached beside those of loopback, as
  // browsers say them: "breakers.example.com", or with a port that is not its
  // own, "breakers.example.com:8443". They may be names of a proxy that speaks
  // TLS. With any of them given, `address` may be open to the network: to
  // whoever can reach it, unless authorizer and authorize_reads say otherwise.
  std::vector<std::string> host_names;

  // Whether breakers may be held open or closed, and reset, from the page. For
  // this process there must be an authorizer, which decides. Of other processes
  // their own admin services decide, and the authorizer before them if there is
  // one.
  bool allow_changes = false;

  // Which breakers and changes of state the page has at all; of others it gets
  // no details, and changes none. States choose what is shown, nothing else.
  admin::v1::BreakerFilter filter;

  // How long an answer of a process may take, from 1ms to 24h.
  absl::Duration timeout = absl::Seconds(5);

  // Whose breakers are shown. Empty: those of this process, and the other
  // options are for its admin service. Else directory, listeners and
  // show_error_messages do not matter.
  std::vector<DashboardProcess> processes;
};

class GRPC_BREAKER_EXPORT DashboardServer {
 public:
  // An address, host name or process that cannot be is an InvalidArgumentError
  // that names it; what the system refuses is an UnavailableError. A process
  // that does not answer is none: the page says so.
  static absl::StatusOr<std::unique_ptr<DashboardServer>> Start(
      DashboardOptions options = DashboardOptions());

  // Ends what is under way, requests that wait for news as well.
  virtual ~DashboardServer() = default;

  // "127.0.0.1:34567", with the port that was chosen.
  virtual const std::string& address() const = 0;

  // Where a browser on this machine finds the page: "http://127.0.0.1:34567/".
  virtual std::string url() const = 0;
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_DASHBOARD_SERVER_H_
