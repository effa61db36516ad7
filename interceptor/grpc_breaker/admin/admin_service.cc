#include "grpc_breaker/admin_service.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "grpc_breaker/admin/admin_guard.h"
#include "grpc_breaker/admin/breaker_commands.h"
#include "grpc_breaker/admin/breaker_filter.h"
#include "grpc_breaker/admin/breaker_message.h"
#include "grpc_breaker/admin/breaker_watch.h"
#include "grpc_breaker/admin/channel_message.h"
#include "grpc_breaker/admin/event_log.h"
#include "grpc_breaker/admin/request_queue.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpc_breaker/admin/violations.h"
#include "grpc_breaker/admin/watch_hub.h"
#include "grpc_breaker/base/nearest_name.h"
#include "grpc_breaker/registry.h"

namespace grpc_breaker {
namespace {

using admin::v1::Breaker;
using internal::BreakerFilter;
using internal::BreakerName;
using internal::Command;
using internal::Quoted;
using internal::Violations;

constexpr int kDefaultPageSize = 100;
constexpr int kMaxPageSize = 1000;
// For one page, however few of them match.
constexpr int kMostLookedAt = 10000;

// What a request asks for that shows something by pages.
size_t PageSize(int page_size, Violations& violations) {
  if (page_size < 0) {
    violations.Add("page_size", "at least 0", absl::StrCat(page_size));
  }
  return static_cast<size_t>(
      page_size <= 0 ? kDefaultPageSize : std::min(page_size, kMaxPageSize));
}

// A page token is the name of the last breaker that its page saw, so that it
// stays good whatever comes and goes. A method's name has no NUL in it.
std::string ToToken(absl::string_view channel, absl::string_view method) {
  return absl::WebSafeBase64Escape(
      absl::StrCat(channel, absl::string_view("\0", 1), method));
}

std::optional<BreakerName> FromToken(const std::string& token) {
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(token, &bytes)) return std::nullopt;
  const size_t end = bytes.rfind('\0');
  if (end == std::string::npos) return std::nullopt;
  return BreakerName{bytes.substr(0, end), bytes.substr(end + 1)};
}

// Behind what a page begins; at the beginning if there is no token.
std::optional<BreakerName> AfterToken(const std::string& token,
                                      absl::string_view rpc,
                                      Violations& violations) {
  if (token.empty()) return BreakerName();
  std::optional<BreakerName> after = FromToken(token);
  if (!after) {
    violations.Add("page_token", absl::StrCat("one that ", rpc, " gave out"),
                   Quoted(token));
  }
  return after;
}

// Fills a page with the channels after the one called `after`.
void FillPage(const Directory& directory, const std::string& after,
              size_t page_size, admin::v1::ListChannelsResponse* response) {
  internal::VisitRegistries(
      directory, "", after, [&](const std::shared_ptr<Registry>& registry) {
        if (registry->channel_name() == after) return true;
        if (static_cast<size_t>(response->channels_size()) == page_size) {
          response->set_next_page_token(
              ToToken(response->channels().rbegin()->channel(), ""));
          return false;
        }
        *response->add_channels() = internal::ToMessage(*registry);
        return true;
      });
}

// Fills a page with the matching breakers after `after`. A message is built for
// those on the page only.
void FillPage(const Directory& directory, const BreakerFilter& filter,
              const BreakerName& after, size_t page_size,
              internal::ErrorMessages error_messages,
              admin::v1::ListBreakersResponse* response) {
  int looked_at = 0;
  std::string last_looked_at;  // As a token, once there were enough.
  internal::VisitBreakers(
      directory, filter, after,
      [&](const std::shared_ptr<Registry>& registry, const Method& method) {
        if (looked_at == kMostLookedAt) {
          response->set_next_page_token(last_looked_at);
          return false;
        }
        const MonotonicTime now = registry->environment().Now();
        const BreakerSnapshot snapshot = method.breaker().Snapshot(now);
        if (filter.MatchesState(internal::ToMessage(snapshot.state))) {
          if (static_cast<size_t>(response->breakers_size()) == page_size) {
            const Breaker& last = *response->breakers().rbegin();
            response->set_next_page_token(
                ToToken(last.channel(), last.method()));
            return false;
          }
          *response->add_breakers() = internal::ToMessage(
              *registry, method, snapshot, now, error_messages);
        }
        if (++looked_at == kMostLookedAt) {
          last_looked_at = ToToken(registry->channel_name(), method.name());
        }
        return true;
      });
}

class AdminService final
    : public admin::v1::CircuitBreakerAdmin::CallbackService {
 public:
  explicit AdminService(AdminServiceOptions options)
      : directory_(*options.directory),
        environment_(*options.environment),
        error_messages_(options.show_error_messages
                            ? internal::ErrorMessages::kShown
                            : internal::ErrorMessages::kHidden),
        guard_(std::move(options.authorizer), options.authorize_reads),
        log_(directory_, environment_),
        commands_(directory_, environment_, guard_, log_,
                  std::move(options.listeners)),
        hub_(internal::WatchHub::Create(
            directory_, environment_,
            static_cast<size_t>(std::max(options.max_watches, 0)))) {}

  grpc::ServerUnaryReactor* ListBreakers(
      grpc::CallbackServerContext* context,
      const admin::v1::ListBreakersRequest* request,
      admin::v1::ListBreakersResponse* response) override {
    Violations violations;
    const BreakerFilter filter =
        BreakerFilter::Parse(request->filter(), violations);
    const size_t page_size = PageSize(request->page_size(), violations);
    const std::optional<BreakerName> after =
        AfterToken(request->page_token(), "ListBreakers", violations);
    return Read(context, violations, OfFilter("ListBreakers", filter),
                [this, filter, after, page_size, response] {
                  FillPage(directory_, filter, *after, page_size,
                           error_messages_, response);
                  return grpc::Status::OK;
                });
  }

  grpc::ServerUnaryReactor* GetBreaker(
      grpc::CallbackServerContext* context,
      const admin::v1::GetBreakerRequest* request, Breaker* response) override {
    Violations violations;
    internal::CheckMethod("method", request->method(), violations);
    AdminRequest asked;
    asked.rpc = "GetBreaker";
    asked.method = request->method();
    asked.channel = request->channel();
    return Read(context, violations, std::move(asked),
                [this, request, response] { return Get(*request, response); });
  }

  grpc::ServerWriteReactor<admin::v1::WatchBreakersResponse>* WatchBreakers(
      grpc::CallbackServerContext* context,
      const admin::v1::WatchBreakersRequest* request) override {
    Violations violations;
    BreakerFilter filter = BreakerFilter::Parse(request->filter(), violations);
    AdminRequest asked = OfFilter("WatchBreakers", filter);
    auto* watch =
        new internal::BreakerWatch(hub_, std::move(filter), error_messages_);
    if (grpc::Status status = violations.ToStatus(); !status.ok()) {
      watch->Refuse(std::move(status));
    } else if (!guard_.guards_reads()) {
      watch->Start();
    } else {
      const bool runs = queue_->Run(
          environment_,
          [this, watch, asked = From(*context, std::move(asked))] {
            grpc::Status decided = guard_.Check(asked).status;
            decided.ok() ? watch->Start() : watch->Refuse(std::move(decided));
          });
      if (!runs) watch->Refuse(TooManyWait());
    }
    return watch;
  }

  grpc::ServerUnaryReactor* ListChannels(
      grpc::CallbackServerContext* context,
      const admin::v1::ListChannelsRequest* request,
      admin::v1::ListChannelsResponse* response) override {
    Violations violations;
    const size_t page_size = PageSize(request->page_size(), violations);
    const std::optional<BreakerName> after =
        AfterToken(request->page_token(), "ListChannels", violations);
    AdminRequest asked;
    asked.rpc = "ListChannels";
    return Read(context, violations, std::move(asked),
                [this, after, page_size, response] {
                  FillPage(directory_, after->channel, page_size, response);
                  return grpc::Status::OK;
                });
  }

  grpc::ServerUnaryReactor* GetChannel(
      grpc::CallbackServerContext* context,
      const admin::v1::GetChannelRequest* request,
      admin::v1::Channel* response) override {
    AdminRequest asked;
    asked.rpc = "GetChannel";
    asked.channel = request->channel();
    return Read(context, Violations(), std::move(asked),
                [this, request, response] { return Get(*request, response); });
  }

  grpc::ServerUnaryReactor* ListEvents(
      grpc::CallbackServerContext* context,
      const admin::v1::ListEventsRequest* request,
      admin::v1::ListEventsResponse* response) override {
    Violations violations;
    const BreakerFilter filter =
        BreakerFilter::Parse(request->filter(), violations);
    const size_t page_size = PageSize(request->page_size(), violations);
    return Read(context, violations, OfFilter("ListEvents", filter),
                [this, request, response, filter, page_size] {
                  *response = log_.List(request->token(), filter, page_size);
                  return grpc::Status::OK;
                });
  }

  grpc::ServerUnaryReactor* ForceOpen(
      grpc::CallbackServerContext* context,
      const admin::v1::HoldRequest* request,
      admin::v1::ChangeResponse* response) override {
    return Hold(context, "ForceOpen", BreakerState::kForcedOpen, *request,
                response);
  }

  grpc::ServerUnaryReactor* ForceClose(
      grpc::CallbackServerContext* context,
      const admin::v1::HoldRequest* request,
      admin::v1::ChangeResponse* response) override {
    return Hold(context, "ForceClose", BreakerState::kForcedClosed, *request,
                response);
  }

  grpc::ServerUnaryReactor* SetMetricsOnly(
      grpc::CallbackServerContext* context,
      const admin::v1::HoldRequest* request,
      admin::v1::ChangeResponse* response) override {
    return Hold(context, "SetMetricsOnly", BreakerState::kMetricsOnly, *request,
                response);
  }

  grpc::ServerUnaryReactor* Reset(
      grpc::CallbackServerContext* context,
      const admin::v1::ResetRequest* request,
      admin::v1::ChangeResponse* response) override {
    Violations violations;
    return Change(
        context,
        Command::Reset(*request, error_messages_, response, violations),
        violations);
  }

  grpc::ServerUnaryReactor* UpdatePolicy(
      grpc::CallbackServerContext* context,
      const admin::v1::UpdatePolicyRequest* request,
      admin::v1::UpdatePolicyResponse* response) override {
    Violations violations;
    return Change(context,
                  Command::UpdatePolicy(*request, response, violations),
                  violations);
  }

 private:
  static AdminRequest OfFilter(std::string rpc, const BreakerFilter& filter) {
    AdminRequest request;
    request.rpc = std::move(rpc);
    request.method_prefix = filter.method_prefix();
    request.channel = filter.channel();
    return request;
  }

  static AdminRequest From(const grpc::CallbackServerContext& context,
                           AdminRequest request) {
    request.peer = context.peer();
    request.auth_context = context.auth_context();
    request.metadata = &context.client_metadata();
    return request;
  }

  static grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext* context,
                                          grpc::Status status) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(std::move(status));
    return reactor;
  }

  // Answers by `read`, if nothing is wrong with the request and it is allowed.
  template <typename Function>
  grpc::ServerUnaryReactor* Read(grpc::CallbackServerContext* context,
                                 const Violations& violations,
                                 AdminRequest request, Function read) {
    if (grpc::Status status = violations.ToStatus(); !status.ok()) {
      return Finish(context, std::move(status));
    }
    if (!guard_.guards_reads()) return Finish(context, read());
    return Later(context, [this, read = std::move(read),
                           request = From(*context, std::move(request))] {
      const grpc::Status status = guard_.Check(request).status;
      return status.ok() ? read() : status;
    });
  }

  grpc::ServerUnaryReactor* Hold(grpc::CallbackServerContext* context,
                                 std::string rpc, BreakerState state,
                                 const admin::v1::HoldRequest& request,
                                 admin::v1::ChangeResponse* response) {
    Violations violations;
    Command command = Command::Hold(std::move(rpc), state, request,
                                    error_messages_, response, violations);
    return Change(context, std::move(command), violations);
  }

  grpc::ServerUnaryReactor* Change(grpc::CallbackServerContext* context,
                                   Command command,
                                   const Violations& violations) {
    if (grpc::Status status = violations.ToStatus(); !status.ok()) {
      return Finish(context, std::move(status));
    }
    return Later(context, [this, context, command = std::move(command)] {
      return commands_.Run(command, From(*context, AdminRequest()),
                           [context] { return context->IsCancelled(); });
    });
  }

  // Answers by `function`, which may run code of the application's: on a thread
  // that may block, as those of gRPC must not.
  template <typename Function>
  grpc::ServerUnaryReactor* Later(grpc::CallbackServerContext* context,
                                  Function function) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const bool runs =
        queue_->Run(environment_, [reactor, function = std::move(function)] {
          reactor->Finish(function());
        });
    if (!runs) reactor->Finish(TooManyWait());
    return reactor;
  }

  static grpc::Status TooManyWait() {
    return grpc::Status(
        grpc::StatusCode::RESOURCE_EXHAUSTED,
        absl::StrCat("more than ", internal::RequestQueue::kMostWaiting,
                     " requests wait for the authorizer"));
  }

  grpc::Status Get(const admin::v1::GetBreakerRequest& request,
                   Breaker* response) const {
    bool channel_exists = request.channel().empty();
    std::vector<std::string> candidates;
    const auto look = [&](const std::shared_ptr<Registry>& registry) {
      channel_exists = true;
      const Method* method = registry->Find(request.method());
      if (method == nullptr) return true;
      candidates.push_back(Quoted(registry->channel_name()));
      if (candidates.size() > 1) return true;
      *response = internal::ToMessage(*registry, *method, error_messages_);
      internal::AddPolicy(*registry, *method, response);
      for (const BreakerTransition& transition : method->breaker().History()) {
        *response->add_history() = internal::ToMessage(
            *registry, *method, transition, registry->environment().Now());
      }
      return true;
    };
    internal::VisitRegistries(directory_, request.channel(), "", look);
    if (!channel_exists) return NoChannel(request.channel());
    if (candidates.empty()) {
      return grpc::Status(
          grpc::StatusCode::NOT_FOUND,
          absl::StrCat("method: ", Quoted(request.method()),
                       " was not called and has no policy of its own"));
    }
    if (candidates.size() > 1) {
      return Ambiguous(absl::StrCat("several have ", request.method()),
                       std::move(candidates));
    }
    return grpc::Status::OK;
  }

  grpc::Status Get(const admin::v1::GetChannelRequest& request,
                   admin::v1::Channel* response) const {
    std::vector<std::string> names;
    internal::VisitRegistries(
        directory_, request.channel(), "",
        [&](const std::shared_ptr<Registry>& registry) {
          names.push_back(Quoted(registry->channel_name()));
          if (names.size() > 1) return true;
          *response = internal::ToMessage(*registry);
          internal::AddPolicies(*registry, response);
          return true;
        });
    if (names.empty()) return NoChannel(request.channel());
    if (names.size() > 1)
      return Ambiguous("there are several", std::move(names));
    return grpc::Status::OK;
  }

  static grpc::Status NoChannel(const std::string& name) {
    return grpc::Status(
        grpc::StatusCode::NOT_FOUND,
        name.empty()
            ? "channel: there is none"
            : absl::StrCat("channel: there is none called ", Quoted(name)));
  }

  static grpc::Status Ambiguous(absl::string_view why,
                                std::vector<std::string> channels) {
    constexpr size_t kShown = 10;
    const size_t more = channels.size() - std::min(channels.size(), kShown);
    channels.resize(channels.size() - more);
    return grpc::Status(
        grpc::StatusCode::FAILED_PRECONDITION,
        absl::StrCat("channel: must be set, because ", why, ": ",
                     absl::StrJoin(channels, ", "),
                     more > 0 ? absl::StrCat(" and ", more, " more") : ""));
  }

  Directory& directory_;
  Environment& environment_;
  const internal::ErrorMessages error_messages_;
  const internal::AdminGuard guard_;
  internal::EventLog log_;
  internal::BreakerCommands commands_;
  const std::shared_ptr<internal::WatchHub> hub_;
  const std::shared_ptr<internal::RequestQueue> queue_ =
      std::make_shared<internal::RequestQueue>();
};

}  // namespace

AdminServiceOptions::AdminServiceOptions()
    : directory(&Directory::Default()), environment(&Environment::Default()) {}

std::unique_ptr<grpc::Service> MakeAdminService(AdminServiceOptions options) {
  return std::make_unique<AdminService>(std::move(options));
}

}  // namespace grpc_breaker
