#include "grpc_breaker/prometheus_collector.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/method.h"
#include "grpc_breaker/policy_source.h"
#include "grpc_breaker/prometheus/metrics.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/stats/call_records.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"
#include "prometheus/text_serializer.h"
#include "tests/channels_fixture.h"
#include "tests/environments.h"

namespace grpc_breaker {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class PrometheusCollectorTest : public ChannelsFixture<ManualEnvironment> {
 protected:
  PrometheusCollectorTest() { options_.directory = &directory_; }

  // What Prometheus is shown.
  std::string Text() {
    auto collector = MakePrometheusCollector(options_);
    EXPECT_TRUE(collector.ok()) << collector.status();
    return prometheus::TextSerializer().Serialize((*collector)->Collect());
  }

  // The lines of one metric, without its name.
  std::vector<std::string> SamplesOf(const std::string& metric) {
    std::vector<std::string> samples;
    for (absl::string_view line : absl::StrSplit(Text(), '\n')) {
      if (absl::ConsumePrefix(&line, metric) && absl::StartsWith(line, "{")) {
        samples.emplace_back(line);
      }
    }
    return samples;
  }

  // The same, of a method in channel "c", without the labels for these.
  std::vector<std::string> SamplesOf(const std::string& metric,
                                     const std::string& method) {
    const std::string labels =
        absl::StrCat("{channel=\"c\",grpc_method=\"", method, "\"");
    std::vector<std::string> samples;
    for (absl::string_view sample : SamplesOf(metric)) {
      if (absl::ConsumePrefix(&sample, labels)) {
        absl::ConsumePrefix(&sample, ",");
        samples.push_back(absl::StrCat("{", sample));
      }
    }
    return samples;
  }

  static void Force(Method& method, BreakerState state) {
    ManualState manual;
    manual.state = state;
    EXPECT_TRUE(method.breaker().SetManualState(manual).ok());
  }

  static internal::CallRecords& Records(Registry& channel) {
    return channel.FindOrCreate("/p.S/M").records();
  }

