#include "grpc_breaker/fleet/fleet_history.h"

#include <algorithm>

namespace grpc_breaker::internal {

static_assert(sizeof(FleetPoint) <= 64, "fleet.h says so");

void FleetHistory::Add(const FleetPoint& point, size_t most) {
  size_t end = begin_ + size_;
  const bool is_ours = buffer_ != nullptr && end < buffer_->points.size() &&
                       buffer_->used.compare_exchange_strong(
                           end, end + 1, std::memory_order_relaxed);
  if (!is_ours) {
    const size_t kept = std::min(size_, most - 1);
    constexpr size_t kLeast = 8;
    const auto buffer = std::make_shared<Buffer>(
        std::min(2 * most, std::max(2 * (kept + 1), kLeast)));
    const auto old = points();
    std::copy(old.end() - kept, old.end(), buffer->points.begin());
    buffer->used.store(kept + 1, std::memory_order_relaxed);
    buffer_ = buffer;
    begin_ = 0;
    size_ = kept;
  }
  buffer_->points[begin_ + size_] = point;
  ++size_;
  if (size_ > most) {
    begin_ += size_ - most;
    size_ = most;
  }
}

}  // namespace grpc_breaker::internal
