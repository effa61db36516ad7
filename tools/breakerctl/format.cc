#include "tools/breakerctl/format.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "tools/breakerctl/values.h"

namespace grpc_breaker::breakerctl {
namespace {

using admin::v1::Breaker;

std::string CategoryName(config::v1::ErrorCategory category) {
  return Short(config::v1::ErrorCategory_Name(category), "ERROR_CATEGORY_");
}

std::string SeverityName(config::v1::ErrorSeverity severity) {
  return Short(config::v1::ErrorSeverity_Name(severity), "ERROR_SEVERITY_");
}

std::string Percent(double share) {
  return absl::StrFormat("%.1f%%", 100 * share);
}

int64_t CallsOf(const admin::v1::Window& window) {
  return window.successes() + window.failures();
}

std::string NextProbe(const Breaker& breaker) {
  if (!breaker.has_next_probe_in()) return "-";
  return ToDuration(breaker.next_probe_in()) > absl::ZeroDuration()
             ? absl::StrCat("in ", Rough(breaker.next_probe_in()))
             : "now";
}

std::string FormatCounts(const admin::v1::Window& window) {
  return absl::StrCat(Count(CallsOf(window), "call"), ", ", window.failures(),
                      " failed (", Percent(window.failure_rate()), "), ",
                      window.slow(), " slow (", Percent(window.slow_rate()),
                      ")");
}

// What is counted depends on the state, that of METRICS_ONLY in the shadow.
std::vector<std::string> FormatWindow(const Breaker& breaker) {
  const admin::v1::Window& window = breaker.window();
  const bool shadow = breaker.state() == admin::v1::STATE_METRICS_ONLY;
  switch (shadow ? breaker.shadow_state() : breaker.state()) {
    case admin::v1::STATE_CLOSED:
      return {"window", FormatCounts(window)};
    case admin::v1::STATE_HALF_OPEN:
      return {"probes", absl::StrCat(breaker.permits_in_use(), " under way, ",
                                     window.successes(), " succeeded, ",
                                     window.failures(), " failed")};
    default:
      return {"window", absl::StrCat(FormatCounts(window),
                                     ", at the last change of state")};
  }
}

std::string FormatRecent(const admin::v1::RecentCalls& recent) {
  std::string text = Count(recent.calls(), "call");
  if (recent.calls() == 0) return text;
  absl::StrAppendFormat(&text, ", %.3g a second; %d failed, %d rejected",
                        recent.rate(), recent.failures(), recent.rejected());
  if (recent.has_p50()) {
    absl::StrAppend(&text, "; 50% took ", FormatLatency(recent.p50()),
                    " at most, 95% ", FormatLatency(recent.p95()), ", 99% ",
                    FormatLatency(recent.p99()));
  }
  return text;
}

std::string FormatLastError(const admin::v1::LastError& error) {
  return absl::StrCat(
      absl::StatusCodeToString(static_cast<absl::StatusCode>(error.code())),
      ", ", CategoryName(error.category()), ", ",
      SeverityName(error.severity()), ", ", Rough(error.age()), " ago",
      error.message().empty() ? "" : ": ", Printable(error.message()));
}

std::string FormatManual(const admin::v1::ManualState& manual) {
  std::string text = manual.actor().empty()
                         ? "by hand"
                         : absl::StrCat("by ", Printable(manual.actor()));
  if (!manual.reason().empty()) {
    absl::StrAppend(&text, ": ", Printable(manual.reason()));
  }
  absl::StrAppend(
      &text, manual.has_remaining()
                 ? absl::StrCat(", for another ", Rough(manual.remaining()))
                 : ", until reset");
  return text;
}

std::string FormatRetry(const config::v1::RetryPolicy& retry) {
  if (retry.max_retries() == 0) return "never";
  return absl::StrCat(
      Count(retry.max_retries(), "time"), ", after ",
      FormatDuration(retry.base_delay()), " x ", retry.exponential_base(),
      " up to ", FormatDuration(retry.max_delay()), ", jitter ",
      Short(config::v1::Jitter_Name(retry.jitter()), "JITTER_"));
}

std::string FormatRepeatable(const Breaker& breaker) {
  const char* answer = breaker.repeatable() ? "yes" : "no";
  switch (breaker.policy().idempotency()) {
    case config::v1::IDEMPOTENCY_AS_DECLARED:
      return absl::StrCat(answer, ", as declared");
    case config::v1::IDEMPOTENCY_REPEATABLE:
      return absl::StrCat(answer, ", the policy says so");
    default:
      return answer;
  }
}

std::string FormatBudget(const Breaker& breaker) {
  const config::v1::RetryBudget& budget = breaker.retry_budget();
  std::vector<std::string> parts;
  if (budget.max_tokens() > 0) {
    parts.push_back(absl::StrCat(breaker.retry_budget_tokens(), " of ",
                                 budget.max_tokens(), " tokens left, ",
                                 budget.token_ratio(), " back for a success"));
  }
  if (budget.ratio() > 0) {
    parts.push_back(absl::StrCat(Percent(budget.ratio()), " of the calls in ",
                                 FormatDuration(budget.window()), ", at least ",
                                 budget.min_retries_per_second(), " a second, ",
                                 breaker.retry_budget_retries_left(), " left"));
  }
  if (budget.per_channel()) parts.push_back("of this channel alone");
  return absl::StrJoin(parts, "; ");
}

std::string FormatFallback(const config::v1::FallbackPolicy& fallback) {
  std::vector<std::string> conditions;
  if (fallback.on_exhaustion())
    conditions.push_back("when retries are used up");
  if (fallback.on_not_retryable()) {
    conditions.push_back("when no retry would help");
  }
  if (fallback.on_rejection()) conditions.push_back("when rejected");
  return conditions.empty() ? "never" : absl::StrJoin(conditions, ", ");
}

std::string FormatClassification(const config::v1::Policy& policy) {
  std::vector<std::string> codes;
  for (const config::v1::ClassOverride& override : policy.classification()) {
    std::vector<std::string> changes;
    if (override.category() != 0) {
      changes.push_back(CategoryName(override.category()));
    }
    if (override.severity() != 0) {
      changes.push_back(SeverityName(override.severity()));
    }
    if (override.outcome() != 0) {
      changes.push_back(absl::AsciiStrToLower(
          Short(config::v1::Outcome_Name(override.outcome()), "OUTCOME_")));
    }
    if (override.has_retryable()) {
      changes.push_back(override.retryable() ? "retried" : "not retried");
    }
    codes.push_back(absl::StrCat(
        absl::StatusCodeToString(
            static_cast<absl::StatusCode>(override.code())),
        " is ", changes.empty() ? "as usual" : absl::StrJoin(changes, ", ")));
  }
  return absl::StrJoin(codes, "; ");
}

// By which rules it opens; none if it is turned off.
std::vector<std::string> OpeningRules(
    const config::v1::BreakerPolicy& breaker) {
  std::vector<std::string> rules;
  if (!breaker.enabled()) return rules;
  if (breaker.consecutive_failures() > 0) {
    rules.push_back(absl::StrCat(
        Count(breaker.consecutive_failures(), "failure"), " in a row"));
  }
  if (breaker.last_calls() > 0) {
    rules.push_back(absl::StrCat(breaker.last_calls_failures(), " of the last ",
                                 Count(breaker.last_calls(), "call"),
                                 " failed"));
  }
  const std::string of_window =
      absl::StrCat(" of at least ", Count(breaker.minimum_calls(), "call"),
                   " in ", FormatDuration(breaker.window()));
  if (breaker.failure_rate() > 0) {
    rules.push_back(
        absl::StrCat(Percent(breaker.failure_rate()), of_window, " failed"));
  }
  // Without a time no call is slow.
  if (breaker.slow_rate() > 0 && breaker.has_slow_call()) {
    rules.push_back(
        absl::StrCat(Percent(breaker.slow_rate()), of_window, " were slow"));
  }
  if (breaker.open_on_critical()) rules.push_back("a CRITICAL failure");
  return rules;
}

std::string FormatOpens(const config::v1::BreakerPolicy& breaker) {
  if (!breaker.enabled()) return "never: turned off";
  const std::vector<std::string> rules = OpeningRules(breaker);
  if (!rules.empty()) return absl::StrJoin(rules, "; or ");
  return breaker.throttle_k() > 0 || breaker.max_concurrent_calls() > 0
             ? "never, but refuses calls as said below"
             : "never: no rule is set";
}

std::string FormatThrottle(const Breaker& breaker) {
  const config::v1::BreakerPolicy& policy = breaker.policy().breaker();
  return absl::StrCat("refuses ", Percent(breaker.throttle_probability()),
                      " now; begins when the calls of ",
                      FormatDuration(policy.window()), " exceed ",
                      policy.throttle_k(), " x their successes");
}

std::string FormatStaysOpen(const config::v1::BreakerPolicy& breaker) {
  std::string text = FormatDuration(breaker.open_duration());
  if (breaker.open_multiplier() != 1) {
    absl::StrAppend(&text, ", ", breaker.open_multiplier(),
                    " x as long after each failed recovery");
  }
  if (breaker.open_jitter() > 0) {
    absl::StrAppend(&text, ", give or take ", Percent(breaker.open_jitter()));
  }
  if (breaker.use_server_delay()) {
    // As the breaker does; see BreakerOptions::use_server_delay.
    absl::StrAppend(
        &text, ", or as long as the server asks, at least ",
        absl::FormatDuration(std::max(ToDuration(breaker.open_duration()) / 10,
                                      absl::Milliseconds(1))));
  }
  if (breaker.open_multiplier() != 1 || breaker.open_jitter() > 0 ||
      breaker.use_server_delay()) {
    absl::StrAppend(
        &text, ", up to ",
        absl::FormatDuration(std::max(ToDuration(breaker.max_open_duration()),
                                      ToDuration(breaker.open_duration()))));
  }
  return text;
}

std::string FormatRecovery(const config::v1::BreakerPolicy& breaker) {
  std::string text =
      breaker.half_open_failure_rate() > 0
          ? absl::StrCat(Count(breaker.half_open_permits(), "outcome"),
                         " awaited: opens again if at least ",
                         Percent(breaker.half_open_failure_rate()),
                         " failed, else closes")
          : absl::StrCat(Count(breaker.half_open_permits(), "probe"),
                         " at once, ",
                         breaker.half_open_successes() == 1
                             ? "1 success closes"
                             : absl::StrCat(breaker.half_open_successes(),
                                            " successes close"),
                         ", a failure opens again");
  absl::StrAppend(&text, "; a probe holds its place for ",
                  FormatDuration(breaker.permit_lease()), " at most");
  if (breaker.has_half_open_max_wait()) {
    absl::StrAppend(&text, "; opens again if undecided after ",
                    FormatDuration(breaker.half_open_max_wait()));
  }
  return text;
}

std::string FormatRamp(const config::v1::BreakerPolicy& breaker) {
  std::vector<std::string> shares;
  for (const double share : breaker.ramp()) shares.push_back(Percent(share));
  return absl::StrCat("admits ", absl::StrJoin(shares, ", "),
                      " of the calls after recovery, each for ",
                      FormatDuration(breaker.ramp_step()));
}

// What the breaker goes by.
void AddRules(const Breaker& breaker, std::vector<Row>* rows) {
  const config::v1::BreakerPolicy& policy = breaker.policy().breaker();
  const bool can_open = !OpeningRules(policy).empty();
  rows->push_back({"opens", FormatOpens(policy)});
  if (policy.has_slow_call()) {
    rows->push_back(
        {"slow calls",
         absl::StrCat("those that take ", FormatDuration(policy.slow_call()),
                      " or longer")});
  }
  if (policy.critical_weight() > 1) {
    rows->push_back({"critical", absl::StrCat("a CRITICAL failure counts as ",
                                              policy.critical_weight())});
  }
  if (policy.throttle_k() > 0) {
    rows->push_back({"throttle", FormatThrottle(breaker)});
  }
  if (policy.max_concurrent_calls() > 0) {
    rows->push_back(
        {"bulkhead", absl::StrCat(breaker.calls_under_way(), " of at most ",
                                  Count(policy.max_concurrent_calls(), "call"),
                                  " under way")});
  }
  if (can_open || breaker.state() == admin::v1::STATE_OPEN ||
      breaker.state() == admin::v1::STATE_HALF_OPEN) {
    rows->push_back({"stays open", FormatStaysOpen(policy)});
    rows->push_back({"recovers", FormatRecovery(policy)});
    if (policy.ramp_size() > 0) rows->push_back({"ramp", FormatRamp(policy)});
  }
  rows->push_back(
      {"tells",
       absl::StrCat("of rejections at most once per ",
                    FormatDuration(policy.rejection_event_interval()))});
}

std::string FormatHedging(const config::v1::HedgingPolicy& hedging) {
  const std::string delay = FormatDuration(hedging.delay());
  return absl::StrCat(
      "instead of retries ", hedging.max_hedges(), " more, each after ",
      hedging.delay_percentile() == 0
          ? delay
          : absl::StrCat("what ", hedging.delay_percentile(),
                         "% of the successes take, or ", delay));
}

std::string FormatStreamRetry(const config::v1::StreamRetryPolicy& retry) {
  if (!retry.enabled()) return "not retried";
  return absl::StrCat("retried until they are answered or have sent ",
                      retry.replay_buffer_bytes(), " bytes");
}

// What the method's calls get besides.
void AddPolicy(const Breaker& breaker, std::vector<Row>* rows) {
  const config::v1::Policy& policy = breaker.policy();
  rows->push_back({"retries", FormatRetry(policy.retry())});
  if (policy.hedging().max_hedges() > 0) {
    rows->push_back({"hedged", FormatHedging(policy.hedging())});
  }
  rows->push_back({"streams", FormatStreamRetry(policy.stream_retry())});
  rows->push_back({"repeatable", FormatRepeatable(breaker)});
  if (breaker.has_retry_budget()) {
    rows->push_back({"retry budget", FormatBudget(breaker)});
  }
  if (policy.has_timeout()) {
    rows->push_back({"timeout", FormatDuration(policy.timeout())});
  }
  if (policy.has_attempt_timeout()) {
    rows->push_back(
        {"attempt timeout", FormatDuration(policy.attempt_timeout())});
  }
  rows->push_back({"if rejected", policy.wait_when_rejected()
                                      ? "waits for the breaker"
                                      : "fails at once"});
  if (policy.commit_at_initial_metadata()) {
    rows->push_back({"last attempt", "that which received initial metadata"});
  }
  if (policy.has_wait_for_ready()) {
    rows->push_back({"wait for ready", policy.wait_for_ready() ? "yes" : "no"});
  }
  if (!policy.authority().empty()) {
    rows->push_back({"authority", Printable(policy.authority())});
  }
  if (policy.classification_size() > 0) {
    rows->push_back({"classification", FormatClassification(policy)});
  }
  rows->push_back({"fallback", policy.has_fallback()
                                   ? FormatFallback(policy.fallback())
                                   : "no"});
  if (policy.has_final_failure_hook()) {
    rows->push_back({"final failure", "told to a hook of the application"});
  }
  if (policy.has_attempt_hook()) {
    rows->push_back({"attempts", "told to a hook of the application"});
  }
}

std::string FormatHistory(const Breaker& breaker, const Style& style) {
  std::vector<Row> rows = {Heading(
      {"TIME", "CHANNEL", "FROM", "TO", "CALLS", "FAILED", "CAUSE"}, style)};
  for (const admin::v1::Transition& transition : breaker.history()) {
    rows.push_back({Stamp(ToTime(transition.time())),
                    Printable(transition.channel()),
                    FormatState(transition.from(), style),
                    FormatState(transition.to(), style),
                    absl::StrCat(CallsOf(transition.window())),
                    absl::StrCat(transition.window().failures()),
                    Printable(transition.cause())});
  }
  return Align(std::move(rows), style, {"  ", {1, 6}});
}

Row TableNames() {
  return {"CHANNEL", "METHOD", "STATE",    "FOR",       "CALLS",
          "FAILED",  "RATE",   "REJECTED", "NEXT PROBE"};
}

Row TableRow(const Breaker& breaker, const Style& style) {
  return {Printable(breaker.channel()),
          Printable(breaker.method()),
          FormatState(breaker.state(), style),
          Rough(breaker.in_state()),
          absl::StrCat(CallsOf(breaker.window())),
          absl::StrCat(breaker.window().failures()),
          Percent(breaker.window().failure_rate()),
          absl::StrCat(breaker.rejections()),
          NextProbe(breaker)};
}

Row ChannelNames() {
  return {"CHANNEL", "METHODS", "POLICIES FROM", "HASH",
          "LOADED",  "RELOADS", "FAILED",        "ERROR"};
}

Row ChannelRow(const admin::v1::Channel& channel) {
  Row row = {Printable(channel.channel()), absl::StrCat(channel.methods())};
  if (!channel.has_policy_source()) {
    row.insert(row.end(), {"code", "-", "-", "-", "-", "-"});
    return row;
  }
  const admin::v1::PolicySource& source = channel.policy_source();
  row.insert(row.end(),
             {Printable(source.name()), Printable(source.hash()),
              absl::StrCat(Rough(source.loaded_age()), " ago"),
              absl::StrCat(source.reloads()), absl::StrCat(source.failures()),
              source.error().empty() ? "-" : Printable(source.error())});
  return row;
}

Row Behind(std::string first, const Row& row) {
  Row whole = {std::move(first)};
  whole.insert(whole.end(), row.begin(), row.end());
  return whole;
}

}  // namespace

std::string FormatTable(
    const google::protobuf::RepeatedPtrField<Breaker>& breakers,
    const Style& style) {
  std::vector<Row> rows = {Heading(TableNames(), style)};
  for (const Breaker& breaker : breakers) {
    rows.push_back(TableRow(breaker, style));
  }
  return Align(std::move(rows), style, {"", {0, 1}});
}

std::string FormatTable(const std::vector<BreakersOfProcess>& processes,
                        const Style& style) {
  std::vector<Row> rows = {Heading(Behind("PROCESS", TableNames()), style)};
  for (const BreakersOfProcess& one : processes) {
    for (const Breaker& breaker : *one.breakers) {
      rows.push_back(Behind(Printable(one.process), TableRow(breaker, style)));
    }
  }
  return Align(std::move(rows), style, {"", {0, 1, 2}});
}

std::string FormatChannels(
    const google::protobuf::RepeatedPtrField<admin::v1::Channel>& channels,
    const Style& style) {
  std::vector<Row> rows = {Heading(ChannelNames(), style)};
  for (const admin::v1::Channel& channel : channels) {
    rows.push_back(ChannelRow(channel));
  }
  return Align(std::move(rows), style, {"", {0, 2, 7}});
}

std::string FormatChannels(const std::vector<ChannelsOfProcess>& processes,
                           const Style& style) {
  std::vector<Row> rows = {Heading(Behind("PROCESS", ChannelNames()), style)};
  for (const ChannelsOfProcess& one : processes) {
    for (const admin::v1::Channel& channel : *one.channels) {
      rows.push_back(Behind(Printable(one.process), ChannelRow(channel)));
    }
  }
  return Align(std::move(rows), style, {"", {0, 1, 3, 8}});
}

std::string FormatBreaker(const Breaker& breaker, const Style& style) {
  std::vector<Row> rows = {
      {"method", Printable(breaker.method())},
      {"channel", Printable(breaker.channel())},
      {"state", absl::StrCat(FormatState(breaker.state(), style), " since ",
                             Stamp(ToTime(breaker.since())), ", ",
                             Rough(breaker.in_state()), " ago")},
  };
  if (breaker.has_manual()) {
    rows.push_back({"held", FormatManual(breaker.manual())});
  }
  if (breaker.state() == admin::v1::STATE_METRICS_ONLY) {
    rows.push_back({"would be", FormatState(breaker.shadow_state(), style)});
  }
  if (breaker.state() == admin::v1::STATE_METRICS_ONLY ||
      breaker.would_have_rejected() > 0) {
    rows.push_back(
        {"would have rejected", Count(breaker.would_have_rejected(), "call")});
  }
  if (breaker.has_next_probe_in()) {
    rows.push_back({"next probe", NextProbe(breaker)});
  }
  rows.push_back(FormatWindow(breaker));
  if (breaker.ramp_share() < 1) {
    rows.push_back({"admits", absl::StrCat(Percent(breaker.ramp_share()),
                                           " of the calls, by the ramp")});
  }
  rows.push_back({"last minute", FormatRecent(breaker.recent())});
  rows.push_back({"calls", absl::StrCat(breaker.calls(), ", ",
                                        breaker.failed_calls(), " failed")});
  rows.push_back(
      {"failures in a row", absl::StrCat(breaker.consecutive_failures())});
  rows.push_back({"rejections", absl::StrCat(breaker.rejections())});
  rows.push_back({"transitions", absl::StrCat(breaker.transitions())});
  if (breaker.events_dropped() > 0 || breaker.events_failed() > 0) {
    rows.push_back(
        {"listeners",
         absl::StrCat("missed ", Count(breaker.events_dropped(), "event"),
                      ", failed at ",
                      Count(breaker.events_failed(), "event"))});
  }
  rows.push_back({"last error", breaker.has_last_error()
                                    ? FormatLastError(breaker.last_error())
                                    : "none"});
  AddPolicy(breaker, &rows);
  AddRules(breaker, &rows);
  for (Row& row : rows) row[0] += ":";
  std::string text = Align(std::move(rows));
  if (breaker.history_size() > 0) {
    absl::StrAppend(&text, "history:\n", FormatHistory(breaker, style));
  }
  return text;
}

std::string FormatEvent(const admin::v1::WatchBreakersResponse& event,
                        absl::Time now, const Style& style) {
  using Event = admin::v1::WatchBreakersResponse;
  if (event.kind() == Event::KIND_SNAPSHOT_END) return "";
  const Breaker& breaker = event.breaker();
  const bool has_state = event.kind() == Event::KIND_SNAPSHOT ||
                         event.kind() == Event::KIND_CHANGED;
  std::vector<std::string> words = {
      Stamp(has_state ? ToTime(breaker.since()) : now),
      Short(Event::Kind_Name(event.kind()), "KIND_"),
      Printable(breaker.channel())};
  if (!breaker.method().empty()) {
    words.push_back(Printable(breaker.method()));
    words.push_back(FormatState(breaker.state(), style));
  }
  if (!event.cause().empty()) {
    words.push_back(absl::StrCat("(", Printable(event.cause()), ")"));
  }
  return absl::StrCat(absl::StrJoin(words, " "), "\n");
}

}  // namespace grpc_breaker::breakerctl
