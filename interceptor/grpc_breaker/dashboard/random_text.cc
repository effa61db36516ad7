#include "grpc_breaker/dashboard/random_text.h"

#include <unistd.h>

#include <cstdlib>

#include "absl/strings/escaping.h"

namespace grpc_breaker::internal {

std::string RandomText() {
  std::string bytes(16, '\0');
  // It fails for a bad address or a kernel from before 2014 only, and nothing
  // guessable may take its place.
  if (getentropy(&bytes[0], bytes.size()) != 0) std::abort();
  return absl::BytesToHexString(bytes);
}

}  // namespace grpc_breaker::internal
