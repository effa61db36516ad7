#ifndef GRPC_BREAKER_DIRECTORY_H_
#define GRPC_BREAKER_DIRECTORY_H_

// A Directory lists the registries of a process, one per channel, for the admin
// service.
//
// Lifetime: it holds its registries weakly, and need not outlive them.
//
// Thread-safe. No lock is held while a listener runs.

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/strings/string_view.h"
#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker {

class Method;
class Registry;

namespace internal {
class DirectoryState;
}  // namespace internal

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

  const std::shared_ptr<internal::DirectoryState> state_;
};

class GRPC_BREAKER_EXPORT Directory::Subscription {
 public:
  virtual ~Subscription() = default;
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_DIRECTORY_H_
