#include "grpc_breaker/admin/breaker_watch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc_breaker/base/utf8.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker::internal {

void BreakerWatch::Start() {
  if (!hub_->Add(*this)) {
    Refuse(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                        absl::StrCat("the process has ", hub_->most_watchers(),
                                     " open watches, as many as it may have "
                                     "(AdminServiceOptions::max_watches)")));
    return;
  }
  EnqueueSnapshot();
  StartNext();
}

// The claim is held for good, so nothing else is started.
void BreakerWatch::Refuse(grpc::Status status) { Finish(std::move(status)); }

void BreakerWatch::OnWriteDone(bool ok) {
  if (!ok) {
    MutexLock lock(mutex_);
    cancelled_ = true;
  }
  StartNext();
}

void BreakerWatch::OnCancel() {
  {
    MutexLock lock(mutex_);
    cancelled_ = true;
    if (!Claim()) return;
  }
  StartNext();
}

void BreakerWatch::OnDone() {
  hub_->Remove(*this);  // Waits for changes that are being told.
  delete this;
}

void BreakerWatch::OnChanges(const std::vector<BreakerChange>& changes) {
  {
    MutexLock lock(mutex_);
    for (const BreakerChange& change : changes) {
      if (!filter_.MatchesChannel(change.name.channel)) continue;
      if (change.name.method.empty()) {
        EnqueueRemoval(change.name.channel);
      } else if (filter_.MatchesMethod(change.name.method)) {
        EnqueueChange(change);
      }
    }
    if (!Claim()) return;
  }
  StartNext();
}

void BreakerWatch::EnqueueChange(const BreakerChange& change) {
  Entry& entry = Enqueue(change.name, change.added ? Response::KIND_ADDED
                                                   : Response::KIND_CHANGED);
  entry.registry = change.registry;
  entry.method = change.method;
  if (!change.cause.empty()) entry.cause = change.cause;
  for (const BreakerState state : change.states) {
    entry.was_in_filter |= filter_.MatchesState(ToMessage(state));
  }
}

void BreakerWatch::EnqueueRemoval(const std::string& channel) {
  // The caller hears of the end of what it has heard of only.
  bool known = false;
  auto it = entries_.lower_bound({channel, ""});
  while (it != entries_.end() && it->first.channel == channel) {
    known = known || it->second.written || it->first.method.empty();
    queue_.erase(it->second.ticket);
    it = entries_.erase(it);
  }
  if (known) Enqueue({channel, ""}, Response::KIND_REMOVED);
}

void BreakerWatch::EnqueueSnapshot() {
  Entries snapshot;
  // Held, so that what is told of meanwhile as removed was another of its name.
  std::map<std::string, std::shared_ptr<const Registry>> registries;
  VisitBreakers(
      hub_->directory(), filter_, BreakerName(),
      [&](const std::shared_ptr<Registry>& registry, const Method& method) {
        registries.emplace(registry->channel_name(), registry);
        Entry entry;
        entry.registry = registry;
        entry.method = &method;
        snapshot.emplace_hint(
            snapshot.end(),
            BreakerName{registry->channel_name(), method.name()},
            std::move(entry));
        return true;
      });

  MutexLock lock(mutex_);
  // What was told of already is part of the snapshot, or comes after it.
  const Entries later = std::exchange(entries_, {});
  queue_.clear();
  entries_ = std::move(snapshot);
  for (auto& [name, entry] : entries_) {
    entry.ticket = ++last_ticket_;
    entry.kind = Response::KIND_SNAPSHOT;
    queue_.emplace_hint(queue_.end(), entry.ticket, name);
  }
  Enqueue(BreakerName(), Response::KIND_SNAPSHOT_END);
  for (const auto& [name, entry] : later) {
    const bool is_removal = name.method.empty();
    if (is_removal ? registries.count(name.channel) > 0
                   : entries_.count(name) > 0) {
      continue;
    }
    Entry& enqueued = Enqueue(name, entry.kind);
    const uint64_t ticket = enqueued.ticket;
    enqueued = entry;
    enqueued.ticket = ticket;
  }
}

BreakerWatch::Entry& BreakerWatch::Enqueue(const BreakerName& name,
                                           Response::Kind kind) {
  Entry& entry = entries_[name];
  if (entry.ticket == 0) {
    entry.ticket = ++last_ticket_;
    entry.kind = kind;
    queue_.emplace(entry.ticket, name);
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
  BreakerName name;
  Entry entry;
  do {
    bool finish = false;
    {
      MutexLock lock(mutex_);
      finish = cancelled_;
      if (!finish && !Dequeue(&name, &entry)) {
        claimed_ = false;
        return;
      }
    }
    if (finish) {
      Finish(grpc::Status::CANCELLED);
      return;
    }
  } while (!Fill(name, entry));
  StartWrite(&response_);
}

bool BreakerWatch::Dequeue(BreakerName* name, Entry* entry) {
  if (queue_.empty()) return false;
  const auto first = queue_.begin();
  const auto it = entries_.find(first->second);
  *name = it->first;
  *entry = it->second;
  if (name->method.empty()) {
    entries_.erase(it);
  } else {
    it->second.ticket = 0;
    it->second.cause.clear();
    it->second.was_in_filter = false;
  }
  queue_.erase(first);
  return true;
}

bool BreakerWatch::Fill(const BreakerName& name, const Entry& entry) {
  response_.Clear();
  response_.set_kind(entry.kind);
  if (name.method.empty()) {
    if (!name.channel.empty()) {
      response_.mutable_breaker()->set_channel(name.channel);
    }
    return true;
  }

  // Perhaps the last reference: let go of below, when no lock is held.
  const std::shared_ptr<const Registry> registry = entry.registry.lock();
  if (registry == nullptr) return false;
  const MonotonicTime now = registry->environment().Now();
  const BreakerSnapshot snapshot = entry.method->breaker().Snapshot(now);
  if (!entry.was_in_filter &&
      !filter_.MatchesState(ToMessage(snapshot.state))) {
    return false;
  }
  {
    MutexLock lock(mutex_);
    const auto it = entries_.find(name);
    if (it == entries_.end()) return false;
    Entry& current = it->second;
    // The last write may have been late enough to show this change already.
    if (current.written &&
        snapshot.transitions <= current.written_transitions) {
      return false;
    }
    current.written = true;
    current.written_transitions = snapshot.transitions;
  }
  *response_.mutable_breaker() =
      ToMessage(*registry, *entry.method, snapshot, now, error_messages_);
  if (entry.kind == Response::KIND_SNAPSHOT) {
    AddPolicy(*registry, *entry.method, response_.mutable_breaker());
  } else if (entry.kind == Response::KIND_CHANGED) {
    response_.set_cause(ToUtf8(entry.cause));
  }
  return true;
}

}  // namespace grpc_breaker::internal
