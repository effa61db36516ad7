// Metrics as Prometheus gets them: over HTTP, from a client that calls a real
// server; and what the real Prometheus makes of them, where it is installed.

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/config_file_source.h"
#include "grpc_breaker/prometheus_collector.h"
#include "prometheus/exposer.h"
#include "tests/e2e/child.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/http.h"
#include "tests/e2e/real_prometheus.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class PrometheusTest : public E2eTest {
 protected:
  PrometheusTest() {
    PrometheusOptions options;
    options.directory = &directory_;
    auto collector = MakePrometheusCollector(options);
    EXPECT_TRUE(collector.ok()) << collector.status();
    collector_ = *std::move(collector);
    exposer_.RegisterCollectable(collector_);
    options_.channel_name = "shop";
    policy().breaker.consecutive_failures = 2;
    policy().retry.max_retries = 1;
  }

  int port() const { return exposer_.GetListeningPorts().at(0); }
  std::string Scrape() { return HttpGet(port(), "/metrics"); }

  CallResult CallIt(const std::shared_ptr<grpc::Channel>& channel) {
    return ThroughBackoffs(
        [&] { return Call(Flavour::kSync, channel, "hello"); });
  }

  // One that succeeds, one whose failures open the breaker, and one that it
  // refuses.
  std::shared_ptr<grpc::Channel> OpenTheBreaker() {
    const auto channel = MakeChannel();
    EXPECT_TRUE(CallIt(channel).status.ok());
    server_.Push(2, Answer::Error(StatusCode::UNAVAILABLE));
    // By two calls where there are no retries.
    while (Breaker(kUnary).state == BreakerState::kClosed) {
      EXPECT_EQ(CallIt(channel).status.error_code(), StatusCode::UNAVAILABLE);
    }
    EXPECT_EQ(CallIt(channel).status.error_code(), StatusCode::UNAVAILABLE);
    return channel;
  }

  prometheus::Exposer exposer_{"127.0.0.1:0"};
  std::shared_ptr<prometheus::Collectable> collector_;
};

// The lines of a metric of kUnary, in channel "shop", without what is common.
std::vector<std::string> Samples(const std::string& text,
                                 const std::string& metric) {
  const std::string labels = absl::StrCat(
      metric, "{channel=\"shop\",grpc_method=\"", kUnary + 1, "\"");
  std::vector<std::string> samples;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, labels)) continue;
    absl::ConsumePrefix(&line, ",");
    samples.emplace_back(line);
  }
  return samples;
}

ATTEMPTS_TEST_F(PrometheusTest, ScrapeTellsWhatCallsBreakerAndRetriesDid) {
  const auto channel = OpenTheBreaker();
  const std::string text = Scrape();
  EXPECT_THAT(
      Samples(text, "grpc_breaker_state"),
      ::testing::IsSupersetOf({"state=\"closed\"} 0", "state=\"open\"} 1"}));
  EXPECT_THAT(Samples(text, "grpc_breaker_transitions_total"),
              ::testing::Contains("from=\"closed\",to=\"open\"} 1"));
  EXPECT_THAT(Samples(text, "grpc_breaker_rejections_total"),
              ::testing::ElementsAre("reason=\"open\"} 1"));
  EXPECT_THAT(
      Samples(text, "grpc_breaker_calls_total"),
      ::testing::UnorderedElementsAre(
          "outcome=\"succeeded\",category=\"none\",grpc_status=\"OK\"} 1",
          "outcome=\"failed\",category=\"transient\","
          "grpc_status=\"UNAVAILABLE\"} 1",
          "outcome=\"rejected\",category=\"transient\","
          "grpc_status=\"UNAVAILABLE\"} 1"));
  EXPECT_THAT(Samples(text, "grpc_breaker_attempts_total"),
              ::testing::UnorderedElementsAre(
                  "category=\"none\",grpc_status=\"OK\"} 1",
                  "category=\"transient\",grpc_status=\"UNAVAILABLE\"} 2"));
  EXPECT_THAT(Samples(text, "grpc_breaker_retries_total"),
              ::testing::ElementsAre("} 1"));
  EXPECT_THAT(Samples(text, "grpc_breaker_calls_stopped_total"),
              ::testing::UnorderedElementsAre(
                  "retried=\"false\",reason=\"succeeded\"} 1",
                  "retried=\"true\",reason=\"exhausted\"} 1",
                  "retried=\"false\",reason=\"breaker_open\"} 1"));
  // The backoff was 10 s long, on the clock of the test.
  EXPECT_THAT(Samples(text, "grpc_client_call_duration_seconds_sum"),
              ::testing::UnorderedElementsAre(
                  "grpc_status=\"OK\"} 0", "grpc_status=\"UNAVAILABLE\"} 10"));
  EXPECT_THAT(Samples(text, "grpc_client_attempt_duration_seconds_sum"),
              ::testing::UnorderedElementsAre(
                  "grpc_status=\"OK\"} 0", "grpc_status=\"UNAVAILABLE\"} 0"));
}

