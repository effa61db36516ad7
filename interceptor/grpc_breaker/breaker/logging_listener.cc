#include "grpc_breaker/logging_listener.h"

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpc_breaker/breaker/log_line.h"

namespace grpc_breaker {
namespace {

using absl::LogSeverity;
using internal::LogLine;

LogSeverity SeverityOf(BreakerState to) {
  switch (to) {
    case BreakerState::kOpen:
      return LogSeverity::kError;
    case BreakerState::kForcedOpen:
    case BreakerState::kForcedClosed:
    case BreakerState::kMetricsOnly:
      return LogSeverity::kWarning;
    case BreakerState::kClosed:
    case BreakerState::kHalfOpen:
      break;
  }
  return LogSeverity::kInfo;
}

absl::string_view LevelName(LogSeverity severity) {
  switch (severity) {
    case LogSeverity::kInfo:
      return "info";
    case LogSeverity::kWarning:
      return "warning";
    default:
      return "error";
  }
}

class LoggingListener : public BreakerListener {
 public:
  LoggingListener(LogSink sink, LogFormat format)
      : sink_(std::move(sink)), format_(format) {}

  void OnTransition(const BreakerTransition& transition) override {
    const LogSeverity severity = SeverityOf(transition.to);
    LogLine line = Begin(severity, "transition", transition);
    line.Add("from", ToString(transition.from))
        .Add("to", ToString(transition.to))
        .Add("cause", transition.cause);
    AddCount(line, "calls", transition.counts.calls());
    AddCount(line, "failures", transition.counts.failures);
    AddCount(line, "slow", transition.counts.slow);
    sink_(severity, line.Text());
  }

  void OnRejections(const BreakerRejections& rejections) override {
    LogLine line = Begin(LogSeverity::kWarning, "rejections", rejections);
    line.Add("reason", ToString(rejections.last_reason))
        .AddNumber("rejections", rejections.rejections);
    sink_(LogSeverity::kWarning, line.Text());
  }

  void OnEventsDropped(const BreakerEventsDropped& dropped) override {
    LogLine line = Begin(LogSeverity::kWarning, "events_dropped", dropped);
    line.AddNumber("dropped", dropped.dropped);
    sink_(LogSeverity::kWarning, line.Text());
  }

  void OnPolicyWarning(const PolicyWarning& warning) override {
    LogLine line =
        Begin(LogSeverity::kWarning, "policy_warning", warning.wall_time);
    AddUnlessEmpty(line, "channel", warning.channel);
    line.Add("field", warning.field).Add("message", warning.message);
    sink_(LogSeverity::kWarning, line.Text());
  }

  void OnAudit(const BreakerAudit& audit) override {
    const LogSeverity severity =
        audit.status.ok() ? LogSeverity::kInfo : LogSeverity::kWarning;
    LogLine line = Begin(severity, "audit", audit.wall_time);
    line.Add("rpc", audit.rpc);
    AddUnlessEmpty(line, "channel", audit.channel);
    AddUnlessEmpty(line, "method", audit.method);
    AddUnlessEmpty(line, "method_prefix", audit.method_prefix);
    line.Add("actor", audit.actor)
        .AddBool("authenticated", audit.authenticated)
        .Add("peer", audit.peer)
        .Add("reason", audit.reason);
    if (audit.time_to_live != absl::InfiniteDuration()) {
      line.Add("ttl", absl::FormatDuration(audit.time_to_live));
    }
    AddCount(line, "changed", audit.changed);
    AddUnlessEmpty(line, "policy_changes",
                   absl::StrJoin(audit.policy_changes, ", "));
    line.Add("code", absl::StatusCodeToString(audit.status.code()));
    AddUnlessEmpty(line, "message", audit.status.message());
    sink_(severity, line.Text());
  }

  void OnPolicyReload(const PolicyReload& reload) override {
    const LogSeverity severity =
        reload.error.empty() ? LogSeverity::kInfo : LogSeverity::kError;
    LogLine line = Begin(severity, "policy_reload", reload.wall_time);
    AddUnlessEmpty(line, "channel", reload.channel);
    line.Add("source", reload.source);
    AddUnlessEmpty(line, "hash", reload.hash);
    AddUnlessEmpty(line, "error", reload.error);
    sink_(severity, line.Text());
  }

 private:
  LogLine Begin(LogSeverity severity, absl::string_view event,
                absl::Time time) const {
    LogLine line(format_);
    line.Add("time", absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time,
                                      absl::UTCTimeZone()))
        .Add("level", LevelName(severity))
        .Add("event", event);
    return line;
  }

  // Of a breaker.
  template <typename Event>
  LogLine Begin(LogSeverity severity, absl::string_view name,
                const Event& event) const {
    LogLine line = Begin(severity, name, event.wall_time);
    AddUnlessEmpty(line, "channel", event.channel);
    line.Add("breaker", event.breaker);
    return line;
  }

  static void AddUnlessEmpty(LogLine& line, absl::string_view key,
                             absl::string_view value) {
    if (!value.empty()) line.Add(key, value);
  }

  static void AddCount(LogLine& line, absl::string_view key, int64_t count) {
    line.AddNumber(key, static_cast<uint64_t>(count));
  }

  const LogSink sink_;
  const LogFormat format_;
};

void WriteToStderr(LogSeverity /*severity*/, absl::string_view line) {
  const std::string with_end = absl::StrCat(line, "\n");
  std::fwrite(with_end.data(), 1, with_end.size(), stderr);
}

}  // namespace

std::shared_ptr<BreakerListener> MakeLoggingListener(LogSink sink,
                                                     LogFormat format) {
  if (sink == nullptr) sink = WriteToStderr;
  return std::make_shared<LoggingListener>(std::move(sink), format);
}

}  // namespace grpc_breaker
