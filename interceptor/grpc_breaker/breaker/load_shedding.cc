#include "grpc_breaker/breaker/load_shedding.h"

#include <algorithm>
#include <cstddef>

namespace grpc_breaker::internal {

double ThrottleProbability(int64_t requests, int64_t accepts, double k) {
  const double excess =
      static_cast<double>(requests) - k * static_cast<double>(accepts);
  return std::max(0.0, excess / static_cast<double>(requests + 1));
}

double ThrottleProbability(const CompiledOptions& compiled,
                           const Window& window, uint64_t epoch) {
  const double k = compiled.options.throttle_k;
  const int64_t shed = window.Shed(epoch);
  if (k == 0 || shed + window.Failures(epoch) == 0) return 0;
  const WindowCounts counts = window.Counts(epoch);
  return ThrottleProbability(counts.calls() + shed, counts.successes, k);
}

double RampShare(const std::vector<double>& ramp, int64_t step_ns,
                 int64_t elapsed_ns) {
  const int64_t step = std::max<int64_t>(elapsed_ns, 0) / step_ns;
  return step < static_cast<int64_t>(ramp.size())
             ? ramp[static_cast<size_t>(step)]
             : 1.0;
}

}  // namespace grpc_breaker::internal
