#include "grpc_breaker/base/utf8.h"

#include <cstddef>

#include "absl/strings/str_cat.h"

namespace grpc_breaker::internal {
namespace {

// The length of the well-formed UTF-8 character at the beginning of `bytes`, 0
// if there is none (Unicode 15, table 3-7).
size_t CharacterLength(absl::string_view bytes) {
  const auto at = [bytes](size_t i) -> unsigned char {
    return i < bytes.size() ? bytes[i] : 0;
  };
  const unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // Not overlong, no surrogate, not beyond U+10FFFF.
  const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (at(1) < low || at(1) > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if (at(i) < 0x80 || at(i) > 0xBF) return 0;
  }
  return length;
}

}  // namespace

bool IsUtf8(absl::string_view bytes) {
  while (!bytes.empty()) {
    const size_t length = CharacterLength(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string ToUtf8(absl::string_view bytes) {
  std::string result;
  result.reserve(bytes.size());
  while (!bytes.empty()) {
    const size_t length = CharacterLength(bytes);
    absl::StrAppend(&result,
                    length > 0 ? bytes.substr(0, length) : "\xEF\xBF\xBD");
    bytes.remove_prefix(length > 0 ? length : 1);
  }
  return result;
}

}  // namespace grpc_breaker::internal
