#include "grpc_breaker/backoff.h"

#include <algorithm>

namespace grpc_breaker {

Backoff::Backoff(const RetryOptions& options, Environment& environment)
    : options_(options), environment_(environment) {
  Reset();
}

void Backoff::Reset() {
  exponential_ = options_.base_delay;
  previous_ = options_.base_delay;
}

absl::Duration Backoff::Next() {
  const absl::Duration delay = std::min(Jittered(), options_.max_delay);
  previous_ = delay;
  GrowFrom(exponential_);
  return delay;
}

absl::Duration Backoff::NextAtLeast(absl::Duration least) {
  const absl::Duration delay = Next();
  if (delay >= least) return delay;
  previous_ = std::min(least, options_.max_delay);
  if (least * options_.exponential_base > exponential_) GrowFrom(least);
  return least;
}

// A base below 1 makes it shrink, but never to no delay at all.
void Backoff::GrowFrom(absl::Duration delay) {
  exponential_ = std::clamp(delay * options_.exponential_base,
                            absl::Nanoseconds(1), options_.max_delay);
}

absl::Duration Backoff::Jittered() {
  const absl::Duration d = exponential_;
  switch (options_.jitter) {
    case Jitter::kNone:
      return d;
    case Jitter::kPlusMinusHalf:
      return d * (0.5 + environment_.Uniform());
    case Jitter::kFull:
      return d * environment_.Uniform();
    case Jitter::kEqual:
      return d * (0.5 + 0.5 * environment_.Uniform());
    case Jitter::kDecorrelated: {
      const absl::Duration base = options_.base_delay;
      return base + (3 * previous_ - base) * environment_.Uniform();
    }
    case Jitter::kGrpcA6:
      return d * (0.8 + 0.4 * environment_.Uniform());
  }
  return d;
}

}  // namespace grpc_breaker
