#include "grpc_breaker/retry_budget.h"

#include <algorithm>
#include <cmath>

namespace grpc_breaker {
namespace {

constexpr int64_t kMillitokens = 1000;

// Further decimals are cut off, as gRFC A6 has it; the small term keeps 0.57,
// which is 569.9999... thousandths in binary, at 570.
int64_t ToMillitokens(double tokens) {
  return static_cast<int64_t>(std::floor(tokens * kMillitokens + 1e-6));
}

}  // namespace

RetryBudget::RetryBudget(const RetryBudgetOptions& options)
    : max_millitokens_(ToMillitokens(options.max_tokens)),
      millitokens_per_success_(ToMillitokens(options.token_ratio)),
      millitokens_(max_millitokens_) {}

bool RetryBudget::RecordFailure() {
  if (max_millitokens_ == 0) return true;
  return Add(-kMillitokens) > max_millitokens_ / 2;
}

void RetryBudget::RecordSuccess() { Add(millitokens_per_success_); }

int64_t RetryBudget::Add(int64_t millitokens) {
  int64_t before = millitokens_.load(std::memory_order_relaxed);
  int64_t after;
  do {
    after = std::clamp<int64_t>(before + millitokens, 0, max_millitokens_);
    // A healthy server leaves the budget full: nothing is written then, so that
    // threads do not fight over the cache line.
  } while (after != before && !millitokens_.compare_exchange_weak(
                                  before, after, std::memory_order_relaxed));
  return after;
}

double RetryBudget::tokens() const {
  return static_cast<double>(millitokens_.load(std::memory_order_relaxed)) /
         kMillitokens;
}

}  // namespace grpc_breaker
