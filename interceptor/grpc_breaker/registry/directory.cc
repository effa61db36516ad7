#include "grpc_breaker/directory.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc_breaker/base/rundown.h"
#include "grpc_breaker/base/user_code.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/registry/directory_state.h"

namespace grpc_breaker::internal {

// One Subscribe(), as long as its handle or a notification uses it.
class DirectoryState::Subscriber {
 public:
  explicit Subscriber(DirectoryListener& listener) : listener_(listener) {}

  // False if the listener threw.
  bool Notify(Event event) {
    const Rundown::Use use(rundown_);
    return !use.allowed() || CallUserCode([&] { event(listener_); });
  }

  // Waits until no other thread is telling.
  void Stop() { rundown_.End(); }

 private:
  DirectoryListener& listener_;
  Rundown rundown_;  // Of the listener.
};

class DirectoryState::Handle final : public Directory::Subscription {
 public:
  Handle(std::shared_ptr<DirectoryState> state,
         std::shared_ptr<Subscriber> subscriber)
      : state_(std::move(state)), subscriber_(std::move(subscriber)) {}
  ~Handle() override {
    {
      MutexLock lock(state_->mutex_);
      auto& all = state_->subscribers_;
      all.erase(std::remove(all.begin(), all.end(), subscriber_), all.end());
    }
    subscriber_->Stop();
  }

 private:
  const std::shared_ptr<DirectoryState> state_;
  const std::shared_ptr<Subscriber> subscriber_;
};

void DirectoryState::Enter(const std::shared_ptr<Registry>& registry,
                           std::string* name) {
  MutexLock lock(mutex_);
  Entry entry{registry, ++last_sequence_, *name, 1};
  if (registries_.contains(*name)) {
    Numbers& used = numbers_[entry.wanted];
    ++used.in_use;
    // Somebody may have asked for a name that ends in such a number.
    do {
      entry.number = used.free.empty()
                         ? used.next++
                         : used.free.extract(used.free.begin()).value();
      *name = absl::StrCat(entry.wanted, "#", entry.number);
    } while (registries_.contains(*name));
  }
  registries_.emplace(*name, std::move(entry));
}

void DirectoryState::Leave(const std::string& name) {
  MutexLock lock(mutex_);
  const auto entry = registries_.find(name);
  if (entry->second.number > 1) {
    const auto used = numbers_.find(entry->second.wanted);
    used->second.free.insert(entry->second.number);
    if (--used->second.in_use == 0) numbers_.erase(used);
  }
  registries_.erase(entry);
}

bool DirectoryState::Notify(Event event) {
  std::vector<std::shared_ptr<Subscriber>> copy;
  {
    MutexLock lock(mutex_);
    copy = subscribers_;
  }
  bool well = true;
  for (const auto& subscriber : copy) well = subscriber->Notify(event) && well;
  return well;
}

DirectoryState::Registries DirectoryState::All() const {
  std::vector<std::pair<uint64_t, std::shared_ptr<Registry>>> living;
  {
    MutexLock lock(mutex_);
    for (const auto& [name, entry] : registries_) {
      if (auto registry = entry.registry.lock()) {
        living.emplace_back(entry.sequence, std::move(registry));
      }
    }
  }
  std::sort(living.begin(), living.end());
  Registries result;
  for (auto& [sequence, registry] : living) {
    result.push_back(std::move(registry));
  }
  return result;
}

DirectoryState::Registries DirectoryState::From(absl::string_view name,
                                                size_t at_most) const {
  Registries result;
  MutexLock lock(mutex_);
  for (auto it = registries_.lower_bound(name);
       it != registries_.end() && result.size() < at_most; ++it) {
    if (auto registry = it->second.registry.lock()) {
      result.push_back(std::move(registry));
    }
  }
  return result;
}

std::unique_ptr<Directory::Subscription> DirectoryState::Subscribe(
    DirectoryListener& listener) {
  auto subscriber = std::make_shared<Subscriber>(listener);
  {
    MutexLock lock(mutex_);
    subscribers_.push_back(subscriber);
  }
  return std::make_unique<Handle>(shared_from_this(), std::move(subscriber));
}

}  // namespace grpc_breaker::internal

namespace grpc_breaker {

Directory::Directory() : state_(std::make_shared<internal::DirectoryState>()) {}
Directory::~Directory() = default;

Directory& Directory::Default() {
  static Directory* const directory = new Directory;
  return *directory;
}

std::vector<std::shared_ptr<Registry>> Directory::Registries() const {
  return state_->All();
}

std::vector<std::shared_ptr<Registry>> Directory::RegistriesFrom(
    absl::string_view name, size_t at_most) const {
  return state_->From(name, at_most);
}

std::unique_ptr<Directory::Subscription> Directory::Subscribe(
    DirectoryListener& listener) {
  return state_->Subscribe(listener);
}

}  // namespace grpc_breaker
