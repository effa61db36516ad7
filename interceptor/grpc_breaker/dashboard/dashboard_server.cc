#include "grpc_breaker/dashboard_server.h"

#include <httplib.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "google/protobuf/util/json_util.h"
#include "grpc_breaker/admin/admin_guard.h"
#include "grpc_breaker/admin/breaker_filter.h"
#include "grpc_breaker/admin/reach.h"
#include "grpc_breaker/base/nearest_name.h"
#include "grpc_breaker/dashboard/change_request.h"
#include "grpc_breaker/dashboard/http_caller.h"
#include "grpc_breaker/dashboard/http_gate.h"
#include "grpc_breaker/dashboard/json_text.h"
#include "grpc_breaker/dashboard/own_process.h"
#include "grpc_breaker/dashboard/page.h"
#include "grpc_breaker/dashboard/process_calls.h"
#include "grpc_breaker/dashboard/random_text.h"
#include "grpc_breaker/dashboard/refusal.h"
#include "grpc_breaker/dashboard/slots.h"
#include "grpc_breaker/dashboard/told_views.h"
#include "grpc_breaker/dashboard/view_json.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/fleet/fleet.h"

namespace grpc_breaker {
namespace {

using internal::Fleet;
using internal::FleetSnapshot;
using internal::HttpCaller;
using internal::OwnProcess;
using internal::ProcessCalls;
using internal::Refusal;
using internal::Refuse;
using internal::Slots;

// Each request has a thread to itself while it is answered; those that may take
// some time have only so many.
constexpr size_t kThreads = 16;
constexpr int kMostWaiting = 8;
constexpr int kMostAsking = 4;

// How long a page that has all that there is waits for more, and how soon it is
// to come again where too many wait.
constexpr absl::Duration kLongestWait = absl::Milliseconds(1500);
constexpr absl::Duration kRetry = absl::Seconds(1);
// How soon it is noticed that the server ends.
constexpr absl::Duration kWaitStep = absl::Milliseconds(100);

// For what a client sends and reads next, of the little that it may send.
constexpr time_t kFirstByteSeconds = 2;
constexpr time_t kClientSeconds = 5;
constexpr size_t kMostBodyBytes = size_t{16} * 1024;

constexpr char kJsonType[] = "application/json";
constexpr char kThisProcess[] = "this process";

absl::Status CheckOptions(const DashboardOptions& options) {
  absl::Status status = internal::CheckHostNames(options.host_names);
  if (!status.ok()) return status;
  const auto reach = internal::ReachOf(options.address);
  if (reach != internal::Reach::kLoopback &&
      (reach != internal::Reach::kNetwork || options.host_names.empty())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "address: must be a numeric loopback address with a port, such as "
        "127.0.0.1:0 or [::1]:8080; with host_names it may be any numeric one; "
        "got \"",
        absl::CHexEscape(options.address), "\""));
  }
  if (options.processes.empty() && options.allow_changes &&
      options.authorizer == nullptr) {
    return absl::InvalidArgumentError(
        "allow_changes: needs an authorizer, which is not set: of this process "
        "it decides who may change breakers");
  }
  return absl::OkStatus();
}

// httplib ignores SIGPIPE for all of the process when it makes a server. That
// is the application's to decide; the server's own threads block it instead.
std::unique_ptr<httplib::Server> MakeHttpServer() {
  struct sigaction before;
  sigaction(SIGPIPE, nullptr, &before);
  auto server = std::make_unique<httplib::Server>();
  sigaction(SIGPIPE, &before, nullptr);
  return server;
}

void BlockBrokenPipes() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

// With its style and script; what differs from answer to answer is left.
std::string AssemblePage() {
  return absl::StrReplaceAll(internal::kPageHtml,
                             {{"{{style}}", internal::kPageStyle},
                              {"{{script}}", internal::kPageScript}});
}

