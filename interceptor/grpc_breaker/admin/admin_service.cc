#include "grpc_breaker/admin_service.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "grpc_breaker/admin/breaker_filter.h"
#include "grpc_breaker/admin/breaker_message.h"
#include "grpc_breaker/admin/breaker_watch.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpc_breaker/admin/watch_hub.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/registry/method_name.h"

namespace grpc_breaker {
namespace {

using admin::v1::Breaker;
using internal::BreakerFilter;
using internal::BreakerName;
using internal::Quoted;

constexpr int kDefaultPageSize = 100;
constexpr int kMaxPageSize = 1000;
// For one page, however few of them match.
constexpr int kMostLookedAt = 10000;

grpc::Status Invalid(absl::string_view field, absl::string_view rule,
                     absl::string_view value) {
  return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                      absl::StrCat(field, ": must be ", rule, ", got ", value));
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

// Fills a page with the matching breakers after `after`. A message is built for
// those on the page only.
void FillPage(const Directory& directory, const BreakerFilter& filter,
              const BreakerName& after, int page_size,
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
          if (response->breakers_size() == page_size) {
            const Breaker& last = response->breakers(page_size - 1);
            response->set_next_page_token(
                ToToken(last.channel(), last.method()));
            return false;
          }
          *response->add_breakers() =
              internal::ToMessage(*registry, method, snapshot, now);
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
  explicit AdminService(Directory& directory)
      : directory_(directory),
        hub_(internal::WatchHub::Create(directory, Environment::Default())) {}

  grpc::ServerUnaryReactor* ListBreakers(
      grpc::CallbackServerContext* context,
      const admin::v1::ListBreakersRequest* request,
      admin::v1::ListBreakersResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(List(*request, response));
    return reactor;
  }

  grpc::ServerUnaryReactor* GetBreaker(
      grpc::CallbackServerContext* context,
      const admin::v1::GetBreakerRequest* request, Breaker* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(Get(*request, response));
    return reactor;
  }

  grpc::ServerWriteReactor<admin::v1::WatchBreakersResponse>* WatchBreakers(
      grpc::CallbackServerContext* /*context*/,
      const admin::v1::WatchBreakersRequest* request) override {
    absl::StatusOr<BreakerFilter> filter =
        BreakerFilter::Parse(request->filter());
    if (!filter.ok()) return new Refusal(ToGrpcStatus(filter.status()));
    return internal::BreakerWatch::Start(hub_, *std::move(filter));
  }

 private:
  class Refusal
      : public grpc::ServerWriteReactor<admin::v1::WatchBreakersResponse> {
   public:
    explicit Refusal(grpc::Status status) { Finish(std::move(status)); }
    void OnDone() override { delete this; }
  };

  grpc::Status List(const admin::v1::ListBreakersRequest& request,
                    admin::v1::ListBreakersResponse* response) const {
    absl::StatusOr<BreakerFilter> filter =
        BreakerFilter::Parse(request.filter());
    if (!filter.ok()) return ToGrpcStatus(filter.status());
    if (request.page_size() < 0) {
      return Invalid("page_size", "at least 0",
                     absl::StrCat(request.page_size()));
    }
    const std::optional<BreakerName> after =
        request.page_token().empty() ? BreakerName()
                                     : FromToken(request.page_token());
    if (!after) {
      return Invalid("page_token", "one that ListBreakers gave out",
                     Quoted(request.page_token()));
    }
    FillPage(directory_, *filter, *after,
             request.page_size() == 0
                 ? kDefaultPageSize
                 : std::min(request.page_size(), kMaxPageSize),
             response);
    return grpc::Status::OK;
  }

  grpc::Status Get(const admin::v1::GetBreakerRequest& request,
                   Breaker* response) const {
    if (request.method() != internal::kOtherMethods &&
        internal::FormOf(request.method()) != internal::NameForm::kMethod) {
      return Invalid("method", "of the form /package.Service/Method, or _other",
                     Quoted(request.method()));
    }
    bool channel_exists = request.channel().empty();
    std::vector<std::string> candidates;
    const auto look = [&](const std::shared_ptr<Registry>& registry) {
      channel_exists = true;
      const Method* method = registry->Find(request.method());
      if (method == nullptr) return true;
      candidates.push_back(Quoted(registry->channel_name()));
      if (candidates.size() > 1) return true;
      *response = internal::ToMessage(*registry, *method);
      internal::AddPolicy(*method, response);
      for (const BreakerTransition& transition : method->breaker().History()) {
        *response->add_history() = internal::ToMessage(
            *registry, *method, transition, registry->environment().Now());
      }
      return true;
    };
    internal::VisitRegistries(directory_, request.channel(), "", look);
    if (!channel_exists) {
      return grpc::Status(grpc::StatusCode::NOT_FOUND,
                          absl::StrCat("channel: there is none called ",
                                       Quoted(request.channel())));
    }
    if (candidates.empty()) {
      return grpc::Status(
          grpc::StatusCode::NOT_FOUND,
          absl::StrCat("method: ", Quoted(request.method()),
                       " was not called and has no policy of its own"));
    }
    if (candidates.size() > 1) return Ambiguous(request, candidates);
    return grpc::Status::OK;
  }

  static grpc::Status Ambiguous(const admin::v1::GetBreakerRequest& request,
                                std::vector<std::string> channels) {
    constexpr size_t kShown = 10;
    const size_t more = channels.size() - std::min(channels.size(), kShown);
    channels.resize(channels.size() - more);
    return grpc::Status(
        grpc::StatusCode::FAILED_PRECONDITION,
        absl::StrCat("channel: must be set, because several have ",
                     request.method(), ": ", absl::StrJoin(channels, ", "),
                     more > 0 ? absl::StrCat(" and ", more, " more") : ""));
  }

  Directory& directory_;
  const std::shared_ptr<internal::WatchHub> hub_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAdminService(Directory& directory) {
  return std::make_unique<AdminService>(directory);
}

}  // namespace grpc_breaker
