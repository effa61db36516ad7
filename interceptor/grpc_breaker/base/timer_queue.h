#ifndef GRPC_BREAKER_BASE_TIMER_QUEUE_H_
#define GRPC_BREAKER_BASE_TIMER_QUEUE_H_

// The pending timers of an Environment, earliest first, and first come first
// served among equals.
//
// A heap alone cannot forget: a cancelled attempt time-out of a minute would
// stay, with all that its function holds, until it is due. So the functions lie
// in a hash map, and a heap entry without a function is stale; when the stale
// ones are the majority the heap is rebuilt.
//
// Thread-compatible. No method runs or destroys a timer's function, since its
// owner holds a lock; functions are handed out instead.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "grpc_breaker/environment.h"

namespace grpc_breaker::internal {

class TimerQueue {
 public:
  using Function = absl::AnyInvocable<void() &&>;

  Environment::TimerId Add(MonotonicTime when, Function function) {
    const Environment::TimerId id = ++last_id_;
    functions_.emplace(id, std::move(function));
    heap_.push_back({when, id});
    std::push_heap(heap_.begin(), heap_.end(), Later);
    return id;
  }

  // The function that now will not run, or nothing if `id` is not pending.
  std::optional<Function> Remove(Environment::TimerId id) {
    std::optional<Function> function = Take(id);
    if (heap_.size() > 2 * functions_.size() + kStaleAllowance) {
      heap_.erase(std::remove_if(heap_.begin(), heap_.end(),
                                 [this](const Entry& entry) {
                                   return !functions_.contains(entry.id);
                                 }),
                  heap_.end());
      std::make_heap(heap_.begin(), heap_.end(), Later);
    }
    return function;
  }

  // When the earliest timer is due, or nothing if there is none.
  std::optional<MonotonicTime> NextDue() {
    while (!heap_.empty() && !functions_.contains(heap_.front().id)) {
      PopFront();
    }
    if (heap_.empty()) return std::nullopt;
    return heap_.front().when;
  }

  // Takes out the earliest timer, only if NextDue() has a value.
  Function PopNext() {
    Function function = *Take(heap_.front().id);
    PopFront();
    return function;
  }

  size_t size() const { return functions_.size(); }

 private:
  struct Entry {
    MonotonicTime when;
    Environment::TimerId id;
  };

  static constexpr size_t kStaleAllowance = 64;

  static bool Later(const Entry& a, const Entry& b) {
    return a.when != b.when ? a.when > b.when : a.id > b.id;
  }

  std::optional<Function> Take(Environment::TimerId id) {
    auto found = functions_.find(id);
    if (found == functions_.end()) return std::nullopt;
    std::optional<Function> function(std::move(found->second));
    functions_.erase(found);
    return function;
  }

  void PopFront() {
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    heap_.pop_back();
  }

  std::vector<Entry> heap_;
  absl::flat_hash_map<Environment::TimerId, Function> functions_;
  Environment::TimerId last_id_ = Environment::kNoTimer;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BASE_TIMER_QUEUE_H_