// What browsers are to keep from doing with any answer.
void SetHeaders(httplib::Response& response) {
  response.set_header("Cache-Control", "no-store");
  response.set_header("Content-Security-Policy",
                      "default-src 'none'; frame-ancestors 'none'");
  response.set_header("Cross-Origin-Opener-Policy", "same-origin");
  response.set_header("Cross-Origin-Resource-Policy", "same-origin");
  response.set_header("Referrer-Policy", "no-referrer");
  response.set_header("X-Content-Type-Options", "nosniff");
  response.set_header("X-Frame-Options", "DENY");
}

// Only what the page itself has may run, and it may talk to this server only.
std::string PagePolicy(const std::string& nonce) {
  return absl::StrCat("default-src 'none'; script-src 'nonce-", nonce,
                      "'; style-src 'nonce-", nonce,
                      "'; connect-src 'self'; img-src data:; base-uri 'none'; "
                      "form-action 'none'; frame-ancestors 'none'; "
                      "require-trusted-types-for 'script'; trusted-types "
                      "'none'");
}

void Answer(const Refusal& refusal, httplib::Response* response) {
  response->status = refusal.code;
  if (refusal.code == 405) response->set_header("Allow", "GET, HEAD, POST");
  response->set_content(internal::ToJson(refusal), kJsonType);
}

class Server : public DashboardServer {
 public:
  explicit Server(DashboardOptions options)
      : options_(std::move(options)),
        guard_(options_.authorizer, options_.authorize_reads),
        epoch_(internal::RandomText()),
        token_(internal::RandomText()),
        page_(AssemblePage()) {}

  ~Server() override {
    ending_.store(true, std::memory_order_relaxed);
    for (const auto& process : calls_) process->Cancel();
    if (listener_.joinable()) {
      http_->stop();
      listener_.join();
    }
  }

  absl::Status Start() {
    absl::Status status = Follow();
    if (!status.ok()) return status;
    status = Bind();
    if (!status.ok()) return status;
    gate_.emplace(address_, options_.host_names, token_);
    Route();
    listener_ = std::thread([this] {
      BlockBrokenPipes();  // The threads for requests inherit that.
      http_->listen_after_bind();
      ended_.store(true, std::memory_order_relaxed);
    });
    // stop() before it runs would be in vain.
    while (!http_->is_running() && !ended_.load(std::memory_order_relaxed)) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    return http_->is_running() ? absl::OkStatus()
                               : absl::UnavailableError(absl::StrCat(
                                     "address: cannot listen on ", address_));
  }

  const std::string& address() const override { return address_; }

  std::string url() const override {
    // What is open to all is found by any of its names.
    absl::string_view host = address_;
    const std::string port = address_.substr(address_.rfind(':'));
    if (absl::ConsumePrefix(&host, "0.0.0.0:")) {
      return absl::StrCat("http://127.0.0.1", port, "/");
    }
    if (absl::ConsumePrefix(&host, "[::]:")) {
      return absl::StrCat("http://[::1]", port, "/");
    }
    return absl::StrCat("http://", address_, "/");
  }

 private:
  // Begins to ask the processes.
  absl::Status Follow() {
    if (options_.processes.empty()) {
      own_ = std::make_unique<OwnProcess>(options_);
      if (own_->channel() == nullptr) {
        return absl::UnavailableError("cannot serve this process to itself");
      }
      options_.processes.push_back({kThisProcess, own_->channel(), nullptr});
    }
    std::vector<internal::FleetProcess> followed;
    for (const DashboardProcess& process : options_.processes) {
      followed.push_back({process.name, process.channel, process.prepare});
    }
    internal::FleetOptions fleet_options;
    fleet_options.filter = options_.filter;
    fleet_options.timeout = options_.timeout;
    fleet_options.environment = options_.environment;
    absl::StatusOr<std::unique_ptr<Fleet>> fleet =
        Fleet::Start(std::move(followed), fleet_options);
    if (!fleet.ok()) return fleet.status();
    fleet_ = *std::move(fleet);
    for (const DashboardProcess& process : options_.processes) {
      calls_.push_back(std::make_unique<ProcessCalls>(process, own_.get(),
                                                      options_.timeout));
    }
    return absl::OkStatus();
  }