  PrometheusOptions options_;
};

TEST_F(PrometheusCollectorTest, ProcessWithoutChannelsHasNoMetrics) {
  EXPECT_EQ(Text(), "");
}

TEST_F(PrometheusCollectorTest, StateIsOneSeriesPerStateOfWhichOneIs1) {
  const auto channel = MakeChannel("c");
  Method& method = channel->FindOrCreate("/p.S/M");
  EXPECT_THAT(
      SamplesOf("grpc_breaker_state", "p.S/M"),
      ElementsAre("{state=\"closed\"} 1", "{state=\"open\"} 0",
                  "{state=\"half_open\"} 0", "{state=\"forced_open\"} 0",
                  "{state=\"forced_closed\"} 0", "{state=\"metrics_only\"} 0"));
  Open(method);
  EXPECT_THAT(SamplesOf("grpc_breaker_state", "p.S/M"),
              IsSupersetOf({"{state=\"closed\"} 0", "{state=\"open\"} 1"}));
  Force(method, BreakerState::kMetricsOnly);
  EXPECT_THAT(
      SamplesOf("grpc_breaker_state", "p.S/M"),
      IsSupersetOf({"{state=\"open\"} 0", "{state=\"metrics_only\"} 1"}));
}

TEST_F(PrometheusCollectorTest, TransitionsOfItsOwnAreThereBeforeTheFirst) {
  const auto channel = MakeChannel("c");
  Method& method = channel->FindOrCreate("/p.S/M");
  EXPECT_THAT(SamplesOf("grpc_breaker_transitions_total", "p.S/M"),
              UnorderedElementsAre("{from=\"closed\",to=\"open\"} 0",
                                   "{from=\"open\",to=\"half_open\"} 0",
                                   "{from=\"half_open\",to=\"open\"} 0",
                                   "{from=\"half_open\",to=\"closed\"} 0"));
  Open(method);
  environment_.Advance(absl::Minutes(2));
  Open(method);  // A probe that fails.
  environment_.Advance(absl::Minutes(2));
  Record(method, Outcome::kSuccess);
  Record(method, Outcome::kSuccess);
  Force(method, BreakerState::kForcedOpen);
  EXPECT_THAT(SamplesOf("grpc_breaker_transitions_total", "p.S/M"),
              UnorderedElementsAre("{from=\"closed\",to=\"open\"} 1",
                                   "{from=\"open\",to=\"half_open\"} 2",
                                   "{from=\"half_open\",to=\"open\"} 1",
                                   "{from=\"half_open\",to=\"closed\"} 1",
                                   "{from=\"closed\",to=\"forced_open\"} 1"));
}

TEST_F(PrometheusCollectorTest, CallsCountByOutcomeCategoryAndStatus) {
  const auto channel = MakeChannel("c");
  const MonotonicTime now = environment_.Now();
  internal::CallRecords& records = Records(*channel);
  EXPECT_THAT(SamplesOf("grpc_breaker_calls_total", "p.S/M"),
              ElementsAre("{outcome=\"succeeded\",category=\"none\","
                          "grpc_status=\"OK\"} 0"));
  EXPECT_THAT(SamplesOf("grpc_breaker_attempts_total", "p.S/M"), IsEmpty());

  records.AddSuccessAtOnce(absl::Milliseconds(3), now);
  records.AddSuccessAtOnce(absl::Milliseconds(3), now);
  records.AddAttempt(absl::StatusCode::kUnavailable, ErrorCategory::kNetwork,
                     absl::Milliseconds(1), now);
  records.AddCall({absl::StatusCode::kUnavailable, ErrorCategory::kNetwork,
                   StopReason::kNotRepeatable, 1, absl::Milliseconds(1)},
                  now);
  records.AddCall({absl::StatusCode::kUnavailable, ErrorCategory::kTransient,
                   StopReason::kBreakerOpen, 0, absl::ZeroDuration()},
                  now);
  EXPECT_THAT(
      SamplesOf("grpc_breaker_calls_total", "p.S/M"),
      UnorderedElementsAre(
          "{outcome=\"succeeded\",category=\"none\",grpc_status=\"OK\"} 2",
          "{outcome=\"failed\",category=\"network\","
          "grpc_status=\"UNAVAILABLE\"} 1",
          "{outcome=\"rejected\",category=\"transient\","
          "grpc_status=\"UNAVAILABLE\"} 1"));
  EXPECT_THAT(SamplesOf("grpc_breaker_attempts_total", "p.S/M"),
              UnorderedElementsAre(
                  "{category=\"none\",grpc_status=\"OK\"} 2",
                  "{category=\"network\",grpc_status=\"UNAVAILABLE\"} 1"));
}

TEST_F(PrometheusCollectorTest, CallsThatFailedAloneDoNotHideTheSeriesOfOk) {
  const auto channel = MakeChannel("c");
  // A fallback has answered it.
  Records(*channel).AddCall({absl::StatusCode::kOk, ErrorCategory::kNone,
                             StopReason::kBreakerOpen, 0, absl::ZeroDuration()},
                            environment_.Now());
  EXPECT_THAT(
      SamplesOf("grpc_breaker_calls_total", "p.S/M"),
      UnorderedElementsAre(
          "{outcome=\"rejected\",category=\"none\",grpc_status=\"OK\"} 1",
          "{outcome=\"succeeded\",category=\"none\",grpc_status=\"OK\"} 0"));
}

TEST_F(PrometheusCollectorTest, RejectionsCountByReason) {
  const auto channel = MakeChannel("c");
  internal::CallRecords& records = Records(*channel);
  EXPECT_THAT(SamplesOf("grpc_breaker_rejections_total", "p.S/M"),
              ElementsAre("{reason=\"open\"} 0"));
  records.AddRejection(RejectionReason::kOpen);
  records.AddRejection(RejectionReason::kOpen);
  records.AddRejection(RejectionReason::kHalfOpenLimit);
  EXPECT_THAT(SamplesOf("grpc_breaker_rejections_total", "p.S/M"),
              UnorderedElementsAre("{reason=\"open\"} 2",
                                   "{reason=\"half_open_limit\"} 1"));
}

TEST_F(PrometheusCollectorTest, CallsTellWhyTheyMadeNoFurtherAttempt) {
  const auto channel = MakeChannel("c");
  const MonotonicTime now = environment_.Now();
  internal::CallRecords& records = Records(*channel);
  EXPECT_THAT(SamplesOf("grpc_breaker_calls_stopped_total", "p.S/M"),
              IsEmpty());
  const auto end = [&](StopReason reason, size_t attempts) {
    records.AddCall({absl::StatusCode::kUnavailable, ErrorCategory::kTransient,
                     reason, attempts, absl::Seconds(1)},
                    now);
  };
  std::vector<std::string> expected;
  for (size_t i = 0; i < kStopReasons; ++i) {
    const auto reason = static_cast<StopReason>(i);
    end(reason, 1);
    end(reason, 3);
    end(reason, 2);
    const std::string label = absl::AsciiStrToLower(ToString(reason));
    expected.push_back(
        absl::StrCat("{retried=\"false\",reason=\"", label, "\"} 1"));
    expected.push_back(
        absl::StrCat("{retried=\"true\",reason=\"", label, "\"} 2"));
  }
  EXPECT_THAT(SamplesOf("grpc_breaker_calls_stopped_total", "p.S/M"),
              testing::UnorderedElementsAreArray(expected));
}

TEST_F(PrometheusCollectorTest, RetriesHedgesAndFallbacksCount) {
  const auto channel = MakeChannel("c");
  internal::CallRecords& records = Records(*channel);
  EXPECT_THAT(SamplesOf("grpc_breaker_retries_total", "p.S/M"),
              ElementsAre("{} 0"));
  EXPECT_THAT(Text(),
              AllOf(Not(HasSubstr("hedges")), Not(HasSubstr("fallbacks")),
                    Not(HasSubstr("would_have"))));
  const auto times = [](int n, const std::function<void()>& function) {
    for (int i = 0; i < n; ++i) function();
  };
  times(2, [&] { records.AddRetry(); });
  times(9, [&] { records.AddHedge(); });
  times(3, [&] { records.AddWonHedge(); });
  times(4, [&] { records.AddLostHedge(); });
  times(5, [&] { records.AddFallback(); });
  EXPECT_THAT(SamplesOf("grpc_breaker_retries_total"),
              ElementsAre("{channel=\"c\",grpc_method=\"p.S/M\"} 2"));
  EXPECT_THAT(SamplesOf("grpc_breaker_hedges_total", "p.S/M"),
              ElementsAre("{} 9"));
  EXPECT_THAT(SamplesOf("grpc_breaker_hedges_won_total", "p.S/M"),
              ElementsAre("{} 3"));
  EXPECT_THAT(SamplesOf("grpc_breaker_hedges_lost_total", "p.S/M"),
              ElementsAre("{} 4"));
  EXPECT_THAT(SamplesOf("grpc_breaker_fallbacks_total", "p.S/M"),
              ElementsAre("{} 5"));
}

TEST_F(PrometheusCollectorTest, MetricsOnlyTellsWhatItWouldHaveRejected) {
  const auto channel = MakeChannel("c");
  Method& method = channel->FindOrCreate("/p.S/M");
  Force(method, BreakerState::kMetricsOnly);
  Open(method);
  Record(method, Outcome::kSuccess);
  Record(method, Outcome::kSuccess);
  EXPECT_THAT(SamplesOf("grpc_breaker_would_have_rejected_total", "p.S/M"),
              ElementsAre("{} 2"));
}

TEST_F(PrometheusCollectorTest, DurationsAreHistogramsByStatus) {
  const auto channel = MakeChannel("c");
  const MonotonicTime now = environment_.Now();
  internal::CallRecords& records = Records(*channel);
  options_.latency_bounds = {absl::Milliseconds(1), absl::Milliseconds(2.5),
                             absl::Milliseconds(10)};
  records.AddSuccessAtOnce(absl::Milliseconds(1), now);
  records.AddSuccessAtOnce(absl::Milliseconds(2), now);
  records.AddSuccessAtOnce(absl::Milliseconds(20), now);
  // Of two categories, but of one status.
  for (const auto category :
       {ErrorCategory::kNetwork, ErrorCategory::kTransient}) {
    records.AddCall({absl::StatusCode::kUnavailable, category,
                     StopReason::kExhausted, 2, absl::Milliseconds(500)},
                    now);
  }
  EXPECT_THAT(SamplesOf("grpc_client_call_duration_seconds_bucket", "p.S/M"),
              ElementsAre("{grpc_status=\"OK\",le=\"0.001\"} 1",
                          "{grpc_status=\"OK\",le=\"0.0025\"} 2",
                          "{grpc_status=\"OK\",le=\"0.01\"} 2",
                          "{grpc_status=\"OK\",le=\"+Inf\"} 3",
                          "{grpc_status=\"UNAVAILABLE\",le=\"0.001\"} 0",
                          "{grpc_status=\"UNAVAILABLE\",le=\"0.0025\"} 0",
                          "{grpc_status=\"UNAVAILABLE\",le=\"0.01\"} 0",
                          "{grpc_status=\"UNAVAILABLE\",le=\"+Inf\"} 2"));
  EXPECT_THAT(SamplesOf("grpc_client_call_duration_seconds_sum", "p.S/M"),
              ElementsAre("{grpc_status=\"OK\"} 0.023",
                          "{grpc_status=\"UNAVAILABLE\"} 1"));
  EXPECT_THAT(
      SamplesOf("grpc_client_call_duration_seconds_count", "p.S/M"),
      ElementsAre("{grpc_status=\"OK\"} 3", "{grpc_status=\"UNAVAILABLE\"} 2"));
  EXPECT_THAT(SamplesOf("grpc_client_attempt_duration_seconds_count", "p.S/M"),
              ElementsAre("{grpc_status=\"OK\"} 3"));
}

TEST_F(PrometheusCollectorTest, NamesThatAreNotGrpcsCanBeHad) {
  const auto channel = MakeChannel("c");
  Records(*channel).AddSuccessAtOnce(absl::Milliseconds(1), environment_.Now());
  options_.grpc_names = false;
  const std::string text = Text();
  EXPECT_THAT(text, HasSubstr("\ngrpc_breaker_client_call_duration_seconds_"));
  EXPECT_THAT(text, HasSubstr("\ngrpc_breaker_state{"));
  EXPECT_THAT(text, Not(HasSubstr("\ngrpc_client_")));
}

TEST_F(PrometheusCollectorTest, RetryBudgetShowsItsTokensIfItHasAny) {
  Options options;
  options.retry_budget.max_tokens = 10;
  options.retry_budget.token_ratio = 0.5;
  const auto with_tokens = MakeChannel("tokens", options);
  const auto without = MakeChannel("none");
  options.retry_budget = RetryBudgetOptions();
  options.retry_budget.ratio = 0.1;
  const auto with_ratio = MakeChannel("ratio", options);
  with_tokens->FindOrCreate("/p.S/M").retry_budget()->RecordFailure();
  without->FindOrCreate("/p.S/M");
  with_ratio->FindOrCreate("/p.S/M");
  EXPECT_THAT(SamplesOf("grpc_breaker_retry_budget_tokens"),
              ElementsAre("{channel=\"tokens\"} 9"));
  EXPECT_THAT(SamplesOf("grpc_breaker_retry_budget_max_tokens"),
              ElementsAre("{channel=\"tokens\"} 10"));
}

// A source that says what a test wants it to.
class FakeSource final : public PolicySource {
 public:
  absl::StatusOr<int64_t> ApplyTo(Options*) override { return 0; }
  void Follow(std::weak_ptr<Registry>, int64_t) override {}
  PolicySourceStatus status() const override {
    if (throws) throw 1;
    return told;
  }

