#include "grpc_breaker/config_file/parsed_config.h"

#include <cstddef>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"

namespace grpc_breaker::internal {

FileError Located(const ParsedConfig& parsed, FieldViolation violation) {
  std::string outer = violation.field;
  auto known = parsed.lines.find(outer);
  while (known == parsed.lines.end() && !outer.empty()) {
    const size_t end = outer.find_last_of(".[");
    outer.resize(end == std::string::npos ? 0 : end);
    known = parsed.lines.find(outer);
  }
  return {known == parsed.lines.end() ? 0 : known->second,
          std::move(violation.field), std::move(violation.description)};
}

absl::Status ToStatus(const std::string& name, std::vector<FileError> errors) {
  if (errors.empty()) return absl::OkStatus();
  constexpr size_t kShown = 20;
  absl::c_stable_sort(errors, [](const FileError& a, const FileError& b) {
    return a.line < b.line;
  });
  std::string text;
  for (size_t i = 0; i < errors.size() && i < kShown; ++i) {
    const FileError& error = errors[i];
    absl::StrAppend(&text, text.empty() ? "" : "\n", name);
    if (error.line > 0) absl::StrAppend(&text, ":", error.line);
    absl::StrAppend(&text, ": ", error.field, error.field.empty() ? "" : ": ",
                    error.description);
  }
  if (errors.size() > kShown) {
    absl::StrAppend(&text, "\n", name, ": and ", errors.size() - kShown,
                    " more errors");
  }
  return absl::InvalidArgumentError(text);
}

}  // namespace grpc_breaker::internal
