#include "grpc_breaker/registry.h"

#include <algorithm>
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

// For one method: nobody needs more, and each is asked again and again.
constexpr size_t kMostUpdates = 100;

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
      base_policies_(PoliciesOf(table)),
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

// Leaves the timers of updates, which do nothing then: the environment may be
// gone.
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

void Registry::ForEachMethod(
    absl::FunctionRef<void(const Method&)> visit) const {
  for (const std::atomic<Node*>& bucket : buckets_) {
    for (const Node* node = bucket.load(std::memory_order_acquire);
         node != nullptr; node = node->next) {
      visit(*node->method);
    }
  }
  if (other_used_.load(std::memory_order_acquire)) visit(*other_);
}

absl::Status Registry::CheckPolicies(const Policies& policies) const {
  if (absl::Status status = policies.Validate(); !status.ok()) return status;
  internal::MutexLock lock(update_mutex_);
  const absl::StatusOr<Policies> updated = Updated(policies);
  if (!updated.ok()) return updated.status();
  size_t added = 0;
  for (const auto& [name, policy] : updated->methods) {
    if (Find(name) == nullptr) ++added;
  }
  return CheckRoomFor(added);
}

absl::Status Registry::ReplacePolicies(Policies policies) {
  if (absl::Status status = policies.Validate(); !status.ok()) return status;
  // Of these alone: who updates a method sees what comes of it.
  std::vector<PolicyWarning> warnings = policies.Warnings();
  auto base = std::make_shared<const Policies>(std::move(policies));
  Installed installed;
  {
    internal::MutexLock lock(update_mutex_);
    absl::StatusOr<Policies> updated = Updated(*base);
    if (!updated.ok()) return updated.status();
    absl::StatusOr<Installed> now = Install(*std::move(updated));
    if (!now.ok()) return now.status();
    base_policies_ = std::move(base);
    installed = *std::move(now);
  }
  Announce(installed);
  NotifyWarnings(std::move(warnings));
  return absl::OkStatus();
}

absl::StatusOr<UpdatedPolicy> Registry::UpdatePolicy(
    const std::string& method, const PolicyUpdate& update) {
  const Method* const found = Find(method);
  if (found == nullptr || found == other_.get()) {
    return absl::NotFoundError(absl::StrCat(
        "method: there is none with a policy of its own called ", method));
  }
  UpdatedPolicy result;
  Installed installed;
  std::vector<HeldUpdate> reverted;
  uint64_t id = 0;
  {
    internal::MutexLock lock(update_mutex_);
    Updates updates = updates_;
    std::vector<HeldUpdate>& of_method = updates[method];
    if (update.revert) reverted = std::exchange(of_method, {});
    if (update.change != nullptr) {
      if (of_method.size() >= kMostUpdates) {
        return absl::ResourceExhaustedError(
            absl::StrCat("policy: ", method, " has ", kMostUpdates,
                         " updates already; take them back first"));
      }
      id = last_update_ + 1;
      of_method.push_back({id, update.change});
    }
    if (of_method.empty()) updates.erase(method);
    absl::StatusOr<Policies> updated = WithUpdates(*base_policies_, updates);
    if (!updated.ok()) return updated.status();
    result.before = found->policy();
    result.after = std::make_shared<const Policy>(updated->PolicyFor(method));
    if (update.dry_run) return result;
    absl::StatusOr<Installed> now = Install(*std::move(updated));
    if (!now.ok()) return now.status();
    updates_ = std::move(updates);
    ++last_update_;
    installed = *std::move(now);
  }
  for (const HeldUpdate& taken_back : reverted) {
    environment_.Cancel(taken_back.timer);
  }
  if (id != 0) EndUpdateLater(method, id, update.time_to_live);
  Announce(installed);
  return result;
}

size_t Registry::policy_updates(const std::string& method) const {
  internal::MutexLock lock(update_mutex_);
  const auto found = updates_.find(method);
  return found == updates_.end() ? 0 : found->second.size();
}

absl::StatusOr<Policies> Registry::WithUpdates(const Policies& base,
                                               const Updates& updates,
                                               std::string* at_fault) {
  Policies policies = base;
  for (const auto& [method, of_method] : updates) {
    Policy policy = base.PolicyFor(method);
    for (const HeldUpdate& update : of_method) {
      if (absl::Status status = update.change(&policy); !status.ok()) {
        if (at_fault != nullptr) *at_fault = method;
        return status;
      }
    }
    policies.methods[method] = std::move(policy);
  }
  if (absl::Status status = policies.Validate(); !status.ok()) return status;
  return policies;
}

