#ifndef GRPC_BREAKER_TESTS_MARKDOWN_TABLE_H_
#define GRPC_BREAKER_TESTS_MARKDOWN_TABLE_H_

// Tables of the documents, for tests that compare them with the code.

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"

namespace grpc_breaker {

// The lines after the one that is `begin`, up to the one that is `end`.
inline std::vector<std::string> LinesBetween(const std::string& text,
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

// The cells of the table below "<!-- table: MARKER -->", without its head.
inline std::vector<std::vector<std::string>> MarkdownTable(
    const std::string& text, absl::string_view marker) {
  std::vector<std::vector<std::string>> rows;
  for (const std::string& line :
       LinesBetween(text, absl::StrCat("<!-- table: ", marker, " -->"), "")) {
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

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_TESTS_MARKDOWN_TABLE_H_