  absl::Status Bind() {
    http_ = MakeHttpServer();
    // Without SO_REUSEPORT, which httplib would set: a second process could
    // listen on the port as well and get half of the requests.
    http_->set_socket_options([](int socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    });
    http_->new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    // A connection has a thread as long as it lasts: each is for one request.
    http_->set_keep_alive_max_count(1);
    // Browsers open connections that they may need; they need not wait long.
    http_->set_keep_alive_timeout(kFirstByteSeconds);
    http_->set_read_timeout(kClientSeconds);
    http_->set_write_timeout(kClientSeconds);
    http_->set_payload_max_length(kMostBodyBytes);
    http_->set_tcp_nodelay(true);

    const size_t colon = options_.address.rfind(':');
    const std::string host(absl::StripSuffix(
        absl::StripPrefix(options_.address.substr(0, colon), "["), "]"));
    int port = 0;
    if (!absl::SimpleAtoi(options_.address.substr(colon + 1), &port)) {
      return absl::InternalError("address: its port was checked before");
    }
    errno = 0;
    if (port == 0) {
      port = http_->bind_to_any_port(host);
    } else if (!http_->bind_to_port(host, port)) {
      port = -1;
    }
    if (port <= 0) {
      return absl::UnavailableError(absl::StrCat(
          "address: cannot listen on ", options_.address,
          errno == 0 ? "" : ": ", errno == 0 ? "" : std::strerror(errno)));
    }
    address_ = absl::StrCat(options_.address.substr(0, colon + 1), port);
    return absl::OkStatus();
  }

  void Route() {
    using Handled = httplib::Server::HandlerResponse;
    http_->set_pre_routing_handler(
        [this](const httplib::Request& request, httplib::Response& response) {
          SetHeaders(response);
          const std::optional<Refusal> refusal = Check(request);
          if (!refusal) return Handled::Unhandled;
          Answer(*refusal, &response);
          return Handled::Handled;
        });
    http_->set_error_handler(
        [](const httplib::Request& request, httplib::Response& response) {
          DescribeError(request, &response);
        });
    http_->Get("/", [this](const httplib::Request&, httplib::Response& reply) {
      ShowPage(&reply);
    });
    http_->Get("/api/view",
               [this](const httplib::Request& request,
                      httplib::Response& reply) { TellView(request, &reply); });
    http_->Get("/api/breaker", [this](const httplib::Request& request,
                                      httplib::Response& reply) {
      TellBreaker(request, &reply);
    });
    http_->Post("/api/change",
                [this](const httplib::Request& request,
                       httplib::Response& reply) { Change(request, &reply); });
  }

  // What can be said before the body is read.
  std::optional<Refusal> Check(const httplib::Request& request) const {
    if (auto refusal = gate_->Check(request)) return refusal;
    if (request.method == "POST") {
      if (!options_.allow_changes) {
        return Refusal{403, "method", "POST",
                       "this dashboard was started without permission to "
                       "change anything"};
      }
      return gate_->CheckChange(request);
    }
    if (!guard_.guards_reads()) return std::nullopt;
    const HttpCaller caller(request);
    for (AdminRequest& question : ReadsOf(request)) {
      caller.Describe(&question);
      const grpc::Status status = guard_.Check(question).status;
      if (!status.ok()) return Refuse(status);
    }
    return std::nullopt;
  }

  // What the admin service would be asked for, to be told as much.
  std::vector<AdminRequest> ReadsOf(const httplib::Request& request) const {
    AdminRequest read;
    if (request.path == "/api/breaker") {
      read.rpc = "GetBreaker";
      read.method = request.get_param_value("method");
      read.channel = request.get_param_value("channel");
      return {read};
    }
    read.rpc = "ListBreakers";
    read.method_prefix = options_.filter.method_prefix();
    read.channel = options_.filter.channel();
    if (request.path != "/api/view") return {read};
    AdminRequest events = read;
    events.rpc = "ListEvents";
    return {read, events};
  }