TEST_F(PrometheusTest, ScrapeOfAProcessWithoutChannelsIsNoError) {
  // What the exposer tells of itself.
  EXPECT_THAT(Scrape(), AllOf(HasSubstr("exposer_scrapes_total"),
                              Not(HasSubstr("grpc_"))));
}

TEST_F(PrometheusTest, MetricsEndWithTheirChannelAndTheExposersWithTheirs) {
  auto channel = OpenTheBreaker();
  EXPECT_THAT(Scrape(), HasSubstr("grpc_breaker_state{"));
  channel.reset();
  WaitUntil([&] { return !absl::StrContains(Scrape(), "grpc_breaker_"); },
            "the channel's last call to let it go");
}

TEST_F(PrometheusTest, ScrapeTellsThatAChangedFileIsWrong) {
  const std::string path = ::testing::TempDir() + "/prometheus_test.txtpb";
  std::ofstream(path) << "default_policy { retry { max_retries: 2 } }";
  ConfigFileSource file;
  file.environment = &env_;
  auto source = file.Create(path);
  ASSERT_TRUE(source.ok()) << source.status();
  options_.policy_source = *source;
  const auto channel = MakeChannel();
  const auto rewrite = [&](const std::string& text) {
    std::ofstream(path) << text;
    env_.Advance(file.interval);
    return Scrape();
  };
  EXPECT_THAT(
      rewrite("default_policy { retry { max_retries: many } }"),
      AllOf(HasSubstr("grpc_breaker_config_last_reload_successful{"
                      "channel=\"shop\"} 0\n"),
            HasSubstr("grpc_breaker_config_reloads_total{channel=\"shop\","
                      "result=\"failed\"} 1\n")));
  EXPECT_THAT(
      rewrite("default_policy { retry { max_retries: 3 } }"),
      AllOf(HasSubstr("grpc_breaker_config_last_reload_successful{"
                      "channel=\"shop\"} 1\n"),
            HasSubstr("grpc_breaker_config_reloads_total{channel=\"shop\","
                      "result=\"succeeded\"} 1\n"),
            HasSubstr("grpc_breaker_config_info{channel=\"shop\",hash=\"")));
  std::filesystem::remove(path);
}

TEST_F(PrometheusTest, PromtoolFindsNothingWrongWithAScrape) {
  if (!IsInstalled("promtool")) {
    GTEST_SKIP() << "promtool (Debian: prometheus) is not installed";
  }
  // Every metric: what this does not bring about, the unit tests check.
  options_.retry_budget.max_tokens = 10;
  const auto channel = OpenTheBreaker();
  const std::string text = Scrape();
  ASSERT_THAT(text, HasSubstr("grpc_breaker_retry_budget_tokens"));
  ChildProgram promtool({"promtool", "check", "metrics"}, true);
  promtool.Write(text);
  promtool.EndInput();
  EXPECT_EQ(promtool.ReadAll(), "");
  EXPECT_EQ(promtool.Wait(), 0);
}

TEST_F(PrometheusTest, RealPrometheusAnswersQueriesAboutARunningClient) {
  if (!IsInstalled("prometheus")) GTEST_SKIP() << "prometheus is not installed";
  const RealPrometheus prometheus(
      absl::StrCat("scrape_configs:\n"
                   "- job_name: client\n"
                   "  static_configs: [{targets: ['127.0.0.1:",
                   port(), "']}]\n"));
  const auto channel = OpenTheBreaker();
  prometheus.Expect("up{job='client'}", "\"1\"");
  prometheus.Expect("grpc_breaker_state{state='open'} == 1",
                    "\"channel\":\"shop\"");
  prometheus.Expect(absl::StrCat("sum(grpc_breaker_calls_total{grpc_method='",
                                 kUnary + 1, "',outcome='rejected'})"),
                    "\"1\"");
  prometheus.Expect(
      "histogram_quantile(0.5, sum by (le) "
      "(grpc_client_attempt_duration_seconds_bucket{grpc_status='OK'}))",
      "\"0.0005\"");
  // The breaker closes, and Prometheus sees that.
  env_.Advance(absl::Seconds(60));
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(CallIt(channel).status.ok());
  prometheus.Expect("grpc_breaker_state{state='closed'} == 1",
                    "\"channel\":\"shop\"");
  prometheus.Expect(
      "sum(increase(grpc_breaker_transitions_total{to='closed'}[1m])) > 0",
      "\"value\"");
}

}  // namespace
}  // namespace grpc_breaker::e2e
