#ifndef GRPC_BREAKER_TESTS_FRAGILE_CHANNEL_H_
#define GRPC_BREAKER_TESTS_FRAGILE_CHANNEL_H_

// Channels whose breakers open at their first failure, and that failure.
//
// Thread-safe.

#include <memory>
#include <string>

#include "grpc_breaker/directory.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/method.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/registry.h"

namespace grpc_breaker {

inline std::shared_ptr<Registry> MakeFragileChannel(const std::string& name,
                                                    Directory* directory,
                                                    Options options = {}) {
  options.channel_name = name;
  options.directory = directory;
  options.default_policy.breaker.consecutive_failures = 1;
  return *Registry::Create(options);
}

inline void RecordOutcome(Method& method, Outcome outcome,
                          Environment& environment = Environment::Default()) {
  method.breaker()
      .TryAcquire(environment.Now())
      .Record(outcome, environment.Now());
}

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_TESTS_FRAGILE_CHANNEL_H_
