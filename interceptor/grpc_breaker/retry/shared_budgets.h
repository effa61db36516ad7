#ifndef GRPC_BREAKER_RETRY_SHARED_BUDGETS_H_
#define GRPC_BREAKER_RETRY_SHARED_BUDGETS_H_

// The retry budgets that channels share, one for each server name (gRFC A6).
// Names under different environments are apart, since their clocks are.
//
// Lifetime: a budget lives as long as somebody holds it, and leaves nothing
// behind; this outlives them all.
//
// Thread-safe.

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/retry_budget.h"
#include "grpc_breaker/retry_options.h"

namespace grpc_breaker::internal {

class GRPC_BREAKER_EXPORT SharedBudgets {
 public:
  SharedBudgets() = default;
  SharedBudgets(const SharedBudgets&) = delete;
  SharedBudgets& operator=(const SharedBudgets&) = delete;

  // That of the process; never destroyed.
  static SharedBudgets& Default();

  // The budget of the server, made at first sight. It has these options from
  // now on, which must be valid, for all who hold it.
  std::shared_ptr<RetryBudget> Get(Environment& environment,
                                   absl::string_view server_name,
                                   const RetryBudgetOptions& options)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // How many are held.
  size_t size() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Key = std::pair<const Environment*, std::string>;

  void Forget(const Key& key) ABSL_LOCKS_EXCLUDED(mutex_);

  mutable absl::Mutex mutex_;
  std::map<Key, std::weak_ptr<RetryBudget>> budgets_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RETRY_SHARED_BUDGETS_H_
