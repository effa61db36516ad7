// What the documents say is so: it is compared with the code that they speak
// of. And where they point to, there is something.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/breaker_options.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/registry/policy_fields.h"
#include "grpc_breaker/retry_options.h"
#include "gtest/gtest.h"
#include "tests/markdown_table.h"

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

std::vector<std::vector<std::string>> Table(absl::string_view marker) {
  return MarkdownTable(
      ReadSource("docs/options.md") + ReadSource("docs/statuses.md"), marker);
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

// The folder's Markdown files, by their paths in the source tree.
std::vector<std::string> MarkdownIn(const std::string& folder) {
  std::vector<std::string> paths;
  const std::filesystem::path root = GRPC_BREAKER_SOURCE_DIR;
  for (const auto& entry : std::filesystem::directory_iterator(root / folder)) {
    if (entry.path().extension() != ".md") continue;
    const auto path = std::filesystem::path(folder) / entry.path().filename();
    paths.push_back(path.lexically_normal().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::vector<std::string> Documents() {
  std::vector<std::string> paths;
  for (const char* folder : {".", "docs", "examples"}) {
    for (const std::string& path : MarkdownIn(folder)) paths.push_back(path);
  }
  return paths;
}

// The lines of a document but for those of its blocks of code.
std::vector<std::string> LinesOfProse(const std::string& path) {
  std::vector<std::string> lines;
  bool in_block = false;
  for (absl::string_view line : absl::StrSplit(ReadSource(path), '\n')) {
    if (absl::StartsWith(line, "```")) {
      in_block = !in_block;
    } else if (!in_block && !absl::StartsWith(line, "    ")) {
      lines.emplace_back(line);
    }
  }
  EXPECT_FALSE(in_block) << path << " has a block of code without an end";
  return lines;
}

// As GitHub makes them of headings.
std::set<std::string> Anchors(const std::string& path) {
  std::set<std::string> anchors;
  for (const std::string& line : LinesOfProse(path)) {
    if (!absl::StartsWith(line, "#")) continue;
    std::string anchor;
    for (const char c : line.substr(line.find_first_not_of("# "))) {
      if (c == ' ') {
        anchor += '-';
      } else if (absl::ascii_isalnum(c) || c == '-' || c == '_') {
        anchor += absl::ascii_tolower(c);
      }
    }
    EXPECT_TRUE(anchors.insert(anchor).second)
        << path << " has two headings " << anchor;
  }
  return anchors;
}

// Where the links of a document lead, but for those to other sites. What stands
// between backquotes is none.
std::vector<std::string> RelativeLinks(const std::string& path) {
  std::vector<std::string> links;
  for (const std::string& line : LinesOfProse(path)) {
    const std::vector<std::string> spans = absl::StrSplit(line, '`');
    std::string prose;
    for (size_t i = 0; i < spans.size(); i += 2) prose += spans[i];
    const std::vector<std::string> pieces = absl::StrSplit(prose, "](");
    for (size_t i = 1; i < pieces.size(); ++i) {
      const std::string link = pieces[i].substr(0, pieces[i].find(')'));
      if (!absl::StrContains(link, "://")) links.push_back(link);
    }
  }
  return links;
}

TEST(DocsTest, EveryRelativeLinkLeadsToAFileAndAHeadingThatAreThere) {
  const std::filesystem::path root = GRPC_BREAKER_SOURCE_DIR;
  int links = 0;
  for (const std::string& document : Documents()) {
    for (const std::string& link : RelativeLinks(document)) {
      SCOPED_TRACE(absl::StrCat(document, ": ", link));
      ++links;
      const std::vector<std::string> parts =
          absl::StrSplit(link, absl::MaxSplits('#', 1));
      const std::string target =
          parts[0].empty()
              ? document
              : (std::filesystem::path(document).parent_path() / parts[0])
                    .lexically_normal()
                    .string();
      ASSERT_TRUE(std::filesystem::is_regular_file(root / target));
      if (parts.size() > 1) {
        EXPECT_THAT(Anchors(target), testing::Contains(parts[1]));
      }
    }
  }
  EXPECT_GT(links, 50);
}

TEST(DocsTest, ReadmeLinksToEveryDocument) {
  const std::vector<std::string> links = RelativeLinks("README.md");
  for (const std::string& document : MarkdownIn("docs")) {
    EXPECT_THAT(links, testing::Contains(document));
  }
}

TEST(DocsTest, ReadmeHasAtMost200Lines) {
  const std::string text = ReadSource("README.md");
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 200);
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
std::string Text(int64_t value) { return absl::StrCat(value); }
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
  AddRows<HedgingOptions>("hedging", rows);
  AddRows<StreamRetryOptions>("stream_retry", rows);
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
    if (field.name == "retry" || field.name == "hedging" ||
        field.name == "stream_retry" || field.name == "breaker") {
      return;
    }
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
