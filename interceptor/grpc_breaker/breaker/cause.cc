#include "grpc_breaker/breaker/cause.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace grpc_breaker::internal {
namespace {

std::string Plural(int64_t number, absl::string_view noun) {
  return absl::StrCat(number, " ", noun, number == 1 ? "" : "s");
}

// "60 % of 5 calls"
std::string Share(double rate, int64_t calls) {
  return absl::StrFormat("%.0f %% of %s", rate * 100, Plural(calls, "call"));
}

std::string RuleText(TripRule rule, uint32_t number,
                     const WindowCounts& counts) {
  switch (rule) {
    case TripRule::kConsecutiveFailures:
      return Plural(number, "consecutive failure");
    case TripRule::kLastCalls:
      return Plural(number, "failure") + " among the last calls";
    case TripRule::kFailureRate:
      return Share(counts.failure_rate(), counts.calls()) + " failed";
    case TripRule::kSlowRate:
      return absl::StrCat(Share(counts.slow_rate(), counts.calls()),
                          counts.slow == 1 ? " was slow" : " were slow");
    case TripRule::kCriticalFailure:
      return "a critical failure";
  }
  return "";
}

}  // namespace

Cause Cause::Of(Kind kind, uint32_t number) {
  Cause cause;
  cause.kind = kind;
  cause.number = number;
  return cause;
}

Cause Cause::OfRule(const Trip& trip) {
  Cause cause = Of(Kind::kRule, trip.number);
  cause.rule = trip.rule;
  return cause;
}

Cause Cause::ByHand(Kind kind, const std::string& reason,
                    const std::string& actor) {
  Cause cause = Of(kind);
  cause.text = std::make_shared<const std::string>(ByWhomAndWhy(actor, reason));
  return cause;
}

Cause Cause::OfNote(std::string note) {
  Cause cause = Of(Kind::kNote);
  cause.text = std::make_shared<const std::string>(std::move(note));
  return cause;
}

std::string Cause::ToString(const WindowCounts& counts) const {
  switch (kind) {
    case Kind::kRule:
      return RuleText(rule, number, counts);
    case Kind::kOpenDurationOver:
      return "open duration over";
    case Kind::kProbedEarly:
      return "probed early";
    case Kind::kProbesSucceeded:
      return Plural(number, "probe") + " succeeded";
    case Kind::kProbesFailed:
      return Plural(number, "probe") + " failed";
    case Kind::kNoDecision:
      return "probes came to no decision in time";
    case Kind::kManual:
      return absl::StrCat("set manually", *text);
    case Kind::kManualOver:
      return "manual state expired";
    case Kind::kReset:
      return absl::StrCat("reset manually", *text);
    case Kind::kReconfigured:
      return "options changed";
    case Kind::kNote:
      return *text;
  }
  return "";
}

std::string ByWhomAndWhy(absl::string_view actor, absl::string_view reason) {
  return absl::StrCat(actor.empty() ? "" : " by ", actor,
                      reason.empty() ? "" : ": ", reason);
}

}  // namespace grpc_breaker::internal
