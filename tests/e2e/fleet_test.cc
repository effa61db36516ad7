// Twenty processes that call one server: what is seen of them together.

#include <signal.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "tests/e2e/child.h"
#include "tests/e2e/http.h"
#include "tests/e2e/real_prometheus.h"
#include "tests/e2e/test_server.h"
#include "tests/e2e/unary_flavours.h"

namespace grpc_breaker::e2e {
namespace {

using ::google::protobuf::Value;
using ::google::protobuf::util::JsonStringToMessage;
using ::grpc::StatusCode;
using ::testing::HasSubstr;

constexpr int kProcesses = 20;

// The breakers of five of them are open.
class FleetTest : public ::testing::Test {
 protected:
  static constexpr int kOpen = 5;
  // Each has made so many calls that succeeded, and those with an open breaker
  // two more that failed, and one that was refused.
  static constexpr int kSucceeded = 3;

  FleetTest() {
    // Not in TempDir(), whose path may be longer than that of a socket.
    folder_ = "/tmp/fleet.XXXXXX";
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    std::ofstream list(List());
    for (int i = 0; i < kProcesses; ++i) {
      list << Address(i) << "\n";
      processes_.push_back(
          std::make_unique<ChildProgram>(std::vector<std::string>{
              FLEET_CLIENT, server_.target(), Address(i)}));
    }
    for (const auto& process : processes_) {
      targets_.push_back(absl::StrCat("'127.0.0.1:", process->ReadLine(), "'"));
    }
    for (int i = 0; i < kProcesses; ++i) {
      for (int call = 0; call < kSucceeded; ++call) {
        EXPECT_EQ(Call(i), StatusCode::OK);
      }
    }
    for (int i = 0; i < kOpen; ++i) {
      server_.Push(2, Answer::Error(StatusCode::UNAVAILABLE));
      for (int call = 0; call < 3; ++call) {
        EXPECT_EQ(Call(i), StatusCode::UNAVAILABLE);
      }
    }
  }
  ~FleetTest() override {
    processes_.clear();
    std::filesystem::remove_all(folder_);
  }

  std::string Address(int process) const {
    return absl::StrCat("unix:", folder_, "/", process);
  }
  std::string List() const { return folder_ + "/list"; }

  // Has a process make a call.
  StatusCode Call(int process) {
    processes_[process]->Write("hello\n");
    return static_cast<StatusCode>(
        std::stoi("0" + processes_[process]->ReadLine()));
  }

  // The first breaker of `breakerctl list --aggregate --json`.
  Value Aggregate(int expected_code) {
    ChildProgram breakerctl({BREAKERCTL, "list", "--aggregate", "--json",
                             "--timeout=60s", "--address=@" + List()});
    const std::string json = breakerctl.ReadAll();
    EXPECT_EQ(breakerctl.Wait(), expected_code) << json;
    Value value;
    EXPECT_TRUE(JsonStringToMessage(json, &value).ok()) << json;
    const auto& fields = value.struct_value().fields();
    const auto breakers = fields.find("breakers");
    if (breakers == fields.end() ||
        breakers->second.list_value().values_size() != 1) {
      ADD_FAILURE() << json;
      return Value();
    }
    return breakers->second.list_value().values(0);
  }

