#ifndef GRPC_BREAKER_POLICY_SOURCE_H_
#define GRPC_BREAKER_POLICY_SOURCE_H_

// Where the policies of a living channel come from, beside the application: a
// file that is read again when it changes (config_file_source.h), or what an
// application makes itself.
//
// Lifetime: a registry holds its source, and a source holds no registry.
//
// Thread-safe: all may be called from any thread.

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/policy.h"

namespace grpc_breaker {

class Registry;

// For people: what a source has done so far.
struct PolicySourceStatus {
  std::string name;                          // A path.
  std::string hash;                          // Of what is in force.
  absl::Time loaded = absl::InfinitePast();  // When that was read.
  MonotonicTime loaded_at;
  // Why what was read last is not in force; empty: it is.
  std::string error;
  absl::Time failed = absl::InfinitePast();  // The last time that it was not.
  MonotonicTime failed_at;
  uint64_t reloads = 0;   // What was in force after the first.
  uint64_t failures = 0;  // Changes that did not come into force.
};

class GRPC_BREAKER_EXPORT PolicySource {
 public:
  virtual ~PolicySource() = default;

  // Sets in the options of a channel that is being made what the source says
  // now, and returns the version of that.
  virtual absl::StatusOr<int64_t> ApplyTo(Options* options) = 0;

  // The channel is there: whenever the source says something else than
  // `version`, it gives the registry other policies, which begin as its
  // given_policies().
  virtual void Follow(std::weak_ptr<Registry> registry, int64_t version) = 0;

  virtual PolicySourceStatus status() const = 0;
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_POLICY_SOURCE_H_
