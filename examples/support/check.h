#ifndef GRPC_BREAKER_EXAMPLES_SUPPORT_CHECK_H_
#define GRPC_BREAKER_EXAMPLES_SUPPORT_CHECK_H_

// Examples are tests as well: each checks that what it tells is what happened.
//
// Thread-safe: pure functions over values.

#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace shop {

// Ends the program with exit code 1 unless `holds`.
inline void Check(bool holds, absl::string_view what) {
  if (holds) return;
  std::cerr << "not as expected: " << what << std::endl;
  std::exit(EXIT_FAILURE);
}

// The value, or the end of the program.
template <typename T>
T ValueOrExit(absl::StatusOr<T> value) {
  Check(value.ok(), value.status().ToString());
  return *std::move(value);
}

}  // namespace shop

#endif  // GRPC_BREAKER_EXAMPLES_SUPPORT_CHECK_H_
