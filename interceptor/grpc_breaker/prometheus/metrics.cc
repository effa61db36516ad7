#include "grpc_breaker/prometheus/metrics.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace grpc_breaker::internal {

std::string MetricInfo::NameApart() const {
  if (!from_grpc) return name;
  return absl::StrCat("grpc_breaker_", absl::StripPrefix(name, "grpc_"));
}

const std::vector<MetricInfo>& MetricInfos() {
  using prometheus::MetricType;
  static const auto* const infos = new std::vector<MetricInfo>{
      {"grpc_breaker_state",
       MetricType::Gauge,
       {"channel", "grpc_method", "state"},
       "1 for the state that the breaker is in, 0 for each other one."},
      {"grpc_breaker_transitions_total",
       MetricType::Counter,
       {"channel", "grpc_method", "from", "to"},
       "Changes of state of the breaker."},
      {"grpc_breaker_rejections_total",
       MetricType::Counter,
       {"channel", "grpc_method", "reason"},
       "Attempts that the breaker refused."},
      {"grpc_breaker_would_have_rejected_total",
       MetricType::Counter,
       {"channel", "grpc_method"},
       "Attempts that a breaker in the state metrics_only let pass, and would "
       "have refused otherwise."},
      {"grpc_breaker_calls_total",
       MetricType::Counter,
       {"channel", "grpc_method", "outcome", "category", "grpc_status"},
       "Calls that ended, by what the application got."},
      {"grpc_breaker_attempts_total",
       MetricType::Counter,
       {"channel", "grpc_method", "category", "grpc_status"},
       "Attempts that ended, by what the server or the way to it answered."},
      {"grpc_breaker_calls_stopped_total",
       MetricType::Counter,
       {"channel", "grpc_method", "retried", "reason"},
       "Calls that ended, by why they made no further attempt."},
      {"grpc_breaker_retries_total",
       MetricType::Counter,
       {"channel", "grpc_method"},
       "Attempts beyond the first of calls that are not hedged."},
      {"grpc_breaker_hedges_total",
       MetricType::Counter,
       {"channel", "grpc_method"},
       "Attempts beyond the first of calls that are hedged."},
      {"grpc_breaker_hedges_won_total",
       MetricType::Counter,
       {"channel", "grpc_method"},
       "Hedges that were answered first."},
      {"grpc_breaker_hedges_lost_total",
       MetricType::Counter,
       {"channel", "grpc_method"},
       "Hedges that another attempt of their call made pointless."},
      {"grpc_breaker_fallbacks_total",
       MetricType::Counter,
       {"channel", "grpc_method"},
       "Calls that a fallback answered with OK."},
      {"grpc_breaker_retry_budget_tokens",
       MetricType::Gauge,
       {"channel"},
       "Tokens left in the channel's retry budget: at half of the maximum or "
       "less there are no retries."},
      {"grpc_breaker_retry_budget_max_tokens",
       MetricType::Gauge,
       {"channel"},
       "Tokens in the channel's retry budget when it is full."},
      {"grpc_breaker_events_dropped_total",
       MetricType::Counter,
       {"channel"},
       "Events that listeners were not told, because too many waited."},
      {"grpc_breaker_events_failed_total",
       MetricType::Counter,
       {"channel"},
       "Events at which a listener threw."},
      {"grpc_breaker_config_reloads_total",
       MetricType::Counter,
       {"channel", "result"},
       "Changes of the channel's policies at their source, by whether they "
       "came into force."},
      {"grpc_breaker_config_last_reload_successful",
       MetricType::Gauge,
       {"channel"},
       "Whether what was read last of the policies' source is in force: 1 or "
       "0."},
      {"grpc_breaker_config_last_reload_success_timestamp_seconds",
       MetricType::Gauge,
       {"channel"},
       "When the policies in force were read, in seconds since 1970."},
      {"grpc_breaker_config_info",
       MetricType::Gauge,
       {"channel", "hash"},
       "1, with the hash of the configuration in force."},
      {"grpc_client_call_duration_seconds",
       MetricType::Histogram,
       {"channel", "grpc_method", "grpc_status"},
       "How long calls took for the application, retries and backoffs "
       "included.",
       /*from_grpc=*/true},
      {"grpc_client_attempt_duration_seconds",
       MetricType::Histogram,
       {"channel", "grpc_method", "grpc_status"},
       "How long attempts took.",
       /*from_grpc=*/true},
  };
  return *infos;
}

}  // namespace grpc_breaker::internal
