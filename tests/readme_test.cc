// What README.md says is so: it is compared with the code that it speaks of.

#include <fstream>
#include <map>
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
#include "gmock/gmock.h"
#include "grpc_breaker/error_class.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using testing::ElementsAre;
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
  for (const std::string& line :
       LinesBetween(ReadSource("README.md"),
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

}  // namespace
}  // namespace grpc_breaker
