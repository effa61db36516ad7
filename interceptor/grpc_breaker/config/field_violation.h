#ifndef GRPC_BREAKER_CONFIG_FIELD_VIOLATION_H_
#define GRPC_BREAKER_CONFIG_FIELD_VIOLATION_H_

// What is wrong with one field of a message.
//
// Thread-compatible: plain values.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace grpc_breaker::internal {

struct FieldViolation {
  std::string field;        // "methods[/pkg.Service/Method].retry.max_retries"
  std::string description;  // "must be from 0 to 100, got -1"
};

inline bool operator==(const FieldViolation& a, const FieldViolation& b) {
  return a.field == b.field && a.description == b.description;
}

using FieldViolations = std::vector<FieldViolation>;

// Of the field of that name in the message at `path`, which may be empty.
inline std::string FieldPath(absl::string_view path, absl::string_view name) {
  return path.empty() ? std::string(name) : absl::StrCat(path, ".", name);
}

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_CONFIG_FIELD_VIOLATION_H_
