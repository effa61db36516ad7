#include "grpc_breaker/admin/breaker_commands.h"

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/duration.pb.h"
#include "grpc_breaker/admin/policy_updates.h"
#include "grpc_breaker/base/user_code.h"
#include "grpc_breaker/breaker/cause.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/registry/method_name.h"

namespace grpc_breaker::internal {
namespace {

constexpr size_t kMostReasonBytes = 256;
// So that there is room for the mark behind it.
constexpr size_t kMostActorBytes = 128;
constexpr absl::string_view kClaimed = " (claimed)";
// Of a text from outside that is told to listeners.
constexpr size_t kMostTextBytes = 256;

void CheckLength(absl::string_view field, const std::string& text, size_t most,
                 Violations& violations) {
  if (text.size() <= most) return;
  violations.Add(field, absl::StrCat("at most ", most, " bytes"),
                 absl::StrCat(text.size()));
}

absl::Duration ParseTimeToLive(const google::protobuf::Duration& message,
                               Violations& violations) {
  constexpr int64_t kMostSeconds = 315'576'000'000;  // Of a Duration.
  constexpr int32_t kMostNanos = 999'999'999;
  const int64_t seconds = message.seconds();
  const int32_t nanos = message.nanos();
  if (seconds == 0 && nanos == 0) return absl::InfiniteDuration();
  if (seconds < 0 || seconds > kMostSeconds || nanos < 0 ||
      nanos > kMostNanos) {
    violations.Add("ttl", "at least 1ms, or 0, and well-formed",
                   absl::StrCat(seconds, " seconds and ", nanos, " nanos"));
    return absl::InfiniteDuration();
  }
  const absl::Duration time_to_live =
      absl::Seconds(seconds) + absl::Nanoseconds(nanos);
  if (time_to_live < absl::Milliseconds(1)) {
    violations.Add("ttl", "at least 1ms, or 0",
                   absl::FormatDuration(time_to_live));
  }
  return time_to_live;
}

// What all requests for a change have.
template <typename Request>
Command MakeCommand(std::string rpc, const Request& request,
                    Violations& violations) {
  Command command;
  command.rpc = std::move(rpc);
  command.target = BreakerTarget::Parse(request.target(), violations);
  command.reason = request.reason();
  command.actor = request.actor();
  command.dry_run = request.dry_run();
  CheckLength("reason", command.reason, kMostReasonBytes, violations);
  CheckLength("actor", command.actor, kMostActorBytes, violations);
  return command;
}

// Nobody can claim to be an actor that was checked: what is claimed has a mark.
std::string Actor(const Command& command, const AdminDecision& decision) {
  if (!decision.identity.empty()) {
    return decision.identity.substr(0, kMostReasonBytes);
  }
  return command.actor.empty() ? "" : absl::StrCat(command.actor, kClaimed);
}

void Fill(const Command& command, const std::vector<FoundBreaker>& found,
          AdminRequest& request) {
  request.rpc = command.rpc;
  request.is_change = true;
  request.dry_run = command.dry_run;
  request.actor = command.actor;
  request.reason = command.reason;
  request.method = command.target.method();
  request.method_prefix = command.target.method_prefix();
  request.channel = command.target.channel();
  for (const FoundBreaker& breaker : found) {
    request.breakers.push_back(
        {breaker.registry->channel_name(), breaker.method->name()});
  }
}

// Changes one breaker, and returns it as that left it.
using ChangeBreaker = std::function<absl::StatusOr<BreakerSnapshot>(
    CircuitBreaker& breaker, const std::string& actor, MonotonicTime now)>;

decltype(Command::run) ForEachBreaker(ChangeBreaker change, bool dry_run,
                                      ErrorMessages error_messages,
                                      admin::v1::ChangeResponse* response) {
  return [change = std::move(change), dry_run, error_messages, response](
             const Command::Found& found, const std::string& actor,
             Command::Done& done) {
    for (const FoundBreaker& breaker : found) {
      const MonotonicTime now = breaker.registry->environment().Now();
      const absl::StatusOr<BreakerSnapshot> after =
          dry_run ? breaker.method->breaker().Snapshot(now)
                  : change(breaker.method->breaker(), actor, now);
      if (!after.ok()) return ToGrpcStatus(after.status());
      ++done.changed;
      if (static_cast<size_t>(response->breakers_size()) < kMostChangedShown) {
        *response->add_breakers() = ToMessage(
            *breaker.registry, *breaker.method, *after, now, error_messages);
      }
      response->set_count(done.changed);
    }
    return grpc::Status::OK;
  };
}

// As in BreakerAudit.
std::vector<std::string> Lines(const admin::v1::UpdatedPolicy& updated) {
  constexpr size_t kMostLines = 16;
  std::vector<std::string> lines;
  for (const auto& change : updated.changes()) {
    if (lines.size() == kMostLines) break;
    lines.push_back(
        absl::StrCat(change.field(), ": ", change.from(), " -> ", change.to())
            .substr(0, kMostTextBytes));
  }
  return lines;
}

}  // namespace

Command Command::Hold(std::string rpc, BreakerState state,
                      const admin::v1::HoldRequest& request,
                      ErrorMessages error_messages,
                      admin::v1::ChangeResponse* response,
                      Violations& violations) {
  Command command = MakeCommand(std::move(rpc), request, violations);
  command.time_to_live = ParseTimeToLive(request.ttl(), violations);
  command.run = ForEachBreaker(
      [state, reason = command.reason, time_to_live = command.time_to_live](
          CircuitBreaker& breaker, const std::string& actor,
          MonotonicTime now) {
        return breaker.SetManualState({state, reason, actor, time_to_live},
                                      now);
      },
      command.dry_run, error_messages, response);
  return command;
}

Command Command::Reset(const admin::v1::ResetRequest& request,
                       ErrorMessages error_messages,
                       admin::v1::ChangeResponse* response,
                       Violations& violations) {
  Command command = MakeCommand("Reset", request, violations);
  command.run = ForEachBreaker(
      [reason = command.reason](CircuitBreaker& breaker,
                                const std::string& actor, MonotonicTime now) {
        return breaker.Reset(reason, actor, now);
      },
      command.dry_run, error_messages, response);
  return command;
}

Command Command::UpdatePolicy(const admin::v1::UpdatePolicyRequest& request,
                              admin::v1::UpdatePolicyResponse* response,
                              Violations& violations) {
  Command command = MakeCommand("UpdatePolicy", request, violations);
  command.time_to_live = ParseTimeToLive(request.ttl(), violations);
  PolicyUpdate update =
      ToUpdate(request.policy(), request.update_mask(), violations);
  if (update.change == nullptr && !request.revert()) {
    violations.Add("policy", "set where revert is not", "nothing to change");
  }
  update.revert = request.revert();
  update.time_to_live = command.time_to_live;
  update.dry_run = command.dry_run;
  command.run = [update = std::move(update), reason = command.reason, response](
                    const Found& found, const std::string& actor, Done& done) {
    grpc::Status status =
        UpdatePolicies(found, update, ByWhomAndWhy(actor, reason), response);
    done.changed = response->count();
    if (response->policies_size() > 0) {
      done.policy_changes = Lines(response->policies(0));
    }
    return status;
  };
  return command;
}

BreakerCommands::BreakerCommands(Directory& directory, Environment& environment,
                                 const AdminGuard& guard, EventLog& log,
                                 Listeners listeners)
    : directory_(directory),
      environment_(environment),
      guard_(guard),
      log_(log),
      listeners_(std::move(listeners)) {}

grpc::Status BreakerCommands::Run(const Command& command, AdminRequest request,
                                  const std::function<bool()>& is_cancelled) {
  const std::vector<FoundBreaker> found = command.target.Find(directory_);
  Fill(command, found, request);
  const AdminDecision decision = guard_.Check(request);
  grpc::Status status = decision.status;
  // Only who may change them learns which there are.
  if (status.ok()) status = command.target.CheckCount(found);
  if (status.ok() && is_cancelled()) {
    status = grpc::Status(grpc::StatusCode::CANCELLED,
                          "the caller has gone before it was done");
  }
  Command::Done done;
  if (status.ok()) status = command.run(found, Actor(command, decision), done);
  if (command.dry_run) done = Command::Done();
  if (!command.dry_run || !status.ok()) {
    Audit(command, request, decision, status, std::move(done));
  }
  return status;
}

void BreakerCommands::Audit(const Command& command, const AdminRequest& request,
                            const AdminDecision& decision,
                            const grpc::Status& status, Command::Done done) {
  BreakerAudit audit;
  audit.rpc = command.rpc;
  audit.method = command.target.method();
  audit.method_prefix = command.target.method_prefix();
  // A request may have any.
  audit.channel = command.target.channel().substr(0, kMaxNameLength);
  audit.reason = command.reason;
  audit.actor = Actor(command, decision);
  audit.authenticated = !decision.identity.empty();
  audit.peer = request.peer.substr(0, kMostTextBytes);
  audit.time_to_live = command.time_to_live;
  audit.status =
      absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                   status.error_message().substr(0, kMostTextBytes));
  audit.changed = done.changed;
  audit.policy_changes = std::move(done.policy_changes);
  audit.at = environment_.Now();
  audit.wall_time = environment_.WallNow();
  log_.Add(audit);
  for (const auto& listener : listeners_) {
    CallUserCode([&] { listener->OnAudit(audit); });
  }
}

}  // namespace grpc_breaker::internal
