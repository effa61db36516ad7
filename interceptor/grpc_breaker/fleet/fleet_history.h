#ifndef GRPC_BREAKER_FLEET_FLEET_HISTORY_H_
#define GRPC_BREAKER_FLEET_FLEET_HISTORY_H_

// What a breaker did in each of the last intervals, the oldest first: a value
// that is cheap to copy and to lengthen, so that each snapshot can have one of
// its own.
//
// Copies share their points. A point is added behind those that the others see,
// who do not notice; what is full, or was lengthened by another copy before, is
// copied first. So a history takes the memory of at most twice the points that
// it may have, and adding one costs on average as much as copying two.
//
// Thread-compatible: a value, also where its copies belong to other threads.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "grpc_breaker/environment.h"

namespace grpc_breaker::internal {

// One interval of a breaker.
struct FleetPoint {
  // When it ended, by the clock of who asks, and how long it was: longer than
  // the options say where the process did not answer in between. > 0.
  MonotonicTime time;
  absl::Duration length;

  // In it: calls that ended, those of them whose status was not OK, and
  // attempts that the breaker refused.
  uint64_t calls = 0;
  uint64_t failures = 0;
  uint64_t rejections = 0;

  // At its end, of the last minute's calls that were not rejected: half and
  // 99 % took no longer. Negative: there were none.
  double p50_seconds = -1;
  double p99_seconds = -1;
};

class FleetHistory {
 public:
  FleetHistory() = default;

  // The oldest first. As long as this or a copy of it is there.
  absl::Span<const FleetPoint> points() const {
    return buffer_ == nullptr
               ? absl::Span<const FleetPoint>()
               : absl::MakeConstSpan(buffer_->points).subspan(begin_, size_);
  }

  // Adds one, and forgets the oldest where there would be more than `most`,
  // which is > 0.
  void Add(const FleetPoint& point, size_t most);

 private:
  struct Buffer {
    explicit Buffer(size_t capacity) : points(capacity) {}

    std::vector<FleetPoint> points;
    // How many of them are somebody's. Who raises it owns the next; how a
    // history comes to another thread orders all else.
    std::atomic<size_t> used{0};
  };

  std::shared_ptr<Buffer> buffer_;
  size_t begin_ = 0;
  size_t size_ = 0;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_FLEET_FLEET_HISTORY_H_
