#include "grpc_breaker/internal/breaker_watch.h"

#include <algorithm>
#include <utility>

#include "grpc_breaker/internal/breaker_message.h"
#include "grpc_breaker/internal/utf8.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker {
namespace internal {

BreakerWatch* BreakerWatch::Start(Directory& directory, BreakerFilter filter) {
  auto* watch = new BreakerWatch(std::move(filter));
  watch->subscription_ = directory.Subscribe(*watch);
  watch->EnqueueSnapshot(directory);
  watch->StartNext();
  return watch;
}

void BreakerWatch::OnWriteDone(bool ok) {
  if (!ok) {
    absl::MutexLock lock(&mutex_);
    cancelled_ = true;
  }
  StartNext();
}

void BreakerWatch::OnCancel() {
  {
    absl::MutexLock lock(&mutex_);
    cancelled_ = true;
    if (!Claim()) return;
  }
  StartNext();
}

void BreakerWatch::OnDone() {
  subscription_.reset();  // Waits for events that are being told.
  delete this;
}

void BreakerWatch::OnMethodAdded(const Registry& registry,
                                 const Method& method) {
  if (!Matches(registry, method)) return;
  {
    absl::MutexLock lock(&mutex_);
    Entry& entry =
        Enqueue({registry.channel_name(), method.name()}, Response::KIND_ADDED);
    entry.registry = registry.weak_from_this();
    entry.method = &method;
    if (!Claim()) return;
  }
  StartNext();
}

void BreakerWatch::OnTransition(const Registry& registry, const Method& method,
                                const BreakerTransition& transition) {
  if (!Matches(registry, method)) return;
  {
    absl::MutexLock lock(&mutex_);
    Entry& entry = Enqueue({registry.channel_name(), method.name()},
                           Response::KIND_CHANGED);
    entry.registry = registry.weak_from_this();
    entry.method = &method;
    entry.cause = transition.cause;
    entry.was_in_filter = entry.was_in_filter ||
                          filter_.MatchesState(ToMessage(transition.from)) ||
                          filter_.MatchesState(ToMessage(transition.to));
    if (!Claim()) return;
  }
  StartNext();
}

void BreakerWatch::OnRegistryRemoved(const Registry& registry) {
  const std::string& channel = registry.channel_name();
  if (!filter_.MatchesChannel(channel)) return;
  {
    absl::MutexLock lock(&mutex_);
    // The caller hears of the end of what it has heard of only.
    bool known = false;
    auto it = entries_.lower_bound({channel, ""});
    while (it != entries_.end() && it->first.first == channel) {
      known = known || it->second.written || it->first.second.empty();
      queue_.erase(it->second.ticket);
      it = entries_.erase(it);
    }
    if (known) Enqueue({channel, ""}, Response::KIND_REMOVED);
    if (!Claim()) return;
  }
  StartNext();
}

void BreakerWatch::EnqueueSnapshot(const Directory& directory) {
  const std::vector<std::shared_ptr<Registry>> registries =
      directory.Registries();
  std::map<Key, Entry> snapshot;
  for (const auto& registry : registries) {
    for (const Method* method : registry->Methods()) {
      if (!Matches(*registry, *method)) continue;
      Entry& entry = snapshot[{registry->channel_name(), method->name()}];
      entry.registry = registry;
      entry.method = method;
    }
  }

  absl::MutexLock lock(&mutex_);
  // What came since the subscription is part of the snapshot, or comes after.
  const std::map<Key, Entry> later = std::exchange(entries_, {});
  queue_.clear();
  for (const auto& [key, entry] : snapshot) {
    Entry& enqueued = Enqueue(key, Response::KIND_SNAPSHOT);
    enqueued.registry = entry.registry;
    enqueued.method = entry.method;
  }
  Enqueue(Key(), Response::KIND_SNAPSHOT_END);
  for (const auto& [key, entry] : later) {
    if (snapshot.count(key) > 0) continue;
    Entry& enqueued = Enqueue(key, entry.kind);
    const uint64_t ticket = enqueued.ticket;
    enqueued = entry;
    enqueued.ticket = ticket;
  }
}

BreakerWatch::Entry& BreakerWatch::Enqueue(const Key& key,
                                           Response::Kind kind) {
  Entry& entry = entries_[key];
  if (entry.ticket == 0) {
    entry.ticket = ++last_ticket_;
    entry.kind = kind;
    queue_.emplace(entry.ticket, key);
  } else {
    // A change of what was not yet announced is part of the announcement.
    entry.kind = std::min(entry.kind, kind);
  }
  return entry;
}

bool BreakerWatch::Claim() {
  if (claimed_ || (queue_.empty() && !cancelled_)) return false;
  claimed_ = true;
  return true;
}

void BreakerWatch::StartNext() {
  Key key;
  Entry entry;
  do {
    bool finish = false;
    {
      absl::MutexLock lock(&mutex_);
      finish = cancelled_;
      if (!finish && !Dequeue(&key, &entry)) {
        claimed_ = false;
        return;
      }
    }
    if (finish) {
      Finish(grpc::Status::CANCELLED);
      return;
    }
  } while (!Fill(key, entry));
  StartWrite(&response_);
}

bool BreakerWatch::Dequeue(Key* key, Entry* entry) {
  if (queue_.empty()) return false;
  const auto first = queue_.begin();
  const auto it = entries_.find(first->second);
  *key = it->first;
  *entry = it->second;
  if (key->second.empty()) {
    entries_.erase(it);
  } else {
    it->second.ticket = 0;
    it->second.cause.clear();
    it->second.was_in_filter = false;
  }
  queue_.erase(first);
  return true;
}

bool BreakerWatch::Fill(const Key& key, const Entry& entry) {
  const auto& [channel, method] = key;
  response_.Clear();
  response_.set_kind(entry.kind);
  if (method.empty()) {
    if (!channel.empty()) response_.mutable_breaker()->set_channel(channel);
    return true;
  }

  // Perhaps the last reference: let go of below, when no lock is held.
  const std::shared_ptr<const Registry> registry = entry.registry.lock();
  if (registry == nullptr) return false;
  const admin::v1::Breaker& breaker = *response_.mutable_breaker() =
      ToMessage(*registry, *entry.method);
  if (entry.kind == Response::KIND_CHANGED) {
    response_.set_cause(ToUtf8(entry.cause));
  }
  if (!entry.was_in_filter && !filter_.MatchesState(breaker.state())) {
    return false;
  }

  absl::MutexLock lock(&mutex_);
  const auto it = entries_.find(key);
  if (it == entries_.end()) return false;
  Entry& current = it->second;
  // The last write may have been late enough to show this change already.
  if (current.written && breaker.transitions() <= current.written_transitions) {
    return false;
  }
  current.written = true;
  current.written_transitions = breaker.transitions();
  return true;
}

bool BreakerWatch::Matches(const Registry& registry,
                           const Method& method) const {
  return filter_.MatchesChannel(registry.channel_name()) &&
         filter_.MatchesMethod(method.name());
}

}  // namespace internal
}  // namespace grpc_breaker
