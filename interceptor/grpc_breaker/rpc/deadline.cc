#include "grpc_breaker/rpc/deadline.h"

namespace grpc_breaker::internal {

Deadline Deadline::Infinite() {
  return Deadline(gpr_inf_future(GPR_CLOCK_MONOTONIC));
}

Deadline Deadline::Of(const grpc::ClientContext& context) {
  return Deadline(
      gpr_convert_clock_type(context.raw_deadline(), GPR_CLOCK_MONOTONIC));
}

Deadline Deadline::After(absl::Duration duration) {
  const timespec span = absl::ToTimespec(duration);
  return Deadline(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                   gpr_timespec{span.tv_sec, static_cast<int32_t>(span.tv_nsec),
                                GPR_TIMESPAN}));
}

bool Deadline::infinite() const {
  return gpr_time_cmp(time_, gpr_inf_future(GPR_CLOCK_MONOTONIC)) == 0;
}

bool Deadline::passed() const {
  return gpr_time_cmp(time_, gpr_now(GPR_CLOCK_MONOTONIC)) <= 0;
}

MonotonicTime Deadline::On(Environment& environment) const {
  if (infinite()) return MonotonicTime::max();
  const gpr_timespec left = gpr_time_sub(time_, gpr_now(GPR_CLOCK_MONOTONIC));
  return TimeAfter(environment.Now(), absl::Seconds(left.tv_sec) +
                                          absl::Nanoseconds(left.tv_nsec));
}

}  // namespace grpc_breaker::internal
