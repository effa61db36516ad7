#include "grpc_breaker/method.h"

#include <type_traits>
#include <utility>

#include "grpc_breaker/base/user_code.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/registry/directory_state.h"
#include "grpc_breaker/registry/linked_protos.h"
#include "grpc_breaker/registry/policy_table.h"
#include "grpc_breaker/stats/call_records.h"

namespace grpc_breaker {
namespace {

struct ListenerThrew {};

}  // namespace

Method::Method(Registry& registry, absl::string_view name,
               std::shared_ptr<const Policy> policy, RetryBudget* retry_budget)
    : registry_(registry),
      name_(name),
      declared_idempotent_(internal::IsDeclaredIdempotent(name)),
      retry_budget_(retry_budget),
      records_(std::make_unique<internal::CallRecords>(
          registry.environment().Now())),
      policy_(std::move(policy)) {}

Method::~Method() = default;

std::shared_ptr<const Policy> Method::policy() const {
  internal::MutexLock lock(policy_mutex_);
  return policy_;
}

void Method::RecordError(LastError error) {
  error.at = registry_.environment().Now();
  internal::MutexLock lock(mutex_);
  last_error_ = std::move(error);
}

std::optional<LastError> Method::last_error() const {
  internal::MutexLock lock(mutex_);
  return last_error_;
}

CallTotals Method::call_totals() const { return records_->Totals(); }

CallCounts Method::call_counts() const { return records_->Counts(); }

RecentCalls Method::recent_calls(MonotonicTime now) const {
  return records_->Recent(now);
}

// Of several threads that do this, the last one to finish has seen the table
// that is in use then.
void Method::FollowPolicies() {
  std::shared_ptr<const internal::PolicyTable> table = registry_.table();
  for (;;) {
    const std::shared_ptr<const Policy> policy = PolicyFor(table, name_);
    {
      internal::MutexLock lock(policy_mutex_);
      policy_ = policy;
    }
    if (breaker_->options() != policy->breaker) {
      // Valid, as the table is.
      breaker_->Reconfigure(policy->breaker, registry_.environment().Now())
          .IgnoreError();
    }
    std::shared_ptr<const internal::PolicyTable> current = registry_.table();
    if (current == table) return;
    table = std::move(current);
  }
}

// To all listeners of the channel, and then to those of the directory where the
// event is for them as well, also if some of them throw. An event may come on a
// thread that no call of the channel holds the registry for, and a listener may
// drop what does.
template <typename Event>
void Method::Events::Notify(void (BreakerListener::*on_event)(const Event&),
                            Event event) {
  const std::shared_ptr<Registry> registry =
      method_.registry_.weak_from_this().lock();
  if (registry == nullptr) return;  // Is being destroyed.
  event.channel = registry->channel_name();
  bool well = true;
  for (const auto& listener : registry->listeners_) {
    well =
        internal::CallUserCode([&] { (*listener.*on_event)(event); }) && well;
  }
  if constexpr (std::is_same_v<Event, BreakerTransition>) {
    if (registry->directory_ != nullptr) {
      well = registry->directory_->Notify([&](DirectoryListener& listener) {
        listener.OnTransition(*registry, method_, event);
      }) && well;
    }
  }
#ifdef __cpp_exceptions
  // What has thrown is counted by the breaker, whose listener this is.
  if (!well) throw ListenerThrew();
#endif
}

void Method::Events::OnTransition(const BreakerTransition& transition) {
  Notify(&BreakerListener::OnTransition, transition);
}

void Method::Events::OnRejections(const BreakerRejections& rejections) {
  Notify(&BreakerListener::OnRejections, rejections);
}

void Method::Events::OnSlowCall(const BreakerSlowCall& call) {
  Notify(&BreakerListener::OnSlowCall, call);
}

void Method::Events::OnThreshold(const BreakerThreshold& threshold) {
  Notify(&BreakerListener::OnThreshold, threshold);
}

void Method::Events::OnEventsDropped(const BreakerEventsDropped& dropped) {
  Notify(&BreakerListener::OnEventsDropped, dropped);
}

}  // namespace grpc_breaker