  PolicySourceStatus told;
  bool throws = false;
};

TEST_F(PrometheusCollectorTest, ConfigurationShowsItsReloads) {
  const auto source = std::make_shared<FakeSource>();
  source->told.hash = "abc\xff";
  Options options;
  options.policy_source = source;
  const auto channel = MakeChannel("c", options);
  const auto without = MakeChannel("d");
  EXPECT_THAT(SamplesOf("grpc_breaker_config_reloads_total"),
              ElementsAre("{channel=\"c\",result=\"succeeded\"} 0",
                          "{channel=\"c\",result=\"failed\"} 0"));
  EXPECT_THAT(SamplesOf("grpc_breaker_config_last_reload_successful"),
              ElementsAre("{channel=\"c\"} 1"));
  EXPECT_THAT(Text(), Not(HasSubstr("_timestamp_seconds")));
  EXPECT_THAT(SamplesOf("grpc_breaker_config_info"),
              ElementsAre("{channel=\"c\",hash=\"abc\xef\xbf\xbd\"} 1"));

  source->told.reloads = 2;
  source->told.failures = 3;
  source->told.error = "line 1: ...";
  source->told.loaded = absl::FromUnixSeconds(1234);
  EXPECT_THAT(SamplesOf("grpc_breaker_config_reloads_total"),
              ElementsAre("{channel=\"c\",result=\"succeeded\"} 2",
                          "{channel=\"c\",result=\"failed\"} 3"));
  EXPECT_THAT(SamplesOf("grpc_breaker_config_last_reload_successful"),
              ElementsAre("{channel=\"c\"} 0"));
  EXPECT_THAT(
      SamplesOf("grpc_breaker_config_last_reload_success_timestamp_seconds"),
      ElementsAre("{channel=\"c\"} 1234"));
}

TEST_F(PrometheusCollectorTest, ASourceThatThrowsKeepsNothingElseFromItsPlace) {
  const auto source = std::make_shared<FakeSource>();
  source->throws = true;
  Options options;
  options.policy_source = source;
  const auto channel = MakeChannel("c", options);
  const auto other = MakeChannel("d");
  EXPECT_THAT(Text(), Not(HasSubstr("grpc_breaker_config")));
  EXPECT_THAT(SamplesOf("grpc_breaker_events_failed_total"),
              ElementsAre("{channel=\"c\"} 0", "{channel=\"d\"} 0"));
}

// Blocks the first event that it hears, and throws at each further one.
class BadListener final : public BreakerListener {
 public:
  void OnTransition(const BreakerTransition&) override {
    if (heard_++ == 0) return release_.WaitForNotification();
    throw 1;
  }
  void Release() { release_.Notify(); }
  int heard() const { return heard_; }

