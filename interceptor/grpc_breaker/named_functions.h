#ifndef GRPC_BREAKER_NAMED_FUNCTIONS_H_
#define GRPC_BREAKER_NAMED_FUNCTIONS_H_

// The application's fallbacks and hooks under names, by which a configuration
// file can say which method gets which: the functions stay in code.
//
//   NamedFunctions functions;
//   functions.fallbacks["cached_prices"] =
//       Fallback::Typed<PriceRequest, Prices>(CachedPrices);
//
// and in the file
//
//   fallback: {name: cached_prices}
//
// Thread-compatible: plain values. The functions are called from any thread,
// possibly from several at once.

#include <functional>
#include <map>
#include <string>

#include "grpc_breaker/policy.h"

namespace grpc_breaker {

struct NamedFunctions {
  // With the conditions under which each runs, unless the file says otherwise.
  std::map<std::string, Fallback> fallbacks;
  // For Policy::on_final_failure.
  std::map<std::string, std::function<void(const FailedCall&)>>
      final_failure_hooks;
  // For Policy::on_attempt.
  std::map<std::string, std::function<void(const FinishedAttempt&)>>
      attempt_hooks;
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_NAMED_FUNCTIONS_H_
