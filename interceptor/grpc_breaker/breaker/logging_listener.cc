#include "grpc_breaker/logging_listener.h"

#include <cstdio>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace grpc_breaker {
namespace {

class LoggingListener : public BreakerListener {
 public:
  explicit LoggingListener(LogSink sink) : sink_(std::move(sink)) {}

  void OnTransition(const BreakerTransition& transition) override {
    sink_(absl::StrCat(Beginning(transition), ToString(transition.from), " -> ",
                       ToString(transition.to), " (",
                       absl::Utf8SafeCEscape(transition.cause), "; ",
                       transition.counts.calls(),
                       transition.counts.calls() == 1 ? " call, " : " calls, ",
                       transition.counts.failures, " failed)"));
  }

  void OnEventsDropped(const BreakerEventsDropped& dropped) override {
    sink_(absl::StrCat(Beginning(dropped), dropped.dropped,
                       dropped.dropped == 1 ? " event was" : " events were",
                       " dropped, as listeners are too slow"));
  }

  void OnPolicyWarning(const PolicyWarning& warning) override {
    sink_(absl::StrCat(
        Beginning(warning.wall_time, "policy", warning.channel, warning.field),
        absl::Utf8SafeCEscape(warning.message)));
  }

  void OnPolicyReload(const PolicyReload& reload) override {
    sink_(absl::StrCat(
        Beginning(reload.wall_time, "policies", reload.channel, reload.source),
        reload.error.empty()
            ? absl::StrCat("now those of ", reload.hash)
            : absl::StrCat("as before: ",
                           absl::Utf8SafeCEscape(reload.error))));
  }

 private:
  template <typename Event>
  static std::string Beginning(const Event& event) {
    return Beginning(event.wall_time, "breaker", event.channel, event.breaker);
  }

  // "TIME WHAT CHANNEL NAME: "
  static std::string Beginning(absl::Time time, absl::string_view what,
                               absl::string_view channel,
                               absl::string_view name) {
    return absl::StrCat(
        absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone()),
        " ", what, " ", absl::Utf8SafeCEscape(channel),
        channel.empty() ? "" : " ", absl::Utf8SafeCEscape(name), ": ");
  }

  const LogSink sink_;
};

void WriteToStderr(absl::string_view line) {
  const std::string with_end = absl::StrCat(line, "\n");
  std::fwrite(with_end.data(), 1, with_end.size(), stderr);
}

}  // namespace

std::shared_ptr<BreakerListener> MakeLoggingListener(LogSink sink) {
  if (sink == nullptr) sink = WriteToStderr;
  return std::make_shared<LoggingListener>(std::move(sink));
}

}  // namespace grpc_breaker
