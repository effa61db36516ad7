// Asynchronous retry: for work that is begun here and reports elsewhere. No
// thread waits, neither for an attempt nor for the delay before the next one.

#include <atomic>
#include <functional>
#include <iostream>
#include <string>

#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "examples/support/check.h"
#include "grpc_breaker/with_retry.h"

namespace {

using Data = absl::StatusOr<std::string>;

std::atomic<int> fetches{0};

// Returns at once, and reports on another thread: a failure at first, and data
// from the fourth time on.
void StartFetch(std::function<void(Data)> report) {
  grpc_breaker::Environment& world = grpc_breaker::Environment::Default();
  world.RunAt(world.Now(), [report = std::move(report)] {
    if (++fetches < 4) return report(absl::UnavailableError("no answer yet"));
    report(std::string("data"));
  });
}

}  // namespace

int main() {
  grpc_breaker::RetryOptions config;
  config.max_retries = 5;
  config.base_delay = absl::Milliseconds(1);

  Data data;
  absl::Notification done;
  grpc_breaker::WithRetryAsync<Data>(config, StartFetch, [&](Data result) {
    data = std::move(result);
    done.Notify();
  });
  std::cout << "meanwhile, this thread is free\n";
  done.WaitForNotification();

  std::cout << shop::ValueOrExit(data) << ", at fetch " << fetches << "\n";
  shop::Check(fetches == 4, "three failures are retried");
}