 private:
  std::atomic<int> heard_{0};
  absl::Notification release_;
};

TEST_F(PrometheusCollectorTest, EventsThatWereDroppedOrFailedCountPerChannel) {
  const auto listener = std::make_shared<BadListener>();
  Options options;
  options.listeners.push_back(listener);
  const auto channel = MakeChannel("c", options);
  EXPECT_THAT(SamplesOf("grpc_breaker_events_dropped_total"),
              ElementsAre("{channel=\"c\"} 0"));
  Method& method = channel->FindOrCreate("/p.S/M");
  std::thread first([&] { Open(method); });
  while (listener->heard() == 0) std::this_thread::yield();
  // While it is told of that, 256 of these wait and 4 do not.
  for (int i = 0; i < 130; ++i) {
    Force(method, BreakerState::kForcedOpen);
    method.breaker().Reset("", "");
  }
  EXPECT_THAT(SamplesOf("grpc_breaker_events_dropped_total"),
              ElementsAre("{channel=\"c\"} 4"));
  listener->Release();
  first.join();
  environment_.Advance(absl::ZeroDuration());  // The rest come on its threads.
  EXPECT_THAT(SamplesOf("grpc_breaker_events_failed_total"),
              ElementsAre("{channel=\"c\"} 256"));
}

TEST_F(PrometheusCollectorTest, MethodsBeyondTheMostShareOneSeries) {
  Options options;
  options.max_methods = 1;
  const auto channel = MakeChannel("c", options);
  channel->FindOrCreate("/p.S/M");
  EXPECT_THAT(SamplesOf("grpc_breaker_retries_total"),
              ElementsAre("{channel=\"c\",grpc_method=\"p.S/M\"} 0"));
  channel->FindOrCreate("/p.S/N").records().AddRetry();
  channel->FindOrCreate("/p.S/O").records().AddRetry();
  EXPECT_THAT(SamplesOf("grpc_breaker_retries_total"),
              ElementsAre("{channel=\"c\",grpc_method=\"p.S/M\"} 0",
                          "{channel=\"c\",grpc_method=\"_other\"} 2"));
}

TEST_F(PrometheusCollectorTest, AllChannelsAreThereHoweverManyThereAre) {
  std::vector<std::shared_ptr<Registry>> channels;
  for (int i = 0; i < 200; ++i) {
    channels.push_back(MakeChannel("c"));  // "c", "c#2", "c#3", ...
    channels.back()->FindOrCreate("/p.S/M");
  }
  EXPECT_EQ(SamplesOf("grpc_breaker_retries_total").size(), 200u);
  channels.resize(100);
  EXPECT_EQ(SamplesOf("grpc_breaker_retries_total").size(), 100u);
}

TEST_F(PrometheusCollectorTest, NamesOfChannelsAreEscaped) {
  const auto quoted = MakeChannel("a\"b\\c\nd");
  const auto umlaut = MakeChannel("b\xc3\xbc");
  EXPECT_THAT(SamplesOf("grpc_breaker_events_dropped_total"),
              ElementsAre("{channel=\"a\\\"b\\\\c\\nd\"} 0",
                          "{channel=\"b\xc3\xbc\"} 0"));
}

class ForbiddenEnvironmentTest : public ChannelsFixture<ForbiddenEnvironment> {
};

TEST_F(ForbiddenEnvironmentTest, CollectingRunsNoCodeOfTheApplications) {
  Options options;
  options.retry_budget.max_tokens = 10;
  const auto channel = MakeChannel("c", options);
  Open(channel->FindOrCreate("/p.S/M"));
  ASSERT_TRUE(
      channel->FindOrCreate("/p.S/N")
          .breaker()
          .SetManualState({BreakerState::kForcedOpen, "", "", absl::Seconds(1)})
          .ok());
  PrometheusOptions of_collector;
  of_collector.directory = &directory_;
  const auto collector = MakePrometheusCollector(of_collector);
  ASSERT_TRUE(collector.ok());
  environment_.Forbid(true);
  EXPECT_FALSE((*collector)->Collect().empty());
  environment_.Forbid(false);
  EXPECT_EQ(environment_.forbidden_uses(), 0);
}

TEST_F(PrometheusCollectorTest, ChannelsMayComeAndGoWhileItCollects) {
  const auto collector = MakePrometheusCollector(options_);
  ASSERT_TRUE(collector.ok());
  std::atomic<bool> over{false};
  std::thread collecting([&] {
    while (!over) (*collector)->Collect();
  });
  for (int i = 0; i < 500; ++i) {
    const auto channel = MakeChannel("c");
    Method& method = channel->FindOrCreate(absl::StrCat("/p.S/M", i));
    Open(method);
    method.records().AddSuccessAtOnce(absl::Milliseconds(i),
                                      environment_.Now());
  }
  over = true;
  collecting.join();
  EXPECT_EQ(Text(), "");
}

TEST_F(PrometheusCollectorTest, CountsNeverGoDownWhileCallsEnd) {
  const auto channel = MakeChannel("c");
  Method& method = channel->FindOrCreate("/p.S/M");
  const auto collector = MakePrometheusCollector(options_);
  ASSERT_TRUE(collector.ok());
  std::atomic<bool> over{false};
  std::thread calling([&] {
    for (int i = 0; i < 20000 || !over; ++i) {
      method.records().AddSuccessAtOnce(absl::Microseconds(100 + i % 5000),
                                        environment_.Now());
    }
  });
  std::map<std::string, std::vector<uint64_t>> before;
  for (int i = 0; i < 200; ++i) {
    for (const auto& family : (*collector)->Collect()) {
      if (family.type != prometheus::MetricType::Histogram) continue;
      ASSERT_EQ(family.metric.size(), 1u);
      const auto& histogram = family.metric[0].histogram;
      std::vector<uint64_t> counts;
      for (const auto& bucket : histogram.bucket) {
        counts.push_back(bucket.cumulative_count);
      }
      counts.push_back(histogram.sample_count);
      EXPECT_TRUE(std::is_sorted(counts.begin(), counts.end()));
      std::vector<uint64_t>& last = before[family.name];
      last.resize(counts.size());
      for (size_t b = 0; b < counts.size(); ++b) {
        EXPECT_GE(counts[b], last[b]);
      }
      last = counts;
    }
  }
  over = true;
  calling.join();
}

TEST_F(PrometheusCollectorTest, HelpAndTypeAreThereForEachMetricOnce) {
  const auto channel = MakeChannel("c");
  const auto other = MakeChannel("d");
  Records(*channel).AddRetry();
  Records(*other).AddRetry();
  const std::vector<std::string> lines = absl::StrSplit(Text(), '\n');
  EXPECT_EQ(std::count(lines.begin(), lines.end(),
                       "# TYPE grpc_breaker_retries_total counter"),
            1);
  EXPECT_EQ(std::count(lines.begin(), lines.end(),
                       "# HELP grpc_breaker_retries_total Attempts beyond the "
                       "first of calls that are not hedged."),
            1);
}

TEST_F(PrometheusCollectorTest, RefusesBoundsThatItWouldNotCountExactly) {
  const auto message = [&](std::vector<absl::Duration> bounds) {
    options_.latency_bounds = std::move(bounds);
    return std::string(MakePrometheusCollector(options_).status().message());
  };
  EXPECT_EQ(message({absl::Milliseconds(1), absl::Microseconds(1230)}),
            "latency_bounds[1]: must be from 11us to 1000s, and 1.0, 1.1, ... "
            "2.0, 2.25, ... 5.0, 5.5, ... 9.5 times a power of ten, got "
            "1.23ms");
  for (const absl::Duration bound :
       {absl::ZeroDuration(), -absl::Seconds(1), absl::Microseconds(10),
        absl::Seconds(1001), absl::Seconds(2000), absl::InfiniteDuration(),
        absl::Seconds(1) + absl::Nanoseconds(0.5)}) {
    EXPECT_THAT(message({bound}), HasSubstr("latency_bounds[0]: must be from "))
        << bound;
  }
  EXPECT_EQ(message({absl::Milliseconds(2), absl::Milliseconds(2)}),
            "latency_bounds[1]: must be more than the one before, 2ms, got "
            "2ms");
  EXPECT_EQ(message({}), "");
  EXPECT_EQ(message({absl::Microseconds(11), absl::Seconds(1000)}), "");
}

TEST_F(PrometheusCollectorTest, BothSetsOfBoundsAreGood) {
  for (const auto& bounds : {DefaultLatencyBounds(), GrpcLatencyBounds()}) {
    options_.latency_bounds = bounds;
    EXPECT_TRUE(options_.Validate().ok()) << options_.Validate();
  }
  EXPECT_EQ(DefaultLatencyBounds().size(), 13u);
  EXPECT_EQ(GrpcLatencyBounds().size(), 39u);
}

TEST_F(PrometheusCollectorTest, RefusesToBeWithoutADirectory) {
  options_.directory = nullptr;
  EXPECT_EQ(MakePrometheusCollector(options_).status(),
            absl::InvalidArgumentError("directory: must not be null"));
}

}  // namespace
}  // namespace grpc_breaker