  // Of what nothing else was said about: a page that there is not, a body that
  // is too long, what is no HTTP.
  static void DescribeError(const httplib::Request& request,
                            httplib::Response* response) {
    if (!response->body.empty()) return;
    if (!response->has_header("X-Content-Type-Options")) SetHeaders(*response);
    const int code = response->status;
    if (code == 404) {
      Answer(Refuse(code, "path", request.path, "there is nothing"), response);
    } else if (code == 413) {
      Answer(
          Refuse(code, "body", request.get_header_value("Content-Length"),
                 absl::StrCat("must have at most ", kMostBodyBytes, " bytes")),
          response);
    } else {
      Answer(Refusal{code, "", "", "the request is malformed"}, response);
    }
  }

  void ShowPage(httplib::Response* response) const {
    const std::string nonce = internal::RandomText();
    response->headers.erase("Content-Security-Policy");
    response->set_header("Content-Security-Policy", PagePolicy(nonce));
    response->set_content(
        absl::StrReplaceAll(
            page_, {{"{{nonce}}", nonce},
                    {"{{changes}}", options_.allow_changes ? "yes" : "no"},
                    {"{{token}}", options_.allow_changes ? token_ : ""}}),
        "text/html; charset=utf-8");
  }

  void TellView(const httplib::Request& request, httplib::Response* response) {
    uint64_t version = 0;
    const std::string given = request.get_param_value("since");
    if (!given.empty() && !absl::SimpleAtoi(given, &version)) {
      return Answer(Refuse(400, "since", given,
                           "must be the version of an earlier answer"),
                    response);
    }
    // Nothing: the page has nothing of this server's.
    std::optional<uint64_t> since;
    if (request.get_param_value("epoch") == epoch_) since = version;
    std::shared_ptr<const FleetSnapshot> view = fleet_->snapshot();
    bool is_crowded = false;
    if (view->version == since) {
      const Slots::Slot slot(waiting_);
      is_crowded = !slot.taken();
      if (!is_crowded) view = WaitForNews(*since);
    }
    if (view->version == since) {
      response->set_content(
          internal::JsonText(
              {{"changed", false},
               {"epoch", epoch_},
               {"version", *since},
               {"retry_ms",
                is_crowded ? absl::ToInt64Milliseconds(kRetry) : 0}}),
          kJsonType);
      return;
    }
    told_.Remember(view);
    const auto before = since ? told_.Find(*since) : nullptr;
    response->set_content(internal::ViewJson(before.get(), *view, epoch_,
                                             options_.environment->Now()),
                          kJsonType);
  }

  std::shared_ptr<const FleetSnapshot> WaitForNews(uint64_t since) const {
    const absl::Time end = absl::Now() + kLongestWait;
    std::shared_ptr<const FleetSnapshot> view;
    do {
      view = fleet_->WaitForChange(since, kWaitStep);
    } while (view->version == since && absl::Now() < end &&
             !ending_.load(std::memory_order_relaxed));
    return view;
  }

  void TellBreaker(const httplib::Request& request,
                   httplib::Response* response) {
    const Slots::Slot slot(asking_);
    if (!slot.taken()) return Answer(TooMany(), response);
    const std::string method = request.get_param_value("method");
    if (method.empty()) {
      return Answer(Refuse(400, "method", method, "must be there"), response);
    }
    const std::string channel = request.get_param_value("channel");
    if (const auto refusal = CheckFilter(channel, method)) {
      return Answer(*refusal, response);
    }
    const ProcessCalls* const process =
        FindProcess(request.get_param_value("process"), response);
    if (process == nullptr) return;
    admin::v1::Breaker breaker;
    const grpc::Status status = process->GetBreaker(channel, method, &breaker);
    if (!status.ok()) return Answer(Refuse(status), response);
    std::string json;
    if (!google::protobuf::util::MessageToJsonString(breaker, &json).ok()) {
      return Answer(Refusal{502, "", "", "the answer is not UTF-8"}, response);
    }
    response->set_content(json, kJsonType);
  }

