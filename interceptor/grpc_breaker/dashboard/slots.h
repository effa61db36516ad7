#ifndef GRPC_BREAKER_DASHBOARD_SLOTS_H_
#define GRPC_BREAKER_DASHBOARD_SLOTS_H_

// At most so many requests at once that wait for something, so that they leave
// threads to the others.
//
// Thread-safe; a Slot is Thread-compatible.

#include <atomic>

namespace grpc_breaker::internal {

class Slots {
 public:
  explicit Slots(int count) : free_(count) {}

  class Slot {
   public:
    // Takes one, if there is one left.
    explicit Slot(Slots& slots) : slots_(slots) {
      // Only the count itself is shared: relaxed.
      taken_ = slots_.free_.fetch_sub(1, std::memory_order_relaxed) > 0;
      if (!taken_) slots_.free_.fetch_add(1, std::memory_order_relaxed);
    }
    ~Slot() {
      if (taken_) slots_.free_.fetch_add(1, std::memory_order_relaxed);
    }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

    bool taken() const { return taken_; }

   private:
    Slots& slots_;
    bool taken_;
  };

 private:
  std::atomic<int> free_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_DASHBOARD_SLOTS_H_
