#include "grpc_breaker/base/nearest_name.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace grpc_breaker::internal {
namespace {

size_t EditDistance(absl::string_view a, absl::string_view b) {
  // From the characters of `a` so far to each beginning of `b`.
  std::vector<size_t> distances(b.size() + 1);
  std::iota(distances.begin(), distances.end(), 0);
  for (const char c : a) {
    size_t diagonal = distances[0]++;
    for (size_t i = 0; i < b.size(); ++i) {
      const size_t replaced = diagonal + (c == b[i] ? 0 : 1);
      diagonal = distances[i + 1];
      distances[i + 1] =
          std::min({replaced, distances[i] + 1, distances[i + 1] + 1});
    }
  }
  return distances.back();
}

}  // namespace

std::string NearestName(absl::string_view name,
                        absl::Span<const std::string> names) {
  // It may come from outside, and no name is longer.
  constexpr size_t kLongest = 1000;
  name = name.substr(0, kLongest);
  const auto nearest =
      std::min_element(names.begin(), names.end(),
                       [&](const std::string& a, const std::string& b) {
                         return EditDistance(name, a) < EditDistance(name, b);
                       });
  return nearest == names.end() ? "" : *nearest;
}

std::string Quoted(absl::string_view value) {
  constexpr size_t kLongest = 100;
  return absl::StrCat("\"", absl::CHexEscape(value.substr(0, kLongest)), "\"",
                      value.size() > kLongest ? "..." : "");
}

std::string NearestNameHint(absl::string_view name,
                            absl::Span<const std::string> names) {
  return names.empty()
             ? ""
             : absl::StrCat("; the nearest is ", NearestName(name, names));
}

}  // namespace grpc_breaker::internal