  void Change(const httplib::Request& request, httplib::Response* response) {
    const Slots::Slot slot(asking_);
    if (!slot.taken()) return Answer(TooMany(), response);
    internal::ChangeRequest change;
    Refusal refusal;
    if (!internal::ParseChange(request.body, &change, &refusal)) {
      return Answer(refusal, response);
    }
    if (const auto left_out = CheckFilter(change.channel, change.method)) {
      return Answer(*left_out, response);
    }
    const ProcessCalls* const process = FindProcess(change.process, response);
    if (process == nullptr) return;
    auto caller = std::make_shared<const HttpCaller>(request);
    // Of this process the admin service asks, and tells of who was refused.
    if (own_ == nullptr && options_.authorizer != nullptr) {
      const AdminDecision decision = guard_.Check(Question(change, *caller));
      if (!decision.status.ok()) {
        return Answer(Refuse(decision.status), response);
      }
      if (!decision.identity.empty()) change.actor = decision.identity;
    }
    admin::v1::ChangeResponse changed;
    const grpc::Status status =
        process->Change(change, std::move(caller), &changed);
    if (!status.ok()) return Answer(Refuse(status), response);
    response->set_content(internal::JsonText({{"count", changed.count()}}),
                          kJsonType);
    fleet_->Refresh();
  }

  static AdminRequest Question(const internal::ChangeRequest& change,
                               const HttpCaller& caller) {
    AdminRequest question;
    question.rpc = internal::RpcOf(change.action);
    question.is_change = true;
    question.actor = change.actor;
    question.reason = change.reason;
    question.method = change.method;
    question.channel = change.channel;
    question.breakers.push_back({change.channel, change.method});
    caller.Describe(&question);
    return question;
  }

  // Whether the page has the breaker at all, in whatever state, which may be
  // another one by now.
  std::optional<Refusal> CheckFilter(const std::string& channel,
                                     const std::string& method) const {
    const internal::BreakerFilter filter(options_.filter.channel(),
                                         options_.filter.method_prefix());
    if (!filter.MatchesChannel(channel)) {
      return Refuse(404, "channel", channel, "this page does not have it");
    }
    if (!filter.MatchesMethod(method)) {
      return Refuse(404, "method", method, "this page does not have it");
    }
    return std::nullopt;
  }

  static Refusal TooMany() {
    return {503, "", "",
            absl::StrCat("more than ", kMostAsking,
                         " requests at once ask a process; try again")};
  }

  // Null: `*response` says so.
  const ProcessCalls* FindProcess(const std::string& name,
                                  httplib::Response* response) const {
    std::vector<std::string> names;
    for (const auto& process : calls_) {
      if (process->name() == name) return process.get();
      names.push_back(process->name());
    }
    Answer(Refuse(404, "process", name,
                  absl::StrCat("there is no such process",
                               internal::NearestNameHint(name, names))),
           response);
    return nullptr;
  }

  DashboardOptions options_;
  const internal::AdminGuard guard_;
  const std::string epoch_;  // Which server it is that counts versions.
  const std::string token_;
  const std::string page_;
  std::optional<internal::HttpGate> gate_;
  std::string address_;

  // Ends last of these: the others talk to it.
  std::unique_ptr<OwnProcess> own_;
  std::unique_ptr<Fleet> fleet_;
  std::vector<std::unique_ptr<ProcessCalls>> calls_;

  internal::ToldViews told_;
  Slots waiting_{kMostWaiting};
  Slots asking_{kMostAsking};
  std::atomic<bool> ending_{false};
  std::atomic<bool> ended_{false};
  std::unique_ptr<httplib::Server> http_;
  std::thread listener_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<DashboardServer>> DashboardServer::Start(
    DashboardOptions options) {
  absl::Status status = CheckOptions(options);
  if (!status.ok()) return status;
  auto server = std::make_unique<Server>(std::move(options));
  status = server->Start();
  if (!status.ok()) return status;
  return server;
}

}  // namespace grpc_breaker
