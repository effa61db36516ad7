#include "tools/breakerctl/format.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace grpc_breaker {
namespace breakerctl {
namespace {

using admin::v1::Breaker;

using Row = std::vector<std::string>;

size_t Width(absl::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  });
}

// Columns two blanks apart, each line behind `indent`.
std::string Align(const std::vector<Row>& rows, absl::string_view indent = "") {
  std::vector<size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], Width(row[i]));
    }
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line(indent);
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&line, row[i],
                      std::string(widths[i] + 2 - Width(row[i]), ' '));
    }
    absl::StrAppend(&text, absl::StripTrailingAsciiWhitespace(line), "\n");
  }
  return text;
}

absl::Duration ToDuration(const google::protobuf::Duration& message) {
  return absl::Seconds(message.seconds()) + absl::Nanoseconds(message.nanos());
}

absl::Time ToTime(const google::protobuf::Timestamp& message) {
  return absl::FromUnixSeconds(message.seconds()) +
         absl::Nanoseconds(message.nanos());
}

std::string FormatDuration(const google::protobuf::Duration& message) {
  return absl::FormatDuration(ToDuration(message));
}

std::string Stamp(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

// Rounded to what one cares for: "250ms", "12s", "3h5m".
std::string Rough(absl::Duration duration) {
  const absl::Duration unit = duration < absl::Seconds(1)
                                  ? absl::Milliseconds(1)
                              : duration < absl::Hours(1) ? absl::Seconds(1)
                                                          : absl::Minutes(1);
  return absl::FormatDuration(
      absl::Trunc(std::max(duration, absl::ZeroDuration()), unit));
}

std::string Ago(const google::protobuf::Timestamp& time, absl::Time now) {
  return absl::StrCat(Rough(now - ToTime(time)), " ago");
}

// The name of an enumerator without its enum's prefix.
std::string Short(std::string name, absl::string_view prefix) {
  return std::string(absl::StripPrefix(name, prefix));
}

std::string StateName(admin::v1::State state) {
  return Short(admin::v1::State_Name(state), "STATE_");
}

std::string Percent(double share) {
  return absl::StrFormat("%.1f%%", 100 * share);
}

int64_t CallsOf(const admin::v1::Window& window) {
  return window.successes() + window.failures();
}

std::string NextProbe(const Breaker& breaker, absl::Time now) {
  if (!breaker.has_next_probe()) return "-";
  const absl::Duration wait = ToTime(breaker.next_probe()) - now;
  return wait > absl::ZeroDuration() ? absl::StrCat("in ", Rough(wait)) : "now";
}

std::string FormatWindow(const admin::v1::Window& window) {
  return absl::StrCat(CallsOf(window), " calls, ", window.failures(),
                      " failed (", Percent(window.failure_rate()), "), ",
                      window.slow(), " slow (", Percent(window.slow_rate()),
                      ")");
}

std::string FormatLastError(const admin::v1::LastError& error, absl::Time now) {
  return absl::StrCat(
      absl::StatusCodeToString(static_cast<absl::StatusCode>(error.code())),
      ", ",
      Short(config::v1::ErrorCategory_Name(error.category()),
            "ERROR_CATEGORY_"),
      ", ",
      Short(config::v1::ErrorSeverity_Name(error.severity()),
            "ERROR_SEVERITY_"),
      ", ", Ago(error.time(), now), ": ", Printable(error.message()));
}

std::string FormatManual(const admin::v1::ManualState& manual, absl::Time now) {
  return absl::StrCat(
      "by ", Printable(manual.actor()), ": ", Printable(manual.reason()),
      manual.has_expires() ? absl::StrCat(", for another ",
                                          Rough(ToTime(manual.expires()) - now))
                           : ", until reset");
}

std::string FormatRetry(const config::v1::RetryPolicy& retry) {
  if (retry.max_retries() == 0) return "never";
  return absl::StrCat(
      retry.max_retries(), " times, after ", FormatDuration(retry.base_delay()),
      " x ", retry.exponential_base(), " up to ",
      FormatDuration(retry.max_delay()), ", jitter ",
      Short(config::v1::Jitter_Name(retry.jitter()), "JITTER_"));
}

std::string FormatOpens(const config::v1::BreakerPolicy& breaker) {
  if (!breaker.enabled()) return "never: turned off";
  std::vector<std::string> rules;
  if (breaker.consecutive_failures() > 0) {
    rules.push_back(
        absl::StrCat(breaker.consecutive_failures(), " failures in a row"));
  }
  if (breaker.last_calls() > 0) {
    rules.push_back(absl::StrCat(breaker.last_calls_failures(), " of the last ",
                                 breaker.last_calls(), " calls failed"));
  }
  const std::string of_window =
      absl::StrCat(" of at least ", breaker.minimum_calls(), " calls in ",
                   FormatDuration(breaker.window()));
  if (breaker.failure_rate() > 0) {
    rules.push_back(
        absl::StrCat(Percent(breaker.failure_rate()), of_window, " failed"));
  }
  if (breaker.slow_rate() > 0) {
    rules.push_back(absl::StrCat(Percent(breaker.slow_rate()), of_window,
                                 " took ", FormatDuration(breaker.slow_call()),
                                 " or longer"));
  }
  if (breaker.open_on_critical()) rules.push_back("a CRITICAL failure");
  return rules.empty() ? "never: no rule is set"
                       : absl::StrJoin(rules, "; or ");
}

std::string FormatRecovery(const config::v1::BreakerPolicy& breaker) {
  return absl::StrCat("after ", FormatDuration(breaker.open_duration()), ", ",
                      breaker.half_open_permits(), " probes at once, ",
                      breaker.half_open_successes(), " successes close");
}

std::string FormatHistory(const Breaker& breaker) {
  std::vector<Row> rows = {{"TIME", "FROM", "TO", "CALLS", "FAILED", "CAUSE"}};
  for (const admin::v1::Transition& transition : breaker.history()) {
    rows.push_back({Stamp(ToTime(transition.time())),
                    StateName(transition.from()), StateName(transition.to()),
                    absl::StrCat(CallsOf(transition.window())),
                    absl::StrCat(transition.window().failures()),
                    Printable(transition.cause())});
  }
  return Align(rows, "  ");
}

}  // namespace

