#include "grpc_breaker/admin/policy_updates.h"

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/util/field_mask_util.h"
#include "grpc_breaker/admin/breaker_message.h"
#include "grpc_breaker/base/utf8.h"
#include "grpc_breaker/breaker/trip_rules.h"
#include "grpc_breaker/config/policy_changes.h"
#include "grpc_breaker/config/policy_merge.h"
#include "grpc_breaker/config/policy_message.h"
#include "grpc_breaker/grpc_status.h"

namespace grpc_breaker::internal {
namespace {

using google::protobuf::util::FieldMaskUtil;

// What the mask leaves of a policy: a masked field begins as it is by default.
config::v1::Policy Masked(const config::v1::Policy& policy,
                          const google::protobuf::FieldMask& mask) {
  config::v1::Policy masked;
  google::protobuf::FieldMask known;
  for (const std::string& path : mask.paths()) {
    masked.add_reset(path);
    if (FieldMaskUtil::IsValidPath<config::v1::Policy>(path)) {
      known.add_paths(path);
    }
  }
  FieldMaskUtil::MergeMessageTo(policy, known, FieldMaskUtil::MergeOptions(),
                                &masked);
  return masked;
}

// What is wrong, a line "field: description" for each, as within the request.
absl::Status ToStatus(const FieldViolations& wrong, bool has_mask) {
  std::vector<std::string> lines;
  for (const FieldViolation& violation : wrong) {
    // What a mask names is reset first.
    const bool of_mask = has_mask && violation.field.rfind("reset[", 0) == 0;
    lines.push_back(absl::StrCat(
        of_mask ? absl::StrCat("update_mask.paths", violation.field.substr(5))
                : absl::StrCat("policy.", violation.field),
        ": ", violation.description));
  }
  return lines.empty() ? absl::OkStatus()
                       : absl::InvalidArgumentError(absl::StrJoin(lines, "\n"));
}

// The other way, of the update of one breaker.
grpc::Status ToRpcStatus(const absl::Status& status,
                         const FoundBreaker& breaker) {
  const std::string of = absl::StrCat(", for ", breaker.method->name(), " of ",
                                      breaker.registry->channel_name());
  if (status.code() != absl::StatusCode::kInvalidArgument) {
    return ToGrpcStatus(
        absl::Status(status.code(), absl::StrCat(status.message(), of)));
  }
  Violations violations;
  for (const absl::string_view line : absl::StrSplit(status.message(), '\n')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(": ", 1));
    violations.Add(parts.first, absl::StrCat(parts.second, of));
  }
  return violations.ToStatus();
}

// By which rule the breaker would be open, if it had gone by these options.
std::string WouldHaveOpened(const FoundBreaker& breaker,
                            const BreakerOptions& options) {
  const BreakerSnapshot snapshot = breaker.method->breaker().Snapshot();
  if (snapshot.state != BreakerState::kClosed || !options.enabled) return "";
  std::optional<Trip> trip =
      CheckSequence(options, /*critical=*/false,
                    static_cast<uint32_t>(snapshot.consecutive_failures),
                    /*failures_of_last_calls=*/0);
  if (!trip) trip = CheckRates(options, snapshot.counts).trip;
  return trip ? std::string(ToString(trip->rule)) : "";
}

admin::v1::UpdatedPolicy Shown(const FoundBreaker& breaker,
                               const UpdatedPolicy& updated,
                               std::string would_have_opened) {
  admin::v1::UpdatedPolicy message;
  message.set_channel(ToUtf8(breaker.registry->channel_name()));
  message.set_method(ToUtf8(breaker.method->name()));
  for (const FieldChange& change :
       Changes(ToMessage(*updated.before), ToMessage(*updated.after))) {
    auto& added = *message.add_changes();
    added.set_field(change.field);
    added.set_from(change.from);
    added.set_to(change.to);
  }
  message.set_would_have_opened(std::move(would_have_opened));
  return message;
}

}  // namespace

PolicyUpdate ToUpdate(const config::v1::Policy& policy,
                      const google::protobuf::FieldMask& mask,
                      Violations& violations) {
  const bool has_mask = mask.paths_size() > 0;
  const config::v1::Policy wanted = has_mask ? Masked(policy, mask) : policy;
  PolicyUpdate update;
  if (wanted.ByteSizeLong() == 0) return update;
  // Only functions of the application have names.
  for (const auto& [name, is_set] :
       {std::pair("policy.fallback.name", wanted.fallback().has_name()),
        std::pair("policy.on_attempt", wanted.has_on_attempt()),
        std::pair("policy.on_final_failure", wanted.has_on_final_failure())}) {
    if (is_set) violations.Add(name, "must not be set: it is for files");
  }
  update.change = [wanted, has_mask](Policy* changed) {
    const NamedFunctions none;
    return ToStatus(Merge(wanted, &none, changed), has_mask);
  };
  return update;
}

grpc::Status UpdatePolicies(const std::vector<FoundBreaker>& found,
                            PolicyUpdate update,
                            const std::string& by_whom_and_why,
                            admin::v1::UpdatePolicyResponse* response) {
  const bool dry_run = update.dry_run;
  // Asks all of them first. By which rule they would have opened can only be
  // said before: another window begins empty.
  std::vector<std::string> would_have_opened;
  update.dry_run = true;
  for (const FoundBreaker& breaker : found) {
    const absl::StatusOr<UpdatedPolicy> updated =
        breaker.registry->UpdatePolicy(breaker.method->name(), update);
    if (!updated.ok()) return ToRpcStatus(updated.status(), breaker);
    if (would_have_opened.size() == kMostChangedShown) continue;
    would_have_opened.push_back(
        WouldHaveOpened(breaker, updated->after->breaker));
    if (dry_run) {
      *response->add_policies() =
          Shown(breaker, *updated, would_have_opened.back());
    }
  }
  if (dry_run) response->set_count(static_cast<int>(found.size()));
  update.dry_run = false;
  for (size_t i = 0; i < found.size() && !dry_run; ++i) {
    const FoundBreaker& breaker = found[i];
    const absl::StatusOr<UpdatedPolicy> updated =
        breaker.registry->UpdatePolicy(breaker.method->name(), update);
    if (!updated.ok()) return ToRpcStatus(updated.status(), breaker);
    breaker.method->breaker().Note(
        absl::StrCat("policy updated", by_whom_and_why),
        breaker.registry->environment().Now());
    response->set_count(response->count() + 1);
    if (i < kMostChangedShown) {
      *response->add_policies() =
          Shown(breaker, *updated, std::move(would_have_opened[i]));
    }
  }
  return grpc::Status::OK;
}

}  // namespace grpc_breaker::internal
