#ifndef GRPC_BREAKER_RETRY_BUDGET_H_
#define GRPC_BREAKER_RETRY_BUDGET_H_

// A retry budget bounds how much load retries and hedges may add while a server
// fails: by tokens (gRFC A6, "Throttling Retry Attempts and Hedged RPCs"), by
// the ratio of retries to calls, or by both; see RetryBudgetOptions. All
// methods of a channel share one, and so do channels to one server name.
//
// What asks also takes, in one step: of two callers, only one gets the last
// token, or the last place that the ratio leaves.
//
// The tokens, their maximum and the ratio are one atomic word, and the calls of
// a window are counted in atomics, so that a call that goes well takes no lock;
// relaxed order is enough, because they guard no other data. Retries take a
// lock if the budget has a ratio.
//
// Lifetime: outlives the RetryPolicy of each call that it is given to.
//
// Thread-safe.

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/retry_options.h"

namespace grpc_breaker {

namespace internal {
class RatioWindow;
}  // namespace internal

class GRPC_BREAKER_EXPORT RetryBudget {
 public:
  // `options` must be valid. A budget that is turned off always allows.
  explicit RetryBudget(const RetryBudgetOptions& options);
  ~RetryBudget();

  RetryBudget(const RetryBudget&) = delete;
  RetryBudget& operator=(const RetryBudget&) = delete;

  // Other parameters, which must be valid, for all who use the budget. Tokens
  // keep their share of the maximum, as in gRPC, and the calls and retries of
  // the window stay counted unless its length changes.
  void Reconfigure(const RetryBudgetOptions& options)
      ABSL_LOCKS_EXCLUDED(mutex_);
  RetryBudgetOptions options() const ABSL_LOCKS_EXCLUDED(mutex_);

  // A call begins. Reads the clock only if the ratio counts calls.
  void RecordCall(Environment& environment);

  // Takes a token for a failure that the retry policy would retry. True if a
  // retry is allowed, as far as tokens go.
  bool RecordFailure();
  void RecordSuccess();

  // Takes the place of one more attempt among those that the ratio allows,
  // which is now going to be made; false, and takes nothing, if there is none.
  bool TakeRetry(MonotonicTime now);

  // The same for a hedge: an attempt that no failure has paid for. There must
  // be more than half of the tokens; as in gRFC A6 it takes one if it fails.
  bool TakeHedge(MonotonicTime now);

  // Tokens left, in [0, max_tokens], and that maximum; 0 if tokens are turned
  // off. Without a lock.
  double tokens() const;
  double max_tokens() const;

  // How many more retries the ratio allows now; 0 if it is turned off.
  int64_t retries_left(MonotonicTime now) const;

 private:
  std::atomic<uint64_t> tokens_;  // Packed, see retry_budget.cc.
  const std::unique_ptr<internal::RatioWindow> ratio_;
  mutable absl::Mutex mutex_;
  RetryBudgetOptions options_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_RETRY_BUDGET_H_
