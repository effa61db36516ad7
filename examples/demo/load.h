#ifndef GRPC_BREAKER_EXAMPLES_DEMO_LOAD_H_
#define GRPC_BREAKER_EXAMPLES_DEMO_LOAD_H_

// Steady load: threads that ask for a price again and again, each at its own
// pace, whatever comes back.
//
// Thread-safe.

#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "examples/demo/demo.grpc.pb.h"
#include "grpcpp/channel.h"

namespace demo {

// What became of some calls.
struct Answers {
  int from_server = 0;
  int from_fallback = 0;
  int failed = 0;
  int rejected = 0;  // By the breaker; they are counted above as well.
  std::vector<absl::Duration> latencies;

  int calls() const { return from_server + from_fallback + failed; }
  // That part of the calls, in [0, 1), took no longer; 0 without calls.
  absl::Duration Latency(double quantile) const;
};

class Load {
 public:
  // `period`: from one call of a thread to its next.
  Load(std::shared_ptr<grpc::Channel> channel, int threads,
       absl::Duration period);
  ~Load();

  // Those since it was last asked.
  Answers Take();

 private:
  void Run(absl::Duration offset);
  void Call(Prices::Stub& stub);

  const std::shared_ptr<grpc::Channel> channel_;
  const absl::Duration period_;
  absl::Notification stop_;
  std::mutex mutex_;
  Answers answers_;
  std::vector<std::thread> threads_;
};

}  // namespace demo

#endif  // GRPC_BREAKER_EXAMPLES_DEMO_LOAD_H_
