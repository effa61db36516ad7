#ifndef GRPC_BREAKER_BASE_NEAREST_NAME_H_
#define GRPC_BREAKER_BASE_NEAREST_NAME_H_

// For messages about a name, or another value, that is wrong.
//
// Thread-safe: pure functions over values.

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

// That of `names` which takes the fewest insertions, deletions and replacements
// of a character (Levenshtein); the first of several. Empty if there is none.
GRPC_BREAKER_EXPORT std::string NearestName(
    absl::string_view name, absl::Span<const std::string> names);

// What was given, in quotes: escaped as in C, and cut after 100 bytes, so that
// the message can be sent.
GRPC_BREAKER_EXPORT std::string Quoted(absl::string_view value);

// "; the nearest is X", for the end of such a message; empty if there is none.
GRPC_BREAKER_EXPORT std::string NearestNameHint(
    absl::string_view name, absl::Span<const std::string> names);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BASE_NEAREST_NAME_H_