  std::string folder_;
  TestServer server_;
  std::vector<std::unique_ptr<ChildProgram>> processes_;
  std::vector<std::string> targets_;  // Of Prometheus.
};

std::string ReadFile(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

double Number(const Value& breaker, const std::string& field) {
  return breaker.struct_value().fields().at(field).number_value();
}

TEST_F(FleetTest, BreakerctlSumsWhatAllProcessesDid) {
  const Value breaker = Aggregate(0);
  const auto& fields = breaker.struct_value().fields();
  EXPECT_EQ(fields.at("method").string_value(), kUnary);
  EXPECT_EQ(fields.at("channel").string_value(), "shop");
  EXPECT_EQ(fields.at("state").string_value(), "STATE_OPEN");
  EXPECT_EQ(Number(breaker, "calls"), kProcesses * kSucceeded + kOpen * 2);
  EXPECT_EQ(Number(breaker, "failures"), kOpen * 2);
  EXPECT_EQ(Number(breaker, "rejections"), kOpen);
  const auto& states = fields.at("states").struct_value().fields();
  ASSERT_EQ(states.size(), kProcesses);
  for (int i = 0; i < kProcesses; ++i) {
    EXPECT_EQ(states.at(Address(i)).string_value(),
              i < kOpen ? "STATE_OPEN" : "STATE_CLOSED")
        << i;
  }
}

TEST_F(FleetTest, AProcessThatHasDiedIsNamedAndTheOthersAreSummed) {
  processes_[7]->Kill();
  const Value breaker = Aggregate(1);
  EXPECT_EQ(Number(breaker, "calls"),
            (kProcesses - 1) * kSucceeded + kOpen * 2);
  EXPECT_EQ(breaker.struct_value()
                .fields()
                .at("states")
                .struct_value()
                .fields()
                .size(),
            kProcesses - 1);
}

#ifdef HAS_DASHBOARD
TEST_F(FleetTest, PageHasTheBreakersOfAllProcesses) {
  ChildProgram dashboard({BREAKERCTL, "dashboard", "--address=@" + List()});
  std::string url = dashboard.ReadLine();
  int port = 0;
  ASSERT_TRUE(absl::SimpleAtoi(url.substr(url.rfind(':') + 1, 5), &port))
      << url;
  std::map<double, std::string> states;
  WaitUntil(
      [&] {
        Value view;
        EXPECT_TRUE(
            JsonStringToMessage(HttpGet(port, "/api/view"), &view).ok());
        states.clear();
        for (const Value& row :
             view.struct_value().fields().at("rows").list_value().values()) {
          states[Number(row, "process")] =
              row.struct_value().fields().at("state").string_value();
        }
        return states.size() == kProcesses;
      },
      "the page to have all processes");
  for (int i = 0; i < kProcesses; ++i) {
    EXPECT_EQ(states[i], i < kOpen ? "OPEN" : "CLOSED") << i;
  }
  dashboard.Send(SIGTERM);
  EXPECT_EQ(dashboard.Wait(), 0);
}
#endif

// By the rules and the configuration of examples/prometheus/.
TEST_F(FleetTest, PrometheusAboveOthersAnswersForAllProcesses) {
  if (!IsInstalled("prometheus")) GTEST_SKIP() << "prometheus is not installed";
  // Prometheus takes a path to begin where its configuration is.
  const std::string examples =
      std::filesystem::absolute(GRPC_BREAKER_SOURCE_DIR "/examples/prometheus/")
          .string();
  const std::string name = "{prometheus: a}";
  ASSERT_THAT(ReadFile(examples + "prometheus.yml"),
              HasSubstr("\n  external_labels: " + name + "\n"));
  const auto half = targets_.begin() + kProcesses / 2;
  const auto scrape = [&](const std::vector<std::string>& targets) {
    return absl::StrCat(
        "rule_files: ['", examples, "fleet_rules.yml']\n",
        "scrape_configs:\n- job_name: clients\n  static_configs: [{targets: [",
        absl::StrJoin(targets, ", "), "]}]\n");
  };
  const RealPrometheus a(scrape({targets_.begin(), half}), name);
  const RealPrometheus b(scrape({half, targets_.end()}),
                         absl::StrReplaceAll(name, {{"a}", "b}"}}));
  const std::string text = ReadFile(examples + "federation.yml");
  const size_t start = text.find("scrape_configs:");
  ASSERT_NE(start, std::string::npos);
  const std::string target = "\"127.0.0.1:9090\"";
  ASSERT_THAT(text, HasSubstr(target));
  const RealPrometheus above(absl::StrReplaceAll(
      text.substr(start),
      {{target, absl::StrCat("\"127.0.0.1:", a.port(),
                             "\", \"127.0.0.1:", b.port(), "\"")}}));

  const std::string states = "job_channel_method_state:grpc_breaker_state:sum";
  const auto sum = [&](const std::string& matchers) {
    return absl::StrCat("sum without (prometheus) (", states, matchers, ")");
  };
  const auto value = [](int number) {
    return absl::StrCat("\"", number, "\"");
  };
  above.Expect(sum("{job='clients',state='open'}"), value(kOpen));
  above.Expect(sum("{job='clients',state='closed'}"),
               value(kProcesses - kOpen));
  above.Expect("count({__name__=~'grpc_.*'}) or vector(0)", value(0));

  // What changes below is seen above.
  server_.Push(2, Answer::Error(StatusCode::UNAVAILABLE));
  for (int call = 0; call < 3; ++call) Call(kProcesses - 1);
  above.Expect(sum("{job='clients',state='open'}"), value(kOpen + 1));
  above.Expect(
      "job_channel_method_reason:grpc_breaker_rejections:rate5m{job='clients',"
      "reason='open'} > 0",
      "\"value\"");
}

}  // namespace
}  // namespace grpc_breaker::e2e
