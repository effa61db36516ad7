#include "grpc_breaker/registry.h"

#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpc_breaker/base/user_code.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/policy_source.h"
#include "grpc_breaker/registry/directory_state.h"
#include "grpc_breaker/registry/method_name.h"
#include "grpc_breaker/registry/policy_table.h"
#include "grpc_breaker/retry/shared_budgets.h"

namespace grpc_breaker {
namespace {

using internal::kOtherMethods;
using internal::PolicyTable;

size_t HashOf(absl::string_view name) {
  return absl::Hash<absl::string_view>{}(name);
}

// They hold the table.
std::shared_ptr<const Policies> PoliciesOf(
    const std::shared_ptr<const PolicyTable>& table) {
  return {table, &table->policies()};
}

}  // namespace

Registry::Registry(Options options, Table table,
                   std::shared_ptr<const Policies> given)
    : retry_budget_options_(options.retry_budget),
      max_methods_(static_cast<size_t>(options.max_methods)),
      listeners_(std::move(options.listeners)),
      environment_(*options.environment),
      policy_source_(std::move(options.policy_source)),
      given_policies_(std::move(given)),
      channel_name_(options.channel_name.empty()
                        ? "channel"
                        : std::move(options.channel_name)),
      table_(std::move(table)) {
  size_t buckets = 16;
  while (buckets < max_methods_) buckets *= 2;
  buckets_ = std::vector<std::atomic<Node*>>(buckets);
  if (!retry_budget_options_.on()) return;
  retry_budget_ =
      retry_budget_options_.per_channel || options.server_name.empty()
          ? std::make_shared<RetryBudget>(retry_budget_options_)
          : internal::SharedBudgets::Default().Get(
                environment_, options.server_name, retry_budget_options_);
}

absl::StatusOr<std::shared_ptr<Registry>> Registry::Create(Options options) {
  std::shared_ptr<const Policies> given;
  int64_t version = 0;
  if (options.policy_source != nullptr) {
    given = std::make_shared<const Policies>(options);
    const absl::StatusOr<int64_t> applied =
        options.policy_source->ApplyTo(&options);
    if (!applied.ok()) return applied.status();
    version = *applied;
  }
  if (absl::Status status = options.Validate(); !status.ok()) return status;
  std::vector<PolicyWarning> warnings = options.Warnings();
  Directory* const directory = options.directory;
  const auto table = std::make_shared<const PolicyTable>(options);
  if (given == nullptr) given = PoliciesOf(table);
  std::shared_ptr<Registry> registry(
      new Registry(std::move(options), table, std::move(given)));

  registry->other_ = registry->MakeMethod(kOtherMethods, table);
  for (const auto& [name, policy] : table->policies().methods) {
    std::unique_ptr<Method> method = registry->MakeMethod(name, table);
    internal::MutexLock lock(registry->mutex_);
    registry->Add(std::move(method));
  }

  if (directory != nullptr) {
    registry->directory_ = directory->state_;
    registry->directory_->Enter(registry, &registry->channel_name_);
    for (const Method* method : registry->Methods()) {
      registry->NotifyAdded(*method);
    }
  }
  registry->NotifyWarnings(std::move(warnings));
  if (registry->policy_source_ != nullptr) {
    registry->policy_source_->Follow(registry, version);
  }
  return registry;
}

Registry::~Registry() {
  if (directory_ != nullptr) {
    directory_->Notify([this](DirectoryListener& listener) {
      listener.OnRegistryRemoved(*this);
    });
    directory_->Leave(channel_name_);
  }
  for (std::atomic<Node*>& bucket : buckets_) {
    Node* node = bucket.load(std::memory_order_acquire);
    while (node != nullptr) delete std::exchange(node, node->next);
  }
}

Method& Registry::FindOrCreate(absl::string_view name) {
  const size_t hash = HashOf(name);
  if (Method* found = Lookup(name, hash)) return *found;
  if (internal::FormOf(name) != internal::NameForm::kMethod) return Other();
  while (size_.load(std::memory_order_relaxed) < max_methods_) {
    // Made before the lock is taken; one of two racing threads throws its away.
    const Table table = this->table();
    std::unique_ptr<Method> made = MakeMethod(name, table);
    Method& method = *made;
    {
      internal::MutexLock lock(mutex_);
      if (Method* found = Lookup(name, hash)) return *found;
      if (table_ != table ||
          size_.load(std::memory_order_relaxed) >= max_methods_) {
        continue;
      }
      Add(std::move(made));
    }
    NotifyAdded(method);
    return method;
  }
  return Other();
}

const Method* Registry::Find(absl::string_view method) const {
  if (method == kOtherMethods) {
    return other_used_.load(std::memory_order_relaxed) ? other_.get() : nullptr;
  }
  return Lookup(method, HashOf(method));
}

bool Registry::Exempts(absl::string_view method) const {
  if (!absl::StartsWith(method, "/grpc.health.v1.Health/") &&
      !absl::StartsWith(method, "/grpc.reflection.")) {
    return false;
  }
  return !table()->Names(method);
}

std::vector<const Method*> Registry::Methods() const {
  internal::MutexLock lock(mutex_);
  return std::vector<const Method*>(by_name_.begin(), by_name_.end());
}

std::vector<const Method*> Registry::MethodsFrom(absl::string_view name,
                                                 size_t at_most) const {
  std::vector<const Method*> result;
  internal::MutexLock lock(mutex_);
  for (auto it = by_name_.lower_bound(name);
       it != by_name_.end() && result.size() < at_most; ++it) {
    result.push_back(*it);
  }
  return result;
}

absl::Status Registry::ReplacePolicies(Policies policies) {
  if (absl::Status status = policies.Validate(); !status.ok()) return status;
  std::vector<PolicyWarning> warnings = policies.Warnings();
  const auto table = std::make_shared<const PolicyTable>(std::move(policies));
  // Made before the lock is taken; those that come meanwhile go again.
  std::vector<std::unique_ptr<Method>> made;
  for (const auto& [name, policy] : table->policies().methods) {
    if (Find(name) == nullptr) made.push_back(MakeMethod(name, table));
  }
  std::vector<Method*> known;
  std::vector<const Method*> added;
  {
    internal::MutexLock lock(mutex_);
    known.assign(by_name_.begin(), by_name_.end());
    for (const auto& method : made) {
      if (!by_name_.contains(method->name())) added.push_back(method.get());
    }
    const size_t size = size_.load(std::memory_order_relaxed) + added.size();
    if (size > max_methods_) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "max_methods: must be at least ", size,
          ", those called so far and those named, got ", max_methods_));
    }
    table_ = table;
    for (auto& method : made) {
      if (!by_name_.contains(method->name())) Add(std::move(method));
    }
  }
  for (Method* method : known) method->FollowPolicies();
  other_->FollowPolicies();
  for (const Method* method : added) NotifyAdded(*method);
  NotifyWarnings(std::move(warnings));
  return absl::OkStatus();
}

