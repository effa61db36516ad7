#ifndef GRPC_BREAKER_FLEET_BREAKER_ROWS_H_
#define GRPC_BREAKER_FLEET_BREAKER_ROWS_H_

// The rows of one process, from one answer to the next.
//
// Thread-compatible.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "google/protobuf/repeated_ptr_field.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/environment.h"
#include "grpc_breaker/fleet/fleet_snapshot.h"

namespace grpc_breaker::internal {

class BreakerRows {
 public:
  using Breakers = google::protobuf::RepeatedPtrField<admin::v1::Breaker>;

  // At most so many points per breaker, > 0.
  explicit BreakerRows(size_t points) : points_(points) {}

  // What has been answered at `now`; `*breakers` is used up. Rates and points
  // are made if an interval has ended. A channel of which a count has become
  // less is another one of that name, and begins anew.
  void Update(Breakers* breakers, MonotonicTime now, bool interval_ended);

  // What is answered next is of another process: all of it begins anew.
  void BeginAnew();

  // By channel and then method.
  const std::vector<std::shared_ptr<const FleetRow>>& rows() const {
    return rows_;
  }

 private:
  // The counts of a breaker when an interval began.
  struct Beginning {
    MonotonicTime time;
    uint64_t calls;
    uint64_t failures;
    uint64_t rejections;
  };

  static Beginning BeginningOf(const admin::v1::Breaker& breaker,
                               MonotonicTime now);
  void EndInterval(MonotonicTime now, FleetRow& row, Beginning& beginning);

  const size_t points_;
  std::vector<std::shared_ptr<const FleetRow>> rows_;
  // Of each row; unset if it is of no use for what is answered next.
  std::vector<std::optional<Beginning>> beginnings_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_FLEET_BREAKER_ROWS_H_
