#ifndef GRPC_BREAKER_METHOD_H_
#define GRPC_BREAKER_METHOD_H_

// What one channel knows of one of its methods: policy, breaker, retry budget,
// last error, and what its calls did.
//
// Lifetime: lives as long as its Registry, which calls hold by shared_ptr.
//
// Thread-safe. No lock is held while a listener runs.

#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/call_stats.h"
#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/error_class.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/retry_budget.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker {

class Registry;
namespace internal {
class CallRecords;
}

// The last failure that a method saw.
struct LastError {
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string message;
  ErrorClass error_class;
  absl::Time time;     // By the wall clock, for people.
  MonotonicTime at{};  // Set by RecordError: now.
};

class GRPC_BREAKER_EXPORT Method {
 public:
  // "/pkg.Service/Method", or "_other".
  const std::string& name() const { return name_; }
  CircuitBreaker& breaker() const { return *breaker_; }
  // Shared by the channel and others to the server; null if it has none.
  RetryBudget* retry_budget() const { return retry_budget_; }

  // The one that holds now. A call goes by the policy that it has found, to its
  // end; see Registry::ReplacePolicies.
  std::shared_ptr<const Policy> policy() const;
  // Whether calls under `policy` may be repeated; see Idempotency.
  bool MayRepeat(const Policy& policy) const {
    return declared_idempotent_ ||
           policy.idempotency == Idempotency::kRepeatable;
  }
  bool repeatable() const { return MayRepeat(*policy()); }

  void RecordError(LastError error);
  std::optional<LastError> last_error() const;

  // What its calls did, without a lock; `now` is the environment's.
  CallTotals call_totals() const;
  CallCounts call_counts() const;
  RecentCalls recent_calls(MonotonicTime now) const;
  // Where calls record it.
  internal::CallRecords& records() const { return *records_; }

  ~Method();

 private:
  friend class Registry;

  // What the breaker tells: knows whose it is.
  class Events final : public BreakerListener {
   public:
    explicit Events(Method& method) : method_(method) {}
    void OnTransition(const BreakerTransition& transition) override;
    void OnRejections(const BreakerRejections& rejections) override;
    void OnSlowCall(const BreakerSlowCall& call) override;
    void OnThreshold(const BreakerThreshold& threshold) override;
    void OnEventsDropped(const BreakerEventsDropped& dropped) override;

   private:
    template <typename Event>
    void Notify(void (BreakerListener::*on_event)(const Event&), Event event);

    Method& method_;
  };

  Method(Registry& registry, absl::string_view name,
         std::shared_ptr<const Policy> policy, RetryBudget* retry_budget);

  // Goes over to what the registry's table has now, the breaker as well.
  void FollowPolicies();

  Registry& registry_;
  const std::string name_;
  const bool declared_idempotent_;
  RetryBudget* const retry_budget_;
  const std::unique_ptr<internal::CallRecords> records_;
  Events events_{*this};
  std::unique_ptr<CircuitBreaker>
      breaker_;  // Set before others see the method.
  mutable internal::Mutex policy_mutex_;
  std::shared_ptr<const Policy> policy_ ABSL_GUARDED_BY(policy_mutex_);
  mutable internal::Mutex mutex_;
  std::optional<LastError> last_error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_METHOD_H_
