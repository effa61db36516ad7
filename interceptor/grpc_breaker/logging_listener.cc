#include "grpc_breaker/logging_listener.h"

#include <cstdio>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
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

 private:
  // "TIME breaker CHANNEL METHOD: "
  template <typename Event>
  static std::string Beginning(const Event& event) {
    return absl::StrCat(absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ",
                                         event.wall_time, absl::UTCTimeZone()),
                        " breaker ", absl::Utf8SafeCEscape(event.channel),
                        event.channel.empty() ? "" : " ",
                        absl::Utf8SafeCEscape(event.breaker), ": ");
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