std::unique_ptr<Method> Registry::MakeMethod(absl::string_view name,
                                             const Table& table) {
  std::unique_ptr<Method> method(
      new Method(*this, name, PolicyFor(table, name), retry_budget_.get()));
  // Cannot fail: the options are valid, as the table is.
  method->breaker_ =
      *CircuitBreaker::Create(std::string(name), method->policy()->breaker,
                              environment_, &method->events_);
  return method;
}

Registry::Table Registry::table() const {
  internal::MutexLock lock(mutex_);
  return table_;
}

std::shared_ptr<const Policies> Registry::policies() const {
  return PoliciesOf(table());
}

Method* Registry::Lookup(absl::string_view name, size_t hash) const {
  const std::atomic<Node*>& bucket = buckets_[hash & (buckets_.size() - 1)];
  for (const Node* node = bucket.load(std::memory_order_acquire);
       node != nullptr; node = node->next) {
    if (node->hash == hash && node->method->name() == name) {
      return node->method.get();
    }
  }
  return nullptr;
}

void Registry::Add(std::unique_ptr<Method> method) {
  by_name_.insert(method.get());
  const size_t hash = HashOf(method->name());
  std::atomic<Node*>& bucket = buckets_[hash & (buckets_.size() - 1)];
  bucket.store(
      new Node{hash, std::move(method), bucket.load(std::memory_order_relaxed)},
      std::memory_order_release);
  size_.fetch_add(1, std::memory_order_relaxed);
}

Method& Registry::Other() {
  if (!other_used_.load(std::memory_order_relaxed) &&
      !other_used_.exchange(true, std::memory_order_relaxed)) {
    {
      internal::MutexLock lock(mutex_);
      by_name_.insert(other_.get());
    }
    NotifyAdded(*other_);
  }
  return *other_;
}

void Registry::NotifyAdded(const Method& method) {
  if (directory_ == nullptr) return;
  directory_->Notify([&](DirectoryListener& listener) {
    listener.OnMethodAdded(*this, method);
  });
}

void Registry::NotifyWarnings(std::vector<PolicyWarning> warnings) {
  for (PolicyWarning& warning : warnings) {
    warning.channel = channel_name_;
    warning.wall_time = environment_.WallNow();
    for (const auto& listener : listeners_) {
      internal::CallUserCode([&] { listener->OnPolicyWarning(warning); });
    }
  }
}

void Registry::NotifyReload(PolicyReload reload) {
  reload.channel = channel_name_;
  reload.wall_time = environment_.WallNow();
  for (const auto& listener : listeners_) {
    internal::CallUserCode([&] { listener->OnPolicyReload(reload); });
  }
}

}  // namespace grpc_breaker
