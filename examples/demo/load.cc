#include "examples/demo/load.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <utility>

#include "grpc_breaker/trailing_metadata.h"

namespace demo {

using Clock = std::chrono::steady_clock;

absl::Duration Answers::Latency(double quantile) const {
  if (latencies.empty()) return absl::ZeroDuration();
  std::vector<absl::Duration> sorted = latencies;
  const auto place =
      sorted.begin() + static_cast<std::ptrdiff_t>(
                           quantile * static_cast<double>(sorted.size()));
  std::nth_element(sorted.begin(), place, sorted.end());
  return *place;
}

Load::Load(std::shared_ptr<grpc::Channel> channel, int threads,
           absl::Duration period)
    : channel_(std::move(channel)), period_(period) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this, i, threads] { Run(period_ * i / threads); });
  }
}

Load::~Load() {
  stop_.Notify();
  for (std::thread& thread : threads_) thread.join();
}

Answers Load::Take() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(answers_, Answers());
}

void Load::Run(absl::Duration offset) {
  const auto stub = Prices::NewStub(channel_);
  Clock::time_point next = Clock::now() + absl::ToChronoNanoseconds(offset);
  while (!stop_.WaitForNotificationWithTimeout(
      absl::FromChrono(next - Clock::now()))) {
    Call(*stub);
    // After a slow call goes on from now, instead of catching up.
    next = std::max(next + absl::ToChronoNanoseconds(period_), Clock::now());
  }
}

void Load::Call(Prices::Stub& stub) {
  grpc::ClientContext context;
  GetPriceRequest request;
  request.set_article("hammer");
  Price price;
  const Clock::time_point start = Clock::now();
  const grpc::Status status = stub.GetPrice(&context, request, &price);
  const absl::Duration latency = absl::FromChrono(Clock::now() - start);
  const bool rejected =
      context.GetServerTrailingMetadata().count(grpc_breaker::kRejectedKey) > 0;

  const std::lock_guard<std::mutex> lock(mutex_);
  ++(!status.ok()         ? answers_.failed
     : price.from_cache() ? answers_.from_fallback
                          : answers_.from_server);
  answers_.rejected += rejected ? 1 : 0;
  answers_.latencies.push_back(latency);
}

}  // namespace demo
