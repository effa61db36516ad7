#ifndef GRPC_BREAKER_WITH_RETRY_H_
#define GRPC_BREAKER_WITH_RETRY_H_

// Retries for code that is not an RPC on one of our channels: a function that
// returns absl::Status, absl::StatusOr<T> or, with grpc_status.h, grpc::Status.
//
//   absl::StatusOr<Page> page =
//       WithRetry(RetryOptions(), [&] { return Fetch(url); });
//
// With a circuit breaker, the breaker goes inside, so that it sees every
// attempt:
//
//   WithRetry(options, [&] { return breaker->Execute(fetch); });
//
// The caller vouches that the function may be repeated. Failures are judged by
// the status table (error_class.h) and delayed by the backoff; the result is
// that of the last attempt, whatever the reason to stop. Options that are not
// valid come back as an InvalidArgument, and nothing is called.
//
// Thread-safe: calls share nothing but what they are given.

#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/retry_budget.h"
#include "grpc_breaker/retry_options.h"
#include "grpc_breaker/retry_policy.h"
#include "grpc_breaker/status_traits.h"

namespace grpc_breaker {

struct WithRetryOptions {
  // No attempt starts at or after this time, by the environment's clock, and
  // there is no backoff that would end there. It does not cut an attempt short.
  MonotonicTime deadline = MonotonicTime::max();

  // Whether to wait for the retry-after of a breaker that refused the attempt,
  // where retries and the deadline allow it, instead of failing fast. A
  // rejection never counts as a failure of the function.
  bool wait_when_rejected = false;

  // Shared with other calls to the same server, and outlives this one. May be
  // null.
  RetryBudget* budget = nullptr;

  // Changes what the status table says of a failure, for example to make
  // ABORTED retryable. Not asked about rejections.
  std::function<void(const absl::Status& status, ErrorClass& error)> refine;

  // Outlives the call.
  Environment* environment = &Environment::Default();
};

namespace internal {

// What the two forms have in common: the decisions of one call.
class GRPC_BREAKER_EXPORT RetrySession {
 public:
  // `retry` must be valid.
  RetrySession(const RetryOptions& retry, WithRetryOptions options);

  // After an attempt with this result.
  RetryDecision Next(const absl::Status& status, ErrorClass error);

  // OK, or what a function counts as that has thrown.
  static absl::Status Call(absl::FunctionRef<void()> function);

  Environment& environment() const { return *options_.environment; }

 private:
  const WithRetryOptions options_;
  RetryPolicy policy_;
};

}  // namespace internal

// Calls `function` until it succeeds or a reason to stop is met. Sleeps on the
// calling thread in between.
template <typename Function>
std::invoke_result_t<Function&> WithRetry(
    const RetryOptions& retry, Function&& function,
    const WithRetryOptions& options = {}) {
  using Result = std::invoke_result_t<Function&>;
  using Traits = StatusTraits<Result>;
  const absl::Status valid = retry.Validate();
  if (!valid.ok()) return Traits::FromStatus(valid);
  internal::RetrySession session(retry, options);
  for (;;) {
    Result result = function();
    const RetryDecision decision =
        session.Next(Traits::ToStatus(result), Traits::Classify(result));
    if (!decision.retry()) return result;
    session.environment().Sleep(decision.delay);
  }
}

// The same with a last resort: where the attempts have failed for good,
// returns fallback(result of the last attempt), which is of the same type.
template <typename Function, typename FallbackFunction>
std::invoke_result_t<Function&> WithRetryOrElse(
    const RetryOptions& retry, Function&& function, FallbackFunction&& fallback,
    const WithRetryOptions& options = {}) {
  using Result = std::invoke_result_t<Function&>;
  const absl::Status valid = retry.Validate();
  if (!valid.ok()) return StatusTraits<Result>::FromStatus(valid);
  Result result = WithRetry(retry, function, options);
  if (StatusTraits<Result>::ToStatus(result).ok()) return result;
  return fallback(std::move(result));
}

// A call of WithRetryAsync that may be under way. Dropping the handle neither
// stops nor blocks the call.
class GRPC_BREAKER_EXPORT AsyncRetry {
 public:
  virtual ~AsyncRetry() = default;

