#include "grpc_breaker/retry_budget.h"

#include <algorithm>
#include <cmath>

#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/retry/ratio_window.h"

namespace grpc_breaker {
namespace {

constexpr int64_t kMillitokens = 1000;

// All that tokens are decided by, in thousandths. 20 bits hold a thousand
// tokens each, so that one word has it all and no step can see half of another
// one.
struct Tokens {
  int64_t left = 0;
  int64_t max = 0;  // 0: turned off.
  int64_t per_success = 0;

  bool enough() const { return max == 0 || left > max / 2; }
  Tokens Plus(int64_t more) const {
    return {std::clamp<int64_t>(left + more, 0, max), max, per_success};
  }
};

constexpr int kBits = 20;
constexpr uint64_t kMask = (uint64_t{1} << kBits) - 1;

uint64_t Pack(const Tokens& tokens) {
  return static_cast<uint64_t>(tokens.left) |
         static_cast<uint64_t>(tokens.max) << kBits |
         static_cast<uint64_t>(tokens.per_success) << 2 * kBits;
}

Tokens Unpack(uint64_t word) {
  return {static_cast<int64_t>(word & kMask),
          static_cast<int64_t>(word >> kBits & kMask),
          static_cast<int64_t>(word >> 2 * kBits & kMask)};
}

// What `change` makes of the tokens, all at once.
template <typename Change>
Tokens Update(std::atomic<uint64_t>& word, Change change) {
  uint64_t before = word.load(std::memory_order_relaxed);
  for (;;) {
    const Tokens tokens = change(Unpack(before));
    const uint64_t after = Pack(tokens);
    // A healthy server leaves the budget full: nothing is written then, so that
    // threads do not fight over the cache line.
    if (after == before ||
        word.compare_exchange_weak(before, after, std::memory_order_relaxed)) {
      return tokens;
    }
  }
}

// Further decimals are cut off, as gRFC A6 has it; the small term keeps 0.57,
// which is 569.9999... thousandths in binary, at 570.
int64_t ToMillitokens(double tokens) {
  return static_cast<int64_t>(std::floor(tokens * kMillitokens + 1e-6));
}

}  // namespace

RetryBudget::RetryBudget(const RetryBudgetOptions& options)
    : tokens_(Pack({})), ratio_(std::make_unique<internal::RatioWindow>()) {
  Reconfigure(options);
}

RetryBudget::~RetryBudget() = default;

void RetryBudget::Reconfigure(const RetryBudgetOptions& options) {
  internal::MutexLock lock(mutex_);
  options_ = options;
  const int64_t max = ToMillitokens(options.max_tokens);
  // Unused, it may have any value.
  const int64_t per_success = max == 0 ? 0 : ToMillitokens(options.token_ratio);
  Update(tokens_, [&](const Tokens& old) {
    const int64_t left = old.max == 0 ? max : old.left * max / old.max;
    return Tokens{left, max, per_success};
  });
  ratio_->Reconfigure(options);
}

RetryBudgetOptions RetryBudget::options() const {
  internal::MutexLock lock(mutex_);
  return options_;
}

void RetryBudget::RecordCall(Environment& environment) {
  if (ratio_->on()) ratio_->AddCall(environment.Now());
}

bool RetryBudget::RecordFailure() {
  return Update(tokens_,
                [](const Tokens& tokens) { return tokens.Plus(-kMillitokens); })
      .enough();
}

void RetryBudget::RecordSuccess() {
  Update(tokens_,
         [](const Tokens& tokens) { return tokens.Plus(tokens.per_success); });
}

bool RetryBudget::TakeRetry(MonotonicTime now) {
  return !ratio_->on() || ratio_->TakeRetry(now);
}

bool RetryBudget::TakeHedge(MonotonicTime now) {
  return Unpack(tokens_.load(std::memory_order_relaxed)).enough() &&
         TakeRetry(now);
}

double RetryBudget::tokens() const {
  return static_cast<double>(
             Unpack(tokens_.load(std::memory_order_relaxed)).left) /
         kMillitokens;
}

double RetryBudget::max_tokens() const {
  return static_cast<double>(
             Unpack(tokens_.load(std::memory_order_relaxed)).max) /
         kMillitokens;
}

int64_t RetryBudget::retries_left(MonotonicTime now) const {
  return ratio_->on() ? ratio_->RetriesLeft(now) : 0;
}

}  // namespace grpc_breaker
