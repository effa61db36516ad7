#ifndef GRPC_BREAKER_REGISTRY_H_
#define GRPC_BREAKER_REGISTRY_H_

// A Registry holds what one channel knows of its methods, and the policies that
// they get. Its retry budget it may share with others, by server name.
//
// Lifetime: calls hold it by shared_ptr, so it outlives the channel while calls
// are under way.
//
// Thread-safe. FindOrCreate takes no lock for a method that was seen before:
// entries are only added, each published with a release store and found with an
// acquire load. No lock is held while a listener runs.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpc_breaker/directory.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/method.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/retry_budget.h"

namespace grpc_breaker {

namespace internal {
class DirectoryState;
class PolicyTable;
}  // namespace internal

// A change of one method's policy while its channel lives.
struct PolicyUpdate {
  // Sets what is to be changed, and is asked again whenever other policies
  // come; fails if it cannot. A pure function. Null: nothing.
  std::function<absl::Status(Policy*)> change;
  // Takes back the earlier ones of the method first.
  bool revert = false;
  // > 0. Afterwards the change ends by itself.
  absl::Duration time_to_live = absl::InfiniteDuration();
  // Change nothing, only say what would come of it.
  bool dry_run = false;
};

struct UpdatedPolicy {
  std::shared_ptr<const Policy> before;
  std::shared_ptr<const Policy> after;
};

class GRPC_BREAKER_EXPORT Registry
    : public std::enable_shared_from_this<Registry> {
 public:
  // Validates the options, makes the entries of methods with a policy of their
  // own, enters the registry into the options' directory, and tells the
  // listeners of Options::Warnings().
  static absl::StatusOr<std::shared_ptr<Registry>> Create(Options options);
  ~Registry();

  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // The method's entry, made at first sight. A name that is not of the form
  // /package.Service/Method, or one too many, gets the entry "_other".
  Method& FindOrCreate(absl::string_view method);

  // The entry if the method was seen or has a policy of its own, else null.
  const Method* Find(absl::string_view method) const;

  // Whether calls pass by breaker and retries: health checks and reflection
  // ("/grpc.health.v1.Health/", "/grpc.reflection."), which must tell the truth
  // and come often, unless a policy names the method or its service.
  bool Exempts(absl::string_view method) const;

  // How many entries there are so far, and at most, without "_other".
  size_t size() const { return size_.load(std::memory_order_relaxed); }
  size_t max_methods() const { return max_methods_; }

  // All entries so far, by name.
  std::vector<const Method*> Methods() const;

  // The first `at_most` of those whose name is `name` or greater. Takes no
  // longer the more there are.
  std::vector<const Method*> MethodsFrom(absl::string_view name,
                                         size_t at_most) const;

  // Calls `visit` for each of them, in no order and without a lock, so that
  // calls are not held up however many there are. Those that come meanwhile may
  // be left out.
  void ForEachMethod(absl::FunctionRef<void(const Method&)> visit) const;

  // Gives all methods other policies, at once, with the updates of single ones
  // over them. Calls under way keep those that they have; breakers whose
  // options change are reconfigured, and keep what they counted where they can
  // (CircuitBreaker::Reconfigure). Fails, and changes nothing, if the policies
  // are not valid, with and without updates, or name more methods than
  // max_methods leaves room for.
  absl::Status ReplacePolicies(Policies policies)
      ABSL_LOCKS_EXCLUDED(update_mutex_, mutex_);
  // Whether it would, as things are now: for who gives several registries the
  // same and wants all to have it or none.
  absl::Status CheckPolicies(const Policies& policies) const
      ABSL_LOCKS_EXCLUDED(update_mutex_);

  // Changes the policy of one method that there is, over earlier updates of it,
  // of which there may be 100. NotFound; ResourceExhausted; or what is wrong
  // with the policy that would come of it. Then nothing is changed. When one
  // ends by itself, later ones that are not valid without it end as well.
  absl::StatusOr<UpdatedPolicy> UpdatePolicy(const std::string& method,
                                             const PolicyUpdate& update);
  // Those of the method that are in force.
  size_t policy_updates(const std::string& method) const
      ABSL_LOCKS_EXCLUDED(update_mutex_);

  // Those of now, from which each method's policy comes, updates included.
  std::shared_ptr<const Policies> policies() const;

  // Null: there is none.
  const std::shared_ptr<PolicySource>& policy_source() const {
    return policy_source_;
  }
  // For that: the policies of the application, without what the source says.
  // Without one, those that the registry was made with.
  const std::shared_ptr<const Policies>& given_policies() const {
    return given_policies_;
  }
  // Likewise: tells the listeners, with the channel's name and the time.
  void NotifyReload(PolicyReload reload);

  // options.channel_name, or "channel" where that is empty. Where a living
  // registry of the directory has that name already, "#2", "#3", ... is added.
  const std::string& channel_name() const { return channel_name_; }
  Environment& environment() const { return environment_; }
  // As they were given. What holds now may be a newer channel's to the same
  // server name: RetryBudget::options().
  const RetryBudgetOptions& retry_budget_options() const {
    return retry_budget_options_;
  }

 private:
  friend class Method;
  using Table = std::shared_ptr<const internal::PolicyTable>;

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

  struct HeldUpdate {
    uint64_t id;
    std::function<absl::Status(Policy*)> change;
    Environment::TimerId timer = Environment::kNoTimer;
  };
  using Updates = std::map<std::string, std::vector<HeldUpdate>>;

  // What the rest of the process has to hear of policies that are in force.
  struct Installed {
    std::vector<Method*> known;
    std::vector<const Method*> added;
  };

  Registry(Options options, Table table, std::shared_ptr<const Policies> given);

  // By this table, which ReplacePolicies may meanwhile have replaced.
  std::unique_ptr<Method> MakeMethod(absl::string_view name,
                                     const Table& table);
  Method* Lookup(absl::string_view name, size_t hash) const;
  Table table() const ABSL_LOCKS_EXCLUDED(mutex_);
  // With the updates over them; valid. `at_fault`, if not null, is the method
  // whose update is wrong, if one is.
  static absl::StatusOr<Policies> WithUpdates(const Policies& base,
                                              const Updates& updates,
                                              std::string* at_fault = nullptr);
  // With those that are in force; an error tells which is in the way.
  absl::StatusOr<Policies> Updated(const Policies& base) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(update_mutex_);
  // Takes out those of a method that are not valid over the ones before them.
  std::vector<HeldUpdate> DropInvalidUpdates(const std::string& method)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(update_mutex_);
  // Whether there is room for so many more methods.
  absl::Status CheckRoomFor(size_t added) const;
  // Puts valid policies into force, for methods that ask for them.
  absl::StatusOr<Installed> Install(Policies policies)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(update_mutex_) ABSL_LOCKS_EXCLUDED(mutex_);
  // Gives them to all methods, and tells.
  void Announce(const Installed& installed)
      ABSL_LOCKS_EXCLUDED(update_mutex_, mutex_);
  void EndUpdateLater(const std::string& method, uint64_t id,
                      absl::Duration time_to_live)
      ABSL_LOCKS_EXCLUDED(update_mutex_);
  void EndUpdate(const std::string& method, uint64_t id)
      ABSL_LOCKS_EXCLUDED(update_mutex_, mutex_);
  void Add(std::unique_ptr<Method> method)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Method& Other() ABSL_LOCKS_EXCLUDED(mutex_);

  void NotifyAdded(const Method& method);
  void NotifyWarnings(std::vector<PolicyWarning> warnings);

  const RetryBudgetOptions retry_budget_options_;
  const size_t max_methods_;
  const std::vector<std::shared_ptr<BreakerListener>> listeners_;
  Environment& environment_;
  const std::shared_ptr<PolicySource> policy_source_;
  const std::shared_ptr<const Policies> given_policies_;
  std::string channel_name_;
  std::shared_ptr<RetryBudget> retry_budget_;            // Null: there is none.
  std::shared_ptr<internal::DirectoryState> directory_;  // Null: in none.

  std::unique_ptr<Method> other_;
  std::atomic<bool> other_used_{false};
  // A power of two of them; read without the mutex, written under it.
  std::vector<std::atomic<Node*>> buckets_;
  std::atomic<size_t> size_{0};
  // Held by who changes policies: one after the other.
  mutable absl::Mutex update_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  std::shared_ptr<const Policies> base_policies_
      ABSL_GUARDED_BY(update_mutex_);  // Without updates.
  Updates updates_ ABSL_GUARDED_BY(update_mutex_);
  uint64_t last_update_ ABSL_GUARDED_BY(update_mutex_) = 0;
  mutable absl::Mutex mutex_;
  Table table_ ABSL_GUARDED_BY(mutex_);
  // All that Find finds.
  absl::btree_set<Method*, ByName> by_name_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_REGISTRY_H_
