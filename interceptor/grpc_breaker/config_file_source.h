#ifndef GRPC_BREAKER_CONFIG_FILE_SOURCE_H_
#define GRPC_BREAKER_CONFIG_FILE_SOURCE_H_

// Policies from a file that is read again when it changes.
//
//   absl::StatusOr<std::shared_ptr<PolicySource>> source =
//       ConfigFileSource().Create();  // From $GRPC_BREAKER_CONFIG.
//   options.policy_source = *source;  // Of as many channels as there are.
//
// The file is looked at every `interval`: one of another time, size or inode is
// read, and another text comes into force at once for all calls that begin
// then. So it may be written over, renamed over, or be behind a symbolic link
// that is turned, as Kubernetes does; who writes should rename, since half a
// file may be a file as well. While it is wrong or cannot be read, or one of
// the channels cannot have it (for an update by the admin service, or for its
// max_methods), policies of all channels stay as they are, and listeners and
// status() say so; it is tried again at each look.
//
// A file that is read again changes policies. The retry budget, max_methods and
// what else is of a channel as a whole stay as they were when it was made.
//
// Thread-safe: as PolicySource.

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/named_functions.h"
#include "grpc_breaker/policy_source.h"

namespace grpc_breaker {

struct ConfigFileSource {
  // At least 10 ms, and longer than the file system's clock takes to tick.
  absl::Duration interval = absl::Seconds(5);
  NamedFunctions functions;
  // Null: the default one. Outlives the source.
  Environment* environment = nullptr;

  // Reads the file, which must be there and right. An empty `path` stands for
  // what the environment variable GRPC_BREAKER_CONFIG says; if that is not set
  // or empty, there is no source: null.
  GRPC_BREAKER_EXPORT absl::StatusOr<std::shared_ptr<PolicySource>> Create(
      const std::string& path = "") const;
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_CONFIG_FILE_SOURCE_H_