absl::StatusOr<Policies> Registry::Updated(const Policies& base) const {
  std::string at_fault;
  absl::StatusOr<Policies> updated = WithUpdates(base, updates_, &at_fault);
  if (updated.ok() || at_fault.empty()) return updated;
  return absl::Status(
      updated.status().code(),
      absl::StrCat("with the update of ", at_fault,
                   " that is in force: ", updated.status().message()));
}

std::vector<Registry::HeldUpdate> Registry::DropInvalidUpdates(
    const std::string& method) {
  std::vector<HeldUpdate> dropped;
  const std::vector<HeldUpdate> had =
      std::exchange(updates_[method], std::vector<HeldUpdate>());
  for (const HeldUpdate& update : had) {
    updates_[method].push_back(update);
    if (WithUpdates(*base_policies_, updates_).ok()) continue;
    updates_[method].pop_back();
    dropped.push_back(update);
  }
  if (updates_[method].empty()) updates_.erase(method);
  return dropped;
}

void Registry::EndUpdateLater(const std::string& method, uint64_t id,
                              absl::Duration time_to_live) {
  if (time_to_live == absl::InfiniteDuration()) return;
  const Environment::TimerId timer =
      environment_.RunAt(TimeAfter(environment_.Now(), time_to_live),
                         [weak = weak_from_this(), method, id] {
                           if (const auto self = weak.lock())
                             self->EndUpdate(method, id);
                         });
  {
    internal::MutexLock lock(update_mutex_);
    if (const auto found = updates_.find(method); found != updates_.end()) {
      for (HeldUpdate& update : found->second) {
        if (update.id != id) continue;
        update.timer = timer;
        return;
      }
    }
  }
  // Somebody has taken it back already.
  environment_.Cancel(timer);
}

void Registry::EndUpdate(const std::string& method, uint64_t id) {
  Installed installed;
  std::vector<HeldUpdate> dropped;
  {
    internal::MutexLock lock(update_mutex_);
    const auto found = updates_.find(method);
    if (found == updates_.end()) return;
    std::vector<HeldUpdate>& of_method = found->second;
    const auto ended = std::find_if(
        of_method.begin(), of_method.end(),
        [id](const HeldUpdate& update) { return update.id == id; });
    if (ended == of_method.end()) return;
    of_method.erase(ended);
    if (of_method.empty()) updates_.erase(found);
    absl::StatusOr<Policies> updated = WithUpdates(*base_policies_, updates_);
    if (!updated.ok()) {
      // One that was made over it is not valid without it.
      dropped = DropInvalidUpdates(method);
      updated = WithUpdates(*base_policies_, updates_);
    }
    absl::StatusOr<Installed> now = Install(*std::move(updated));
    if (!now.ok()) return;
    installed = *std::move(now);
  }
  for (const HeldUpdate& update : dropped) environment_.Cancel(update.timer);
  Announce(installed);
  if (const Method* const found = Find(method)) {
    found->breaker().Note(dropped.empty()
                              ? "policy update expired"
                              : absl::StrCat("policy update expired, with ",
                                             dropped.size(), " that needed it"),
                          environment_.Now());
  }
}

absl::Status Registry::CheckRoomFor(size_t added) const {
  const size_t size = this->size() + added;
  if (size <= max_methods_) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "max_methods: must be at least ", size,
      ", those called so far and those named, got ", max_methods_));
}

absl::StatusOr<Registry::Installed> Registry::Install(Policies policies) {
  Installed installed;
  const auto table = std::make_shared<const PolicyTable>(std::move(policies));
  // Made before the lock is taken; those that come meanwhile go again.
  std::vector<std::unique_ptr<Method>> made;
  for (const auto& [name, policy] : table->policies().methods) {
    if (Find(name) == nullptr) made.push_back(MakeMethod(name, table));
  }
  internal::MutexLock lock(mutex_);
  installed.known.assign(by_name_.begin(), by_name_.end());
  for (const auto& method : made) {
    if (!by_name_.contains(method->name())) {
      installed.added.push_back(method.get());
    }
  }
  if (absl::Status status = CheckRoomFor(installed.added.size());
      !status.ok()) {
    return status;
  }
  table_ = table;
  for (auto& method : made) {
    if (!by_name_.contains(method->name())) Add(std::move(method));
  }
  return installed;
}

void Registry::Announce(const Installed& installed) {
  for (Method* method : installed.known) method->FollowPolicies();
  other_->FollowPolicies();
  for (const Method* method : installed.added) NotifyAdded(*method);
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
