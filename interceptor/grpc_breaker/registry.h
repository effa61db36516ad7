#ifndef GRPC_BREAKER_REGISTRY_H_
#define GRPC_BREAKER_REGISTRY_H_

// A Registry holds what one channel knows of its methods: policy, breaker,
// retry budget. A Directory lists the registries of a process for the admin
// service.
//
// Lifetime: a Method lives as long as its Registry; calls hold the Registry by
// shared_ptr, so both outlive the channel while calls are under way. A
// Directory holds its registries weakly, and need not outlive them.
//
// Thread-safe: all three. Registry::Find takes no lock for a method that was
// seen before: entries are only added, each published with a release store and
// found with an acquire load. No lock is held while a listener runs.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/retry_budget.h"

namespace grpc_breaker {

class Registry;

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
  const Policy& policy() const { return policy_; }
  CircuitBreaker& breaker() const { return *breaker_; }
  // Shared by the channel; null if it has none.
  RetryBudget* retry_budget() const { return retry_budget_; }
  // Whether its calls may be repeated; see Idempotency. False for "_other"
  // unless the default policy says otherwise.
  bool repeatable() const { return repeatable_; }

  void RecordError(LastError error);
  std::optional<LastError> last_error() const;

 private:
  friend class Registry;
  Method(absl::string_view name, const Policy& policy, bool repeatable,
         std::unique_ptr<CircuitBreaker> breaker, RetryBudget* retry_budget,
         Environment& environment);

  const std::string name_;
  const Policy& policy_;  // In the registry's options.
  const bool repeatable_;
  const std::unique_ptr<CircuitBreaker> breaker_;
  RetryBudget* const retry_budget_;
  Environment& environment_;
  mutable absl::Mutex mutex_;
  std::optional<LastError> last_error_ ABSL_GUARDED_BY(mutex_);
};

// Hears what happens in a directory, after all locks are released: of changes
// of state on the threads that a BreakerListener hears of them on, else on the
// thread that caused it. Events of one registry's different methods may come at
// the same time. Should not throw; if it does, the others hear the event
// anyway.
class GRPC_BREAKER_EXPORT DirectoryListener {
 public:
  virtual ~DirectoryListener() = default;

  // A method was called for the first time, or its registry has just come.
  // Another thread that calls it may bring about a transition before this.
  virtual void OnMethodAdded(const Registry& /*registry*/,
                             const Method& /*method*/) {}

  // After the channel's own listeners.
  virtual void OnTransition(const Registry& /*registry*/,
                            const Method& /*method*/,
                            const BreakerTransition& /*transition*/) {}

  // The registry is being destroyed: nothing of it but channel_name() may be
  // used. The name is not given to another one before this returns.
  virtual void OnRegistryRemoved(const Registry& /*registry*/) {}
};

class GRPC_BREAKER_EXPORT Directory {
 public:
  class Subscription;

  Directory();
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  // The one that options name by default; never destroyed.
  static Directory& Default();

  // Those still alive, in order of creation.
  std::vector<std::shared_ptr<Registry>> Registries() const;

  // The first `at_most` of those still alive whose channel_name() is `name` or
  // greater, in order of these names. Takes no longer the more there are.
  std::vector<std::shared_ptr<Registry>> RegistriesFrom(absl::string_view name,
                                                        size_t at_most) const;

  // Tells `listener` every event from now on, until the returned handle is
  // destroyed. Afterwards no function of the listener is running on another
  // thread or will run again; so hold no lock then that those take. They may
  // destroy the handle themselves.
  std::unique_ptr<Subscription> Subscribe(DirectoryListener& listener);

 private:
  friend class Registry;
  struct State;

  const std::shared_ptr<State> state_;
};

class GRPC_BREAKER_EXPORT Directory::Subscription {
 public:
  virtual ~Subscription() = default;
};

class GRPC_BREAKER_EXPORT Registry
    : public std::enable_shared_from_this<Registry> {
 public:
  // Validates the options, makes the entries of methods with a policy of their
  // own, and enters the registry into the options' directory.
  static absl::StatusOr<std::shared_ptr<Registry>> Create(Options options);
  ~Registry();

  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // The method's entry, made at first sight. A name that is not of the form
  // /package.Service/Method, or one too many, gets the entry "_other".
  Method& Find(absl::string_view method);

  // The entry if the method was seen or has a policy of its own, else null.
  const Method* Peek(absl::string_view method) const;

  // All entries so far, by name.
  std::vector<const Method*> Methods() const;

  // The first `at_most` of those whose name is `name` or greater. Takes no
  // longer the more there are.
  std::vector<const Method*> MethodsFrom(absl::string_view name,
                                         size_t at_most) const;

  // options().channel_name, or "channel" where that is empty. Where a living
  // registry of the directory has that name already, "#2", "#3", ... is added.
  const std::string& channel_name() const { return channel_name_; }
  Environment& environment() const { return *options_.environment; }
  const Options& options() const { return options_; }

 private:
  // Tells events of this registry's breakers to the channel's listeners, with
  // its name, and transitions then to those of the directory.
  class FanOut : public BreakerListener {
   public:
    explicit FanOut(Registry& registry) : registry_(registry) {}
    void OnTransition(const BreakerTransition& transition) override;
    void OnRejections(const BreakerRejections& rejections) override;
    void OnSlowCall(const BreakerSlowCall& call) override;
    void OnThreshold(const BreakerThreshold& threshold) override;
    void OnEventsDropped(const BreakerEventsDropped& dropped) override;

   private:
    template <typename Event>
    void Tell(void (BreakerListener::*on_event)(const Event&),
              const Event& event);

    Registry& registry_;
  };

  // One entry of the hash table, which only grows. `next` is fixed before the
  // node is published.
  struct Node {
    const size_t hash;
    const std::unique_ptr<Method> method;
    Node* next = nullptr;
  };

  struct ByName {
    using is_transparent = void;
    static absl::string_view Name(const Method* method) {
      return method->name();
    }
    static absl::string_view Name(absl::string_view name) { return name; }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return Name(a) < Name(b);
    }
  };

  explicit Registry(Options options);

  absl::StatusOr<std::unique_ptr<Method>> MakeMethod(absl::string_view name);
  Method* Lookup(absl::string_view name, size_t hash) const;
  Method& Insert(std::unique_ptr<Method> method, size_t hash)
      ABSL_LOCKS_EXCLUDED(mutex_);
  Method& Other();
  void TellAdded(const Method& method);
  bool TellDirectory(const BreakerTransition& transition);

  const Options options_;
  std::string channel_name_;
  FanOut fan_out_{*this};
  std::optional<RetryBudget> retry_budget_;
  std::shared_ptr<Directory::State> directory_;  // Null: in none.

  std::unique_ptr<Method> other_;
  std::atomic<bool> other_used_{false};
  // A power of two of them; read without the mutex, written under it.
  std::vector<std::atomic<Node*>> buckets_;
  std::atomic<int> size_{0};
  mutable absl::Mutex mutex_;
  // All that Peek finds.
  absl::btree_set<const Method*, ByName> by_name_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_REGISTRY_H_
