#ifndef GRPC_BREAKER_RETRY_BUDGET_H_
#define GRPC_BREAKER_RETRY_BUDGET_H_

// A retry budget bounds how much load retries may add while a server fails
// (gRFC A6, "Throttling Retry Attempts and Hedged RPCs"). One budget is shared
// by all methods of a channel.
//
// Tokens are kept as integers, in thousandths, in one atomic; relaxed order is
// enough, because the count guards no other data.
//
// Thread-safe.

#include <atomic>
#include <cstdint>

#include "grpc_breaker/export.h"
#include "grpc_breaker/retry_options.h"

namespace grpc_breaker {

class GRPC_BREAKER_EXPORT RetryBudget {
 public:
  // `options` must be valid. A budget that is turned off always allows.
  explicit RetryBudget(const RetryBudgetOptions& options);

  RetryBudget(const RetryBudget&) = delete;
  RetryBudget& operator=(const RetryBudget&) = delete;

  // Takes a token for a failure that the retry policy would retry. True if a
  // retry is allowed.
  bool RecordFailure();
  void RecordSuccess();

  // Tokens left, in [0, max_tokens].
  double tokens() const;

 private:
  // Returns the new count, in [0, max_millitokens_].
  int64_t Add(int64_t millitokens);

  const int64_t max_millitokens_;
  const int64_t millitokens_per_success_;
  std::atomic<int64_t> millitokens_;
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_RETRY_BUDGET_H_
