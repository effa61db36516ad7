#ifndef GRPC_BREAKER_ADMIN_WATCH_HUB_H_
#define GRPC_BREAKER_ADMIN_WATCH_HUB_H_

// Passes what happens in a directory on to any number of watchers, on a thread
// of the environment's: whoever causes a change only notes it here, which takes
// the same time however many are watching.
//
// What happens faster than it is passed on is merged, so that there is at most
// one change per breaker, and one per channel that is gone, in the order of the
// first of each.
//
// Lifetime: the directory outlives it; watchers are removed before they end.
//
// Thread-safe. No lock is held while a watcher, the directory or the
// environment is called.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/admin/breaker_filter.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/registry.h"

namespace grpc_breaker::internal {

// What happened to one breaker.
struct BreakerChange {
  BreakerName name;  // Without a method: the channel is gone.
  std::weak_ptr<const Registry> registry;  // Unset: the channel is gone.
  const Method* method = nullptr;          // Lives as long as the registry.
  bool added = false;                      // It was not there before.
  std::string cause;                       // Of the last transition, if any.
  std::set<BreakerState> states;  // That it was in, and left or entered.
};

class WatchHub : public std::enable_shared_from_this<WatchHub>,
                 private DirectoryListener {
 public:
  class Watcher {
   public:
    virtual ~Watcher() = default;
    // One call at a time. May remove the watcher, and destroy it.
    virtual void OnChanges(const std::vector<BreakerChange>& changes) = 0;
  };

  static std::shared_ptr<WatchHub> Create(
      Directory& directory, Environment& environment,
      size_t most_watchers = std::numeric_limits<size_t>::max());

  Directory& directory() const { return directory_; }

  // Tells the watcher every change from now on; those of shortly before may be
  // among them. False if there are as many as there may be.
  bool Add(Watcher& watcher);
  size_t most_watchers() const { return most_watchers_; }
  // Afterwards no function of the watcher is running on another thread or will
  // run again.
  void Remove(Watcher& watcher);

 private:
  WatchHub(Directory& directory, Environment& environment, size_t most_watchers)
      : directory_(directory),
        environment_(environment),
        most_watchers_(most_watchers) {}

  void OnMethodAdded(const Registry& registry, const Method& method) override;
  void OnTransition(const Registry& registry, const Method& method,
                    const BreakerTransition& transition) override;
  void OnRegistryRemoved(const Registry& registry) override;

  // Lets `update` change what is noted for the breaker.
  void Note(BreakerName name, absl::FunctionRef<void(BreakerChange&)> update);
  // Passes on what is noted, until there is nothing more.
  void Pump();
  std::vector<BreakerChange> TakeNoted() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Directory& directory_;
  Environment& environment_;
  const size_t most_watchers_;

  absl::Mutex mutex_;
  std::set<Watcher*> watchers_ ABSL_GUARDED_BY(mutex_);
  // By the order in which they came, and where each breaker is in it.
  std::map<uint64_t, BreakerChange> noted_ ABSL_GUARDED_BY(mutex_);
  std::map<BreakerName, uint64_t> places_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_place_ ABSL_GUARDED_BY(mutex_) = 0;
  bool pumping_ ABSL_GUARDED_BY(mutex_) = false;
  // Who is being told, and on which thread.
  Watcher* told_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::thread::id teller_ ABSL_GUARDED_BY(mutex_);

  // Ends first: its functions use all of the above.
  std::unique_ptr<Directory::Subscription> subscription_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_ADMIN_WATCH_HUB_H_
