// docs/metrics.md, the alerts and the board of examples/prometheus/ speak of
// metrics that there are; Prometheus' own tool agrees, where it is installed.

#include <stdio.h>
#include <sys/wait.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "grpc_breaker/prometheus/metrics.h"
#include "gtest/gtest.h"
#include "tests/markdown_table.h"

namespace grpc_breaker {
namespace {

using ::google::protobuf::Value;
using ::testing::Contains;
using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

using internal::MetricInfo;
using internal::MetricInfos;

constexpr char kAlerts[] = "examples/prometheus/alerts.yml";
constexpr char kFleetRules[] = "examples/prometheus/fleet_rules.yml";
constexpr char kBoard[] = "examples/prometheus/board.json";

std::string SourcePath(absl::string_view path) {
  return absl::StrCat(GRPC_BREAKER_SOURCE_DIR, "/", path);
}

std::string ReadSource(absl::string_view path) {
  std::ifstream file(SourcePath(path));
  EXPECT_TRUE(file.is_open()) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string TypeText(prometheus::MetricType type) {
  switch (type) {
    case prometheus::MetricType::Counter:
      return "counter";
    case prometheus::MetricType::Gauge:
      return "gauge";
    case prometheus::MetricType::Histogram:
      return "histogram";
    default:
      return "unknown";
  }
}

TEST(MetricsTest, TableIsThatOfTheCode) {
  const auto rows = MarkdownTable(ReadSource("docs/metrics.md"), "metrics");
  ASSERT_THAT(rows, SizeIs(MetricInfos().size()));
  EXPECT_EQ(rows.size(), internal::kMetrics);
  for (size_t i = 0; i < rows.size(); ++i) {
    const MetricInfo& info = MetricInfos()[i];
    ASSERT_THAT(rows[i], SizeIs(4));
    EXPECT_EQ(rows[i][0], absl::StrCat("`", info.name, "`"));
    EXPECT_EQ(rows[i][1], TypeText(info.type));
    EXPECT_EQ(rows[i][2],
              absl::StrJoin(info.labels, ", ",
                            [](std::string* out, const std::string& label) {
                              absl::StrAppend(out, "`", label, "`");
                            }));
    EXPECT_THAT(rows[i][3], Not(IsEmpty()));
  }
}

TEST(MetricsTest, NamesSayUnitAndTypeAsPrometheusWants) {
  std::set<std::string> names;
  for (const MetricInfo& info : MetricInfos()) {
    EXPECT_EQ(absl::EndsWith(info.name, "_total"),
              info.type == prometheus::MetricType::Counter)
        << info.name;
    if (info.type == prometheus::MetricType::Histogram) {
      EXPECT_TRUE(absl::EndsWith(info.name, "_seconds")) << info.name;
    }
    EXPECT_EQ(info.labels.front(), "channel") << info.name;
    EXPECT_TRUE(absl::StartsWith(info.NameApart(), "grpc_breaker_"));
    EXPECT_EQ(info.from_grpc, !absl::StartsWith(info.name, "grpc_breaker_"));
    EXPECT_TRUE(absl::EndsWith(info.help, ".")) << info.name;
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_TRUE(names.insert(info.NameApart()).second || !info.from_grpc);
  }
}

bool IsOfWord(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
}

// The words of a text that begin as the names of metrics do.
std::set<std::string> MetricsNamedIn(absl::string_view text) {
  std::set<std::string> names;
  std::string word;
  for (const char c : absl::StrCat(text, " ")) {
    if (IsOfWord(c)) {
      word += c;
      continue;
    }
    if (absl::StartsWith(word, "grpc_breaker_") ||
        absl::StartsWith(word, "grpc_client_")) {
      names.insert(word);
    }
    word.clear();
  }
  return names;
}

// Those that Prometheus stores, as queries name them.
std::set<std::string> StoredMetrics() {
  std::set<std::string> names;
  for (const MetricInfo& info : MetricInfos()) {
    if (info.type == prometheus::MetricType::Histogram) {
      for (const char* part : {"_bucket", "_sum", "_count"}) {
        names.insert(info.name + part);
      }
    } else {
      names.insert(info.name);
    }
  }
  return names;
}

TEST(AlertsTest, NameOnlyMetricsThatThereAre) {
  const std::set<std::string> named = MetricsNamedIn(ReadSource(kAlerts));
  EXPECT_THAT(named, SizeIs(testing::Ge(6)));
  for (const std::string& name : named) {
    EXPECT_THAT(StoredMetrics(), Contains(name));
  }
}

TEST(FleetRulesTest, NameOnlyMetricsThatThereAre) {
  std::string expressions;
  int rules = 0;
  for (absl::string_view line : absl::StrSplit(ReadSource(kFleetRules), '\n')) {
    if (absl::StrContains(line, "- record: ")) {
      ++rules;
    } else if (!absl::StartsWith(line, "#")) {
      absl::StrAppend(&expressions, line, "\n");
    }
  }
  const std::set<std::string> named = MetricsNamedIn(
      absl::StrReplaceAll(expressions, {{"name: grpc_breaker_fleet", ""}}));
  EXPECT_EQ(rules, 6);
  EXPECT_THAT(named, SizeIs(6));
  for (const std::string& name : named) {
    EXPECT_THAT(StoredMetrics(), Contains(name));
  }
}

TEST(FleetRulesTest, EachHasATest) {
  const std::string tests =
      ReadSource("examples/prometheus/fleet_rules_test.yml");
  for (absl::string_view line : absl::StrSplit(ReadSource(kFleetRules), '\n')) {
    line = absl::StripLeadingAsciiWhitespace(line);
    if (!absl::ConsumePrefix(&line, "- record: ")) continue;
    EXPECT_TRUE(absl::StrContains(tests, absl::StrCat("- expr: ", line, "\n")))
        << line;
  }
}

TEST(AlertsTest, EachHasATestThatSeesItFire) {
  const std::string tests = ReadSource("examples/prometheus/alerts_test.yml");
  int alerts = 0;
  for (absl::string_view line : absl::StrSplit(ReadSource(kAlerts), '\n')) {
    line = absl::StripLeadingAsciiWhitespace(line);
    if (!absl::ConsumePrefix(&line, "- alert: ")) continue;
    ++alerts;
    EXPECT_TRUE(absl::StrContains(
        tests, absl::StrCat("alertname: ", line,
                            "\n        exp_alerts:\n          - exp_labels:")))
        << line;
  }
  EXPECT_EQ(alerts, 10);
}

// A field of an object of JSON; null if there is none.
const Value& Get(const Value& value, const char* field) {
  static const Value* const none = new Value;
  const auto& fields = value.struct_value().fields();
  const auto found = fields.find(field);
  return found == fields.end() ? *none : found->second;
}

const Value& Board() {
  static const Value* const board = [] {
    auto* const parsed = new Value;
    EXPECT_TRUE(
        google::protobuf::util::JsonStringToMessage(ReadSource(kBoard), parsed)
            .ok());
    return parsed;
  }();
  return *board;
}

std::vector<std::string> Expressions(const Value& panel) {
  std::vector<std::string> expressions;
  for (const Value& target : Get(panel, "targets").list_value().values()) {
    expressions.push_back(Get(target, "expr").string_value());
  }
  return expressions;
}

TEST(BoardTest, EachPanelHasWhatGrafanaAndItsReadersNeed) {
  const Value& board = Board();
  EXPECT_EQ(Get(board, "uid").string_value(), "grpc-breaker");
  EXPECT_THAT(Get(board, "title").string_value(), Not(IsEmpty()));
  EXPECT_GE(Get(board, "schemaVersion").number_value(), 30);
  std::set<double> ids;
  std::set<std::string> titles;
  const auto& panels = Get(board, "panels").list_value().values();
  EXPECT_GE(panels.size(), 10);
  for (const Value& panel : panels) {
    const std::string title = Get(panel, "title").string_value();
    SCOPED_TRACE(title);
    EXPECT_TRUE(titles.insert(title).second);
    EXPECT_TRUE(ids.insert(Get(panel, "id").number_value()).second);
    EXPECT_THAT(Get(panel, "description").string_value(), Not(IsEmpty()));
    EXPECT_EQ(Get(Get(panel, "datasource"), "uid").string_value(),
              "${datasource}");
    EXPECT_THAT(Expressions(panel),
                testing::AllOf(Not(IsEmpty()), Each(Not(IsEmpty()))));
  }
}

// Grafana's grid has 24 columns.
TEST(BoardTest, PanelsAreInTheGridAndOnNoOtherOne) {
  std::map<std::pair<int, int>, std::string> taken;
  for (const Value& panel : Get(Board(), "panels").list_value().values()) {
    const auto at = [&](const char* field) {
      return static_cast<int>(Get(Get(panel, "gridPos"), field).number_value());
    };
    const std::string title = Get(panel, "title").string_value();
    ASSERT_GT(at("w") * at("h"), 0) << title;
    EXPECT_LE(at("x") + at("w"), 24) << title;
    for (int x = at("x"); x < at("x") + at("w"); ++x) {
      for (int y = at("y"); y < at("y") + at("h"); ++y) {
        const auto [place, free] = taken.emplace(std::pair(x, y), title);
        ASSERT_TRUE(free) << title << " lies on " << place->second;
      }
    }
  }
}

TEST(BoardTest, QueriesEveryMetricAndNoneThatThereIsNot) {
  std::set<std::string> queried;
  for (const Value& panel : Get(Board(), "panels").list_value().values()) {
    for (const std::string& expression : Expressions(panel)) {
      for (const std::string& name : MetricsNamedIn(expression)) {
        EXPECT_THAT(StoredMetrics(), Contains(name));
        queried.insert(name);
      }
    }
  }
  for (const MetricInfo& info : MetricInfos()) {
    const bool is_histogram = info.type == prometheus::MetricType::Histogram;
    EXPECT_THAT(queried, Contains(info.name + (is_histogram ? "_bucket" : "")));
  }
}

TEST(BoardTest, VariablesThatQueriesNameAreThere) {
  const Value& board = Board();
  std::set<std::string> variables = {"__rate_interval"};
  for (const Value& variable :
       Get(Get(board, "templating"), "list").list_value().values()) {
    variables.insert(Get(variable, "name").string_value());
  }
  int named = 0;
  for (const Value& panel : Get(board, "panels").list_value().values()) {
    for (const std::string& expression : Expressions(panel)) {
      const std::vector<std::string> parts = absl::StrSplit(expression, '$');
      for (size_t i = 1; i < parts.size(); ++i) {
        const auto end = absl::c_find_if_not(parts[i], IsOfWord);
        EXPECT_THAT(variables, Contains(std::string(parts[i].begin(), end)));
        ++named;
      }
    }
  }
  EXPECT_GT(named, 40);
}

// --- By promtool, of Debian's package prometheus ---

class PromtoolTest : public ::testing::Test {
 protected:
  struct Result {
    int code;
    std::string output;
  };

  void SetUp() override {
    if (Run("command -v promtool").code != 0) {
      GTEST_SKIP() << "promtool (Debian: prometheus) is not installed";
    }
  }

  static Result Run(const std::string& command) {
    FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
    std::string output;
    for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) {
      output += static_cast<char>(c);
    }
    const int status = pclose(pipe);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output};
  }

