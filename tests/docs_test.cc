// What the documents say is so: it is compared with the code that they speak
// of.

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/breaker_options.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/registry/policy_fields.h"
#include "grpc_breaker/retry_options.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// A file of the source tree.
std::string ReadSource(const std::string& path) {
  std::ifstream file(absl::StrCat(GRPC_BREAKER_SOURCE_DIR, "/", path));
  EXPECT_TRUE(file.is_open()) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The lines after the one that is `begin`, up to the one that is `end`.
std::vector<std::string> LinesBetween(const std::string& text,
                                      absl::string_view begin,
                                      absl::string_view end) {
  std::vector<std::string> lines;
  bool inside = false;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (inside && line == end) return lines;
    if (inside) lines.emplace_back(line);
    if (line == begin) inside = true;
  }
  ADD_FAILURE() << "no lines from " << begin << " to " << end;
  return lines;
}

// The cells of the table below a marker, without its head.
std::vector<std::vector<std::string>> Table(absl::string_view marker) {
  std::vector<std::vector<std::string>> rows;
  for (const std::string& line : LinesBetween(
           ReadSource("docs/options.md") + ReadSource("docs/statuses.md"),
           absl::StrCat("<!-- table: ", marker, " -->"), "")) {
    std::vector<std::string> cells;
    for (absl::string_view cell : absl::StrSplit(
             absl::StripSuffix(absl::StripPrefix(line, "|"), "|"), '|')) {
      cells.emplace_back(absl::StripAsciiWhitespace(cell));
    }
    rows.push_back(cells);
  }
  EXPECT_GT(rows.size(), 2) << marker;
  rows.erase(rows.begin(), rows.begin() + 2);
  return rows;
}

TEST(ReadmeTest, QuotesItsExampleWordForWord) {
  const std::vector<std::string> quoted = LinesBetween(
      ReadSource("README.md"),
      "<!-- quote: examples/quick_start.cc [quick start] -->", "```");
  const std::string mark = "// [quick start]";
  std::vector<std::string> compiled =
      LinesBetween(ReadSource("examples/quick_start.cc"), mark, mark);
  ASSERT_THAT(compiled, SizeIs(testing::Gt(20)));
  compiled.insert(compiled.begin(), "```cpp");
  EXPECT_EQ(absl::StrJoin(quoted, "\n"), absl::StrJoin(compiled, "\n"));
}

TEST(ReadmeTest, StatusTableIsThatOfTheCode) {
  const auto rows = Table("statuses");
  ASSERT_THAT(rows, SizeIs(17));
  for (int code = 0; code < 17; ++code) {
    const ErrorClass error =
        ClassifyError(static_cast<absl::StatusCode>(code), "");
    const std::string name =
        absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
    EXPECT_THAT(
        rows[code],
        ElementsAre(name, ToString(error.category), ToString(error.severity),
                    absl::AsciiStrToLower(ToString(error.outcome)),
                    code == 0         ? "-"
                    : error.retryable ? "yes"
                                      : "no"));
  }
}

std::string Text(bool value) { return value ? "true" : "false"; }
std::string Text(absl::Duration value) { return absl::FormatDuration(value); }
std::string Text(int value) { return absl::StrCat(value); }
std::string Text(double value) { return absl::StrCat(value); }
std::string Text(const std::vector<double>& values) {
  return absl::StrCat("{", absl::StrJoin(values, ", "), "}");
}

std::string Text(Jitter value) { return std::string(ToString(value)); }

// Each option's row but what it means.
template <typename Options>
void AddRows(const std::string& of, std::vector<std::string>& rows) {
  const Options options;
  internal::ForEachField(options, [&](const auto& field) {
    rows.push_back(absl::StrCat("`", of, ".", field.name, "` | ",
                                Text(field.value), " | ", field.range.Text()));
  });
}

TEST(ReadmeTest, DefaultsAndRangesAreThoseOfTheCode) {
  std::vector<std::string> rows;
  AddRows<RetryOptions>("retry", rows);
  AddRows<BreakerOptions>("breaker", rows);
  std::vector<std::string> told;
  for (const auto& cells : Table("defaults")) {
    ASSERT_THAT(cells, SizeIs(4));
    told.push_back(absl::StrCat(cells[0], " | ", cells[1], " | ", cells[2]));
  }
  EXPECT_EQ(absl::StrJoin(told, "\n"), absl::StrJoin(rows, "\n"));
}

// In words: their defaults are no numbers.
TEST(ReadmeTest, NamesEveryOtherFieldOfAPolicyAndOfTheRetryBudget) {
  std::string named;
  for (const char* marker : {"policy", "channel"}) {
    for (const auto& cells : Table(marker)) {
      absl::StrAppend(&named, cells[0], " ");
    }
  }
  const Policy policy;
  internal::ForEachField(policy, [&](const auto& field) {
    if (field.name == "retry" || field.name == "breaker") return;
    EXPECT_THAT(named, HasSubstr(absl::StrCat("`", field.name, "`")));
  });
  const RetryBudgetOptions budget;
  internal::ForEachField(budget, [&](const auto& field) {
    EXPECT_THAT(named,
                HasSubstr(absl::StrCat("`retry_budget.", field.name, "`")));
  });
}

}  // namespace
}  // namespace grpc_breaker
