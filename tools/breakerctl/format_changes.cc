#include "tools/breakerctl/format_changes.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tools/breakerctl/values.h"

namespace grpc_breaker::breakerctl {
namespace {

// How long a state that is held by hand lasts; "-" where none is.
std::string HeldFor(const admin::v1::Breaker& breaker) {
  if (!breaker.has_manual()) return "-";
  return breaker.manual().has_remaining() ? Rough(breaker.manual().remaining())
                                          : "until reset";
}

// "/pkg.Service/Method", or "/pkg.Service/*" of a prefix, and of which channel.
std::string FormatTarget(const admin::v1::Target& target) {
  return absl::StrCat(
      target.methods_case() == admin::v1::Target::kMethod
          ? Printable(target.method())
          : absl::StrCat(Printable(target.method_prefix()), "*"),
      target.channel().empty()
          ? ""
          : absl::StrCat(" of ", Printable(target.channel())));
}

std::string FormatOutcome(const admin::v1::Audit& audit) {
  const std::string changed =
      absl::StrCat(Count(audit.count(), "breaker"), " changed");
  if (audit.code() == 0) return changed;
  return absl::StrCat(
      audit.count() > 0 ? absl::StrCat(changed, ", then ") : "", "refused: ",
      absl::StatusCodeToString(static_cast<absl::StatusCode>(audit.code())),
      audit.message().empty() ? "" : ": ", Printable(audit.message()));
}

std::string FormatAudit(const admin::v1::Audit& audit) {
  std::string text =
      absl::StrCat(Printable(audit.rpc()), " ", FormatTarget(audit.target()));
  if (!audit.actor().empty()) {
    absl::StrAppend(&text, " by ", Printable(audit.actor()));
  }
  absl::StrAppend(&text, " from ", Printable(audit.peer()));
  if (audit.has_ttl()) absl::StrAppend(&text, " for ", Rough(audit.ttl()));
  if (!audit.reason().empty()) {
    absl::StrAppend(&text, " (", Printable(audit.reason()), ")");
  }
  absl::StrAppend(&text, ": ", FormatOutcome(audit));
  for (const std::string& change : audit.policy_changes()) {
    absl::StrAppend(&text, "; ", Printable(change));
  }
  return text;
}

std::string FormatTransition(const admin::v1::Transition& transition,
                             const Style& style) {
  return absl::StrCat("CHANGED ", Printable(transition.channel()), " ",
                      Printable(transition.method()), " ",
                      FormatState(transition.from(), style), " -> ",
                      FormatState(transition.to(), style), " (",
                      Printable(transition.cause()), ")");
}

}  // namespace

std::string FormatChanges(const admin::v1::ChangeResponse& response,
                          bool dry_run, const Style& style) {
  std::vector<Row> rows = {Heading(
      {"CHANNEL", "METHOD", "STATE", "HELD FOR", "BY", "REASON"}, style)};
  for (const admin::v1::Breaker& breaker : response.breakers()) {
    const auto or_dash = [](const std::string& text) {
      return text.empty() ? "-" : Printable(text);
    };
    rows.push_back({Printable(breaker.channel()), Printable(breaker.method()),
                    FormatState(breaker.state(), style), HeldFor(breaker),
                    or_dash(breaker.manual().actor()),
                    or_dash(breaker.manual().reason())});
  }
  std::string text = Align(std::move(rows), style, {"", {0, 1, 4, 5}});
  const int hidden = response.count() - response.breakers_size();
  if (hidden > 0) absl::StrAppend(&text, "and ", hidden, " more\n");
  const std::string breakers = Count(response.count(), "breaker");
  absl::StrAppend(&text, breakers,
                  dry_run ? " would be changed; nothing was\n" : " changed\n");
  return text;
}

absl::Time TimeOf(const admin::v1::Event& event) {
  return ToTime(event.what_case() == admin::v1::Event::kAudit
                    ? event.audit().time()
                    : event.transition().time());
}

std::string FormatEvent(const admin::v1::Event& event, const Style& style) {
  return absl::StrCat(Stamp(TimeOf(event)), " ",
                      event.what_case() == admin::v1::Event::kAudit
                          ? FormatAudit(event.audit())
                          : FormatTransition(event.transition(), style),
                      "\n");
}

std::string FormatMissed(int64_t events) {
  return absl::StrCat("missed ", Count(events, "event"), ": no longer kept");
}

}  // namespace grpc_breaker::breakerctl
