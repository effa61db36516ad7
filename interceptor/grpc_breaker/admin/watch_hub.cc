#include "grpc_breaker/admin/watch_hub.h"
#include "grpc_breaker/mutex_lock.h"

#include <utility>

namespace grpc_breaker::internal {

std::shared_ptr<WatchHub> WatchHub::Create(Directory& directory,
                                           Environment& environment,
                                           size_t most_watchers) {
  std::shared_ptr<WatchHub> hub(
      new WatchHub(directory, environment, most_watchers));
  hub->subscription_ = directory.Subscribe(*hub);
  return hub;
}

bool WatchHub::Add(Watcher& watcher) {
  MutexLock lock(mutex_);
  if (watchers_.size() >= most_watchers_) return false;
  watchers_.insert(&watcher);
  return true;
}

void WatchHub::Remove(Watcher& watcher) {
  MutexLock lock(mutex_);
  watchers_.erase(&watcher);
  // If this thread is telling it, that cannot end before we return.
  const auto idle = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return told_ != &watcher || teller_ == std::this_thread::get_id();
  };
  mutex_.Await(absl::Condition(&idle));
}

void WatchHub::OnMethodAdded(const Registry& registry, const Method& method) {
  Note({registry.channel_name(), method.name()}, [&](BreakerChange& change) {
    change.registry = registry.weak_from_this();
    change.method = &method;
    change.added = true;
  });
}

void WatchHub::OnTransition(const Registry& registry, const Method& method,
                            const BreakerTransition& transition) {
  Note({registry.channel_name(), method.name()}, [&](BreakerChange& change) {
    change.registry = registry.weak_from_this();
    change.method = &method;
    change.cause = transition.cause;
    change.states.insert({transition.from, transition.to});
  });
}

void WatchHub::OnRegistryRemoved(const Registry& registry) {
  Note({registry.channel_name(), ""}, [](BreakerChange&) {});
}

void WatchHub::Note(BreakerName name,
                    absl::FunctionRef<void(BreakerChange&)> update) {
  {
    MutexLock lock(mutex_);
    if (watchers_.empty()) return;
    if (name.method.empty()) {
      // What was noted for the breakers of a channel that is gone is not needed
      // any more, nor is that one of its name had gone before.
      auto it = places_.lower_bound(name);
      while (it != places_.end() && it->first.channel == name.channel) {
        noted_.erase(it->second);
        it = places_.erase(it);
      }
    }
    uint64_t& place = places_[name];
    if (place == 0) {
      place = ++last_place_;
      noted_[place].name = std::move(name);
    }
    update(noted_[place]);
    if (pumping_) return;
    pumping_ = true;
  }
  // Null if the last watcher has just gone, and the hub with it.
  std::shared_ptr<WatchHub> self = weak_from_this().lock();
  if (self == nullptr) return;
  Environment& environment = environment_;
  environment.Run([self = std::move(self)] { self->Pump(); });
}

void WatchHub::Pump() {
  for (;;) {
    std::vector<BreakerChange> changes;
    std::set<Watcher*> watchers;
    {
      MutexLock lock(mutex_);
      changes = TakeNoted();
      watchers = watchers_;
      if (changes.empty() || watchers.empty()) {
        pumping_ = false;
        return;
      }
    }
    for (Watcher* watcher : watchers) {
      {
        MutexLock lock(mutex_);
        if (watchers_.count(watcher) == 0) continue;
        told_ = watcher;
        teller_ = std::this_thread::get_id();
      }
      watcher->OnChanges(changes);
      MutexLock lock(mutex_);
      told_ = nullptr;
    }
  }
}

std::vector<BreakerChange> WatchHub::TakeNoted() {
  std::vector<BreakerChange> changes;
  for (auto& [place, change] : noted_) changes.push_back(std::move(change));
  noted_.clear();
  places_.clear();
  return changes;
}

}  // namespace grpc_breaker::internal
