#include "grpc_breaker/breaker/log_line.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "grpc_breaker/base/utf8.h"

namespace grpc_breaker::internal {
namespace {

// What needs no quotes in logfmt, whoever reads it.
bool IsPlain(absl::string_view value) {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return absl::ascii_isalnum(c) ||
           absl::StrContains("_-./:@#*+", absl::string_view(&c, 1));
  });
}

// How many bytes of UTF-8 at `at` are a character that readers may take for the
// end of a line, or that changes the direction of what follows, and its code
// point; 0 if it is none of these.
size_t UnsafeCharacter(absl::string_view text, size_t at, unsigned* code) {
  const auto byte = [&](size_t i) -> unsigned {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0;
  };
  if (byte(0) < 0x20 || byte(0) == 0x7F) {
    *code = byte(0);
    return 1;
  }
  if (byte(0) == 0xC2 && byte(1) < 0xA0) {  // C1 controls, among them NEL.
    *code = byte(1);
    return 2;
  }
  if (byte(0) == 0xE2) {
    *code = 0x2000 + ((byte(1) & 0x3F) << 6) + (byte(2) & 0x3F);
    const bool is_unsafe = (*code >= 0x2028 && *code <= 0x202E) ||
                           (*code >= 0x2066 && *code <= 0x2069);
    return is_unsafe ? 3 : 0;
  }
  return 0;
}

// As a string of JSON, which readers of logfmt understand as well.
std::string Quoted(absl::string_view value) {
  const std::string text = ToUtf8(value);
  std::string quoted = "\"";
  for (size_t i = 0; i < text.size();) {
    unsigned code = 0;
    if (const size_t size = UnsafeCharacter(text, i, &code); size > 0) {
      if (text[i] == '\n') {
        quoted += "\\n";
      } else {
        absl::StrAppendFormat(&quoted, "\\u%04x", code);
      }
      i += size;
      continue;
    }
    if (text[i] == '"' || text[i] == '\\') quoted += '\\';
    quoted += text[i++];
  }
  quoted += '"';
  return quoted;
}

}  // namespace

void LogLine::AddKey(absl::string_view key) {
  if (format_ == LogFormat::kJson) {
    absl::StrAppend(&fields_, fields_.empty() ? "" : ",", "\"", key, "\":");
  } else {
    absl::StrAppend(&fields_, fields_.empty() ? "" : " ", key, "=");
  }
}

LogLine& LogLine::Add(absl::string_view key, absl::string_view value) {
  AddKey(key);
  if (format_ == LogFormat::kLogfmt && IsPlain(value)) {
    absl::StrAppend(&fields_, value);
  } else {
    absl::StrAppend(&fields_, Quoted(value));
  }
  return *this;
}

LogLine& LogLine::AddNumber(absl::string_view key, uint64_t value) {
  AddKey(key);
  absl::StrAppend(&fields_, value);
  return *this;
}

LogLine& LogLine::AddBool(absl::string_view key, bool value) {
  AddKey(key);
  absl::StrAppend(&fields_, value ? "true" : "false");
  return *this;
}

std::string LogLine::Text() const {
  return format_ == LogFormat::kJson ? absl::StrCat("{", fields_, "}")
                                     : fields_;
}

}  // namespace grpc_breaker::internal
