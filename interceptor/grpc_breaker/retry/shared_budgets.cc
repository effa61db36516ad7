#include "grpc_breaker/retry/shared_budgets.h"

#include "grpc_breaker/mutex_lock.h"

namespace grpc_breaker::internal {

SharedBudgets& SharedBudgets::Default() {
  static SharedBudgets* const budgets = new SharedBudgets;
  return *budgets;
}

std::shared_ptr<RetryBudget> SharedBudgets::Get(
    Environment& environment, absl::string_view server_name,
    const RetryBudgetOptions& options) {
  Key key(&environment, server_name);
  MutexLock lock(mutex_);
  std::weak_ptr<RetryBudget>& entry = budgets_[key];
  if (std::shared_ptr<RetryBudget> budget = entry.lock()) {
    if (budget->options() != options) budget->Reconfigure(options);
    return budget;
  }
  std::shared_ptr<RetryBudget> budget(
      new RetryBudget(options),
      [this, key = std::move(key)](const RetryBudget* unused) {
        delete unused;
        Forget(key);
      });
  entry = budget;
  return budget;
}

size_t SharedBudgets::size() const {
  MutexLock lock(mutex_);
  return budgets_.size();
}

// Unless somebody has asked for the name again, and got another budget.
void SharedBudgets::Forget(const Key& key) {
  MutexLock lock(mutex_);
  const auto it = budgets_.find(key);
  if (it != budgets_.end() && it->second.expired()) budgets_.erase(it);
}

}  // namespace grpc_breaker::internal
