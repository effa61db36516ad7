#ifndef GRPC_BREAKER_ADMIN_EVENT_LOG_H_
#define GRPC_BREAKER_ADMIN_EVENT_LOG_H_

// What has happened lately in a directory and its admin service, in the order
// in which it came to be known here: so many events of each kind, so that a
// breaker that flaps, or somebody who is refused again and again, pushes out
// nothing of the other kinds.
//
// Lifetime: directory and environment outlive it.
//
// Thread-safe. No lock is held while the directory or the environment is
// called.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpc_breaker/admin/breaker_filter.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/directory.h"
#include "grpc_breaker/environment.h"

namespace grpc_breaker::internal {

class EventLog : private DirectoryListener {
 public:
  static constexpr size_t kTransitions = 1000;
  static constexpr size_t kAudits =
      200;  // Of those made, and of those refused.

  EventLog(Directory& directory, Environment& environment);

  void Add(BreakerAudit audit);

  // At most so many events, and what else a page has; those after the token's
  // place.
  admin::v1::ListEventsResponse List(const std::string& token,
                                     const BreakerFilter& filter,
                                     size_t at_most) const;

 private:
  struct Event {
    uint64_t number;  // From 1 on, without gaps.
    // When it was noted, and how old it was then.
    MonotonicTime noted;
    absl::Duration age;
    std::variant<BreakerTransition, BreakerAudit> what;
  };
  using Events = std::deque<std::shared_ptr<const Event>>;

  void OnTransition(const Registry& registry, const Method& method,
                    const BreakerTransition& transition) override;

  void Note(Events& events, size_t most, Event event)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Those after this number, in order.
  std::vector<std::shared_ptr<const Event>> After(uint64_t number) const;
  // Nothing if it is not one of ours.
  std::optional<uint64_t> Number(const std::string& token) const;
  static admin::v1::Event ToMessage(const Event& event, MonotonicTime now);

  Environment& environment_;
  // Tells tokens of this log from those of others, such as those of a process
  // that was here before.
  const uint64_t id_;

  mutable absl::Mutex mutex_;
  uint64_t last_number_ ABSL_GUARDED_BY(mutex_) = 0;
  Events transitions_ ABSL_GUARDED_BY(mutex_);
  Events made_ ABSL_GUARDED_BY(mutex_);
  Events refused_ ABSL_GUARDED_BY(mutex_);

  // Ends first: its functions use all of the above.
  const std::unique_ptr<Directory::Subscription> subscription_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_ADMIN_EVENT_LOG_H_