  // Ends the call with CANCELLED, on this thread and before this returns, in an
  // attempt as well as in a backoff; the attempt's own result is then dropped.
  // Nothing happens if the call has ended.
  virtual void Cancel() = 0;
};

namespace internal {

// One call of WithRetryAsync. It is kept alive by what it waits for: the
// callback of the attempt or the timer.
template <typename Result>
class AsyncRetryLoop final
    : public AsyncRetry,
      public std::enable_shared_from_this<AsyncRetryLoop<Result>> {
 public:
  using Done = std::function<void(Result)>;
  using Start = std::function<void(Done)>;

  AsyncRetryLoop(const RetryOptions& retry, WithRetryOptions options,
                 Start start, Done done)
      : session_(retry, std::move(options)),
        start_(std::move(start)),
        done_(std::move(done)) {}

  void StartAttempt() {
    int attempt;
    {
      internal::MutexLock lock(mutex_);
      timer_ = Environment::kNoTimer;
      if (done_ == nullptr) return;
      attempt = ++attempt_;
      in_attempt_ = true;
    }
    const absl::Status started = RetrySession::Call([&] {
      start_([self = this->shared_from_this(), attempt](Result result) {
        self->OnResult(attempt, std::move(result));
      });
    });
    if (!started.ok()) {
      OnResult(attempt, StatusTraits<Result>::FromStatus(started));
    }
  }

  void Cancel() override {
    Done done;
    Environment::TimerId timer;
    {
      internal::MutexLock lock(mutex_);
      if (done_ == nullptr) return;
      done = std::exchange(done_, nullptr);
      timer = timer_;
    }
    session_.environment().Cancel(timer);
    done(StatusTraits<Result>::FromStatus(
        absl::CancelledError("cancelled by the caller")));
  }

 private:
  void OnResult(int attempt, Result result) {
    Done done;
    {
      internal::MutexLock lock(mutex_);
      // Cancelled, or the callback of an attempt was called twice.
      if (done_ == nullptr || !in_attempt_ || attempt != attempt_) return;
      in_attempt_ = false;
    }
    // There is no other attempt if `refine` throws.
    RetryDecision decision;
    static_cast<void>(RetrySession::Call([&] {
      decision = session_.Next(StatusTraits<Result>::ToStatus(result),
                               StatusTraits<Result>::Classify(result));
    }));
    {
      internal::MutexLock lock(mutex_);
      if (done_ == nullptr) return;
      if (decision.retry()) {
        // By a timer even without a delay, so that attempts that complete
        // inline do not pile up on the stack.
        timer_ = session_.environment().RunAt(
            TimeAfter(session_.environment().Now(), decision.delay),
            [self = this->shared_from_this()] { self->StartAttempt(); });
        return;
      }
      done = std::exchange(done_, nullptr);
    }
    done(std::move(result));
  }

  // Used by one thread at a time: attempts follow one another.
  RetrySession session_;
  const Start start_;

  absl::Mutex mutex_;
  Done done_ ABSL_GUARDED_BY(mutex_);  // Null once the call has ended.
  int attempt_ ABSL_GUARDED_BY(mutex_) = 0;
  bool in_attempt_ ABSL_GUARDED_BY(mutex_) = false;
  Environment::TimerId timer_ ABSL_GUARDED_BY(mutex_) = Environment::kNoTimer;
};

}  // namespace internal

// The asynchronous form. `start` begins an attempt and passes its result to the
// callback it was given, once, on any thread, also before it returns. `done`
// gets the final result, once, with no lock held: on the thread of the last
// attempt's callback or of Cancel, possibly before this function returns.
// Backoffs block no thread: after each, `start` runs on a thread of the
// environment. A `start` that throws has failed with UNKNOWN, and is not
// repeated; nor is one whose failure `refine` throws at.
//
//   WithRetryAsync<absl::Status>(options, start, done);
template <typename Result>
std::shared_ptr<AsyncRetry> WithRetryAsync(
    const RetryOptions& retry,
    std::function<void(std::function<void(Result)>)> start,
    std::function<void(Result)> done, const WithRetryOptions& options = {}) {
  const absl::Status valid = retry.Validate();
  WithRetryOptions own = options;
  if (!valid.ok()) own.budget = nullptr;  // It is no call.
  auto loop = std::make_shared<internal::AsyncRetryLoop<Result>>(
      valid.ok() ? retry : RetryOptions(), std::move(own), std::move(start),
      valid.ok() ? std::move(done) : nullptr);
  if (valid.ok()) {
    loop->StartAttempt();
  } else {
    done(StatusTraits<Result>::FromStatus(valid));
  }
  return loop;
}

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_WITH_RETRY_H_
