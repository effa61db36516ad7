#ifndef GRPC_BREAKER_REGISTRY_H_
#define GRPC_BREAKER_REGISTRY_H_

// A Registry holds what one channel knows of its methods: policy, breaker,
// retry budget. A Directory lists the registries of a process for the admin
// service.
//
// Lifetime: a Method lives as long as its Registry; calls hold the Registry by
// shared_ptr, so both outlive the channel while calls are under way. A
// Directory holds its registries weakly.
//
// Thread-safe: all three. Registry::Find takes no lock for a method that was
// seen before: entries are only added, each published with a release store and
// found with an acquire load.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/retry_budget.h"

namespace grpc_breaker {

// The last failure that a method saw.
struct LastError {
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string message;
  ErrorClass error_class;
  absl::Time time;
};

class Method {
 public:
  // "/pkg.Service/Method", or "_other".
  const std::string& name() const { return name_; }
  const Policy& policy() const { return policy_; }
  CircuitBreaker& breaker() const { return *breaker_; }
  RetryBudget* retry_budget() const { return retry_budget_; }
  // Whether its calls may be repeated; see Idempotency.
  bool repeatable() const { return repeatable_; }

  void RecordError(LastError error);
  std::optional<LastError> last_error() const;

 private:
  friend class Registry;
  Method() = default;

  std::string name_;
  Policy policy_;
  std::unique_ptr<CircuitBreaker> breaker_;
  RetryBudget* retry_budget_ = nullptr;
  bool repeatable_ = false;
  mutable absl::Mutex mutex_;
  std::optional<LastError> last_error_ ABSL_GUARDED_BY(mutex_);
};

class Registry : public std::enable_shared_from_this<Registry> {
 public:
  // Validates the options, and enters the registry into their directory.
  static absl::StatusOr<std::shared_ptr<Registry>> Create(Options options);
  ~Registry();

  // The method's entry, made at first sight. A name that is not of the form
  // /package.Service/Method, or one too many, gets the entry "_other".
  Method& Find(absl::string_view method);

  // The entry if the method was seen or has a policy of its own, else null.
  const Method* Peek(absl::string_view method) const;

  // All entries so far, by name.
  std::vector<const Method*> Methods() const;

  const std::string& channel_name() const;
  Environment& environment() const;
  const Options& options() const;
};

class Directory {
 public:
  // The one that options name by default; never destroyed.
  static Directory& Default();

  // Those still alive, in order of creation.
  std::vector<std::shared_ptr<Registry>> Registries() const;

  // Hears every transition of every breaker in the directory, after the
  // channel's own listeners. Returns a handle: destroy it to stop; afterwards
  // the function is not running and will not run.
  using TransitionFunction =
      std::function<void(const Registry&, const BreakerTransition&)>;
  class Subscription;
  std::unique_ptr<Subscription> Subscribe(TransitionFunction function);
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_REGISTRY_H_