std::string Printable(absl::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = [text](size_t at) -> unsigned char {
      return at < text.size() ? text[at] : 0;
    };
    // U+0080 to U+009F steer terminals, too.
    const bool c1 = byte(i) == 0xC2 && byte(i + 1) < 0xA0;
    const bool after_c1 = i > 0 && byte(i - 1) == 0xC2 && byte(i) < 0xA0;
    if (absl::ascii_iscntrl(byte(i)) || c1 || after_c1) {
      absl::StrAppendFormat(&result, "\\x%02x", byte(i));
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string FormatTable(
    const google::protobuf::RepeatedPtrField<Breaker>& breakers,
    absl::Time now) {
  std::vector<Row> rows = {{"CHANNEL", "METHOD", "STATE", "FOR", "CALLS",
                            "FAILED", "RATE", "REJECTED", "NEXT PROBE"}};
  for (const Breaker& breaker : breakers) {
    rows.push_back(
        {Printable(breaker.channel()), Printable(breaker.method()),
         StateName(breaker.state()), Rough(now - ToTime(breaker.since())),
         absl::StrCat(CallsOf(breaker.window())),
         absl::StrCat(breaker.window().failures()),
         Percent(breaker.window().failure_rate()),
         absl::StrCat(breaker.rejections()), NextProbe(breaker, now)});
  }
  return Align(rows);
}

std::string FormatBreaker(const Breaker& breaker, absl::Time now) {
  const config::v1::Policy& policy = breaker.policy();
  std::vector<Row> rows = {
      {"method", Printable(breaker.method())},
      {"channel", Printable(breaker.channel())},
      {"state", absl::StrCat(StateName(breaker.state()), " since ",
                             Stamp(ToTime(breaker.since())), ", ",
                             Ago(breaker.since(), now))},
  };
  if (breaker.has_manual()) {
    rows.push_back({"held", FormatManual(breaker.manual(), now)});
  }
  if (breaker.has_next_probe()) {
    rows.push_back({"next probe", NextProbe(breaker, now)});
  }
  rows.push_back({"window", FormatWindow(breaker.window())});
  rows.push_back(
      {"failures in a row", absl::StrCat(breaker.consecutive_failures())});
  rows.push_back({"rejections", absl::StrCat(breaker.rejections())});
  rows.push_back({"transitions", absl::StrCat(breaker.transitions())});
  rows.push_back({"last error", breaker.has_last_error()
                                    ? FormatLastError(breaker.last_error(), now)
                                    : "none"});
  rows.push_back({"retries", FormatRetry(policy.retry())});
  rows.push_back({"repeatable", breaker.repeatable() ? "yes" : "no"});
  if (breaker.has_retry_budget_tokens()) {
    rows.push_back({"retry budget", absl::StrCat(breaker.retry_budget_tokens(),
                                                 " tokens left")});
  }
  if (policy.has_timeout()) {
    rows.push_back({"timeout", FormatDuration(policy.timeout())});
  }
  if (policy.has_attempt_timeout()) {
    rows.push_back(
        {"attempt timeout", FormatDuration(policy.attempt_timeout())});
  }
  rows.push_back({"fallback", policy.has_fallback() ? "yes" : "no"});
  rows.push_back({"opens", FormatOpens(policy.breaker())});
  rows.push_back({"recovers", FormatRecovery(policy.breaker())});
  for (Row& row : rows) row[0] += ":";
  std::string text = Align(rows);
  if (breaker.history_size() > 0) {
    absl::StrAppend(&text, "history:\n", FormatHistory(breaker));
  }
  return text;
}

std::string FormatEvent(const admin::v1::WatchBreakersResponse& event,
                        absl::Time now) {
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
    words.push_back(StateName(breaker.state()));
  }
  if (!event.cause().empty()) {
    words.push_back(absl::StrCat("(", Printable(event.cause()), ")"));
  }
  return absl::StrCat(absl::StrJoin(words, " "), "\n");
}

}  // namespace breakerctl
}  // namespace grpc_breaker
