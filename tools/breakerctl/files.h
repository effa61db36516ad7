#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_FILES_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_FILES_H_

// Files that a command line names.
//
// Thread-safe.

#include <string>

#include "absl/status/statusor.h"

namespace grpc_breaker::breakerctl {

// All of a file, which may be a pipe. An error says "cannot read PATH: Is a
// directory".
absl::StatusOr<std::string> ReadFile(const std::string& path);

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_FILES_H_