  // Each as a rule of its own.
  static Result Check(const std::vector<std::string>& expressions) {
    const std::string path = ::testing::TempDir() + "/expressions.yml";
    std::ofstream file(path);
    file << "groups:\n- name: expressions\n  rules:\n";
    for (size_t i = 0; i < expressions.size(); ++i) {
      file << "  - record: expression" << i << "\n    expr: '"
           << absl::StrReplaceAll(expressions[i],
                                  {{"'", "''"}, {"$__rate_interval", "5m"}})
           << "'\n";
    }
    file.close();
    return Run("promtool check rules " + path);
  }
};

TEST_F(PromtoolTest, AlertsAreRules) {
  const Result result = Run("promtool check config " +
                            SourcePath("examples/prometheus/prometheus.yml"));
  EXPECT_EQ(result.code, 0) << result.output;
  EXPECT_THAT(result.output,
              testing::AllOf(testing::HasSubstr("10 rules found"),
                             testing::HasSubstr("6 rules found")));
}

TEST_F(PromtoolTest, AlertsFireWhenTheyShall) {
  const Result result = Run("promtool test rules " +
                            SourcePath("examples/prometheus/alerts_test.yml"));
  EXPECT_EQ(result.code, 0) << result.output;
}

TEST_F(PromtoolTest, FleetRulesSumWhatProcessesDo) {
  const Result result =
      Run("promtool test rules " +
          SourcePath("examples/prometheus/fleet_rules_test.yml"));
  EXPECT_EQ(result.code, 0) << result.output;
}

TEST_F(PromtoolTest, FederationIsAConfiguration) {
  const Result result = Run("promtool check config " +
                            SourcePath("examples/prometheus/federation.yml"));
  EXPECT_EQ(result.code, 0) << result.output;
}

TEST_F(PromtoolTest, BoardAsksInPromql) {
  std::vector<std::string> expressions;
  for (const Value& panel : Get(Board(), "panels").list_value().values()) {
    for (const std::string& expression : Expressions(panel)) {
      expressions.push_back(expression);
    }
  }
  ASSERT_THAT(expressions, SizeIs(testing::Gt(20)));
  const Result result = Check(expressions);
  EXPECT_EQ(result.code, 0) << result.output;
  EXPECT_NE(Check({"sum("}).code, 0);  // The check works.
}

// The queries of a table in docs/metrics.md.
std::vector<std::string> QueriesOfDocument(absl::string_view table) {
  std::vector<std::string> queries;
  for (const auto& cells : MarkdownTable(
           absl::StrReplaceAll(ReadSource("docs/metrics.md"), {{"\\|", "!!"}}),
           table)) {
    EXPECT_THAT(cells, SizeIs(2));
    queries.push_back(absl::StrReplaceAll(
        absl::StripSuffix(absl::StripPrefix(cells.back(), "`"), "`"),
        {{"!!", "|"}}));
  }
  EXPECT_THAT(queries, Not(IsEmpty())) << table;
  return queries;
}

TEST(FleetRulesTest, EachQueryOfTheDocumentHasATest) {
  const std::string tests =
      ReadSource("examples/prometheus/fleet_rules_test.yml");
  for (const std::string& query : QueriesOfDocument("fleet queries")) {
    EXPECT_TRUE(
        absl::StrContains(tests, absl::StrCat("- expr: '", query, "'\n")))
        << query;
  }
}

TEST_F(PromtoolTest, DocumentAsksInPromql) {
  const std::vector<std::string> queries = QueriesOfDocument("queries");
  for (const std::string& query : queries) {
    for (const std::string& name : MetricsNamedIn(query)) {
      EXPECT_THAT(StoredMetrics(), Contains(name));
    }
  }
  const Result result = Check(queries);
  EXPECT_EQ(result.code, 0) << result.output;
}

TEST_F(PromtoolTest, DocumentAsksForWhatFleetRulesRecord) {
  const std::string rules = ReadSource(kFleetRules);
  const std::vector<std::string> queries = QueriesOfDocument("fleet queries");
  for (const std::string& query : queries) {
    int named = 0;
    for (const absl::string_view word :
         absl::StrSplit(query, absl::ByAnyChar(" (){"))) {
      if (!absl::StrContains(word, ":")) continue;
      ++named;
      EXPECT_TRUE(
          absl::StrContains(rules, absl::StrCat("record: ", word, "\n")))
          << word;
    }
    EXPECT_GT(named, 0) << query;
  }
  const Result result = Check(queries);
  EXPECT_EQ(result.code, 0) << result.output;
}

}  // namespace
}  // namespace grpc_breaker
