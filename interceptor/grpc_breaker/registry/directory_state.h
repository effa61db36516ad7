#ifndef GRPC_BREAKER_REGISTRY_DIRECTORY_STATE_H_
#define GRPC_BREAKER_REGISTRY_DIRECTORY_STATE_H_

// What a directory, its registries and its subscriptions share, so that they
// may be destroyed in any order. No step but Registries() takes time in
// proportion to the number of registries.
//
// Thread-safe. No lock is held while a listener runs.

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/directory.h"

namespace grpc_breaker::internal {

class DirectoryState : public std::enable_shared_from_this<DirectoryState> {
 public:
  using Event = absl::FunctionRef<void(DirectoryListener&)>;
  using Registries = std::vector<std::shared_ptr<Registry>>;

  // Enters the registry, and makes its name unique before others see it.
  void Enter(const std::shared_ptr<Registry>& registry, std::string* name);
  void Leave(const std::string& name);

  // False if a listener threw.
  bool Notify(Event event);

  // As in Directory.
  Registries All() const;
  Registries From(absl::string_view name, size_t at_most) const;
  std::unique_ptr<Directory::Subscription> Subscribe(
      DirectoryListener& listener);

 private:
  class Subscriber;
  class Handle;

  // An entry lasts until the end of its registry's destructor, so that a name
  // is not given out again before.
  struct Entry {
    std::weak_ptr<Registry> registry;
    uint64_t sequence;   // In order of creation.
    std::string wanted;  // The name without the number.
    int number;          // Of the name; 1 if there is none in it.
  };
  // The numbers from 2 on that are in use behind one wanted name.
  struct Numbers {
    int in_use = 0;
    int next = 2;        // This one and those above it were never given out.
    std::set<int> free;  // Those below it that were given back.
  };

  mutable absl::Mutex mutex_;
  absl::btree_map<std::string, Entry> registries_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Numbers> numbers_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::shared_ptr<Subscriber>> subscribers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_REGISTRY_DIRECTORY_STATE_H_
