// A million unary calls, or as many as the argument says, 64 at a time, over
// TCP loopback to a server in this process that fails the first attempt of
// every tenth. Exits with 0 if each ended once, with its own reply, after as
// many attempts as it needed, and if memory did not grow.

#include <atomic>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "tests/bench/bench_util.h"
#include "tests/resident_bytes.h"

namespace grpc_breaker::bench {
namespace {

using admin::v1::Breaker;
using admin::v1::CircuitBreakerAdmin;
using admin::v1::GetBreakerRequest;

constexpr int kInFlight = 64;
constexpr int64_t kMayGrow = int64_t{16} << 20;

bool FailsAtFirst(int64_t call) { return call % 10 == 0; }

// What has been seen of each call, by its number.
struct Seen {
  explicit Seen(int64_t calls) : attempts(calls), replies(calls) {}

  std::vector<std::atomic<uint8_t>> attempts;  // By the server.
  std::vector<std::atomic<uint8_t>> replies;   // Right ones, by the client.
};
Seen* seen = nullptr;

class EchoService final : public CircuitBreakerAdmin::Service {
  grpc::Status GetBreaker(grpc::ServerContext* /*context*/,
                          const GetBreakerRequest* request,
                          Breaker* reply) override {
    int64_t call;
    if (!absl::SimpleAtoi(request->method(), &call)) {
      return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no number");
    }
    if (seen->attempts[call]++ == 0 && FailsAtFirst(call)) {
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "as asked");
    }
    reply->set_method(request->method());
    return grpc::Status::OK;
  }
};

class Soak {
 public:
  explicit Soak(int64_t calls) : calls_(calls) {
    Options options;
    Policy& policy = options.Service<CircuitBreakerAdmin>();
    policy.idempotency = Idempotency::kRepeatable;
    policy.retry.base_delay = absl::Milliseconds(1);
    policy.breaker.consecutive_failures = 0;  // In a million there are some.
    stub_ = CircuitBreakerAdmin::NewStub(ChannelUnder(
        std::move(options), ServerAddress<EchoService>(), OwnConnection()));
  }

  void Run() {
    for (int i = 0; i < kInFlight; ++i) StartNext();
    done_.WaitForNotification();
  }

  // Resident, when a tenth of the calls had ended.
  int64_t bytes_at_first() const { return bytes_at_first_; }

 private:
  struct Call {
    grpc::ClientContext context;
    GetBreakerRequest request;
    Breaker reply;
  };

  void StartNext() {
    const int64_t number = next_++;
    if (number >= calls_) return;
    auto* call = new Call;
    call->request.set_method(absl::StrCat(number));
    stub_->async()->GetBreaker(
        &call->context, &call->request, &call->reply,
        [this, call, number](const grpc::Status& status) {
          if (status.ok() && call->reply.method() == call->request.method()) {
            ++seen->replies[number];
          }
          delete call;
          StartNext();
          const int64_t ended = ++ended_;
          if (ended == calls_ / 10) bytes_at_first_ = ResidentBytes();
          if (ended == calls_) done_.Notify();
        });
  }

  const int64_t calls_;
  std::unique_ptr<CircuitBreakerAdmin::Stub> stub_;
  std::atomic<int64_t> next_{0};
  std::atomic<int64_t> ended_{0};
  std::atomic<int64_t> bytes_at_first_{0};
  absl::Notification done_;
};

int Main(int argc, char** argv) {
  int64_t calls = 1'000'000;
  if (argc > 2 ||
      (argc == 2 && (!absl::SimpleAtoi(argv[1], &calls) || calls < 1000))) {
    std::cerr << "usage: rpc_soak [CALLS], at least 1000\n";
    return 2;
  }
  seen = new Seen(calls);
  const absl::Time start = absl::Now();
  Soak soak(calls);
  soak.Run();
  const int64_t grown = ResidentBytes() - soak.bytes_at_first();

  int64_t wrong = 0;
  for (int64_t call = 0; call < calls; ++call) {
    const int attempts = FailsAtFirst(call) ? 2 : 1;
    wrong += seen->replies[call] != 1 || seen->attempts[call] != attempts;
  }
  std::cout << calls << " calls in " << absl::Now() - start << ", " << wrong
            << " of them lost, doubled or wrong; memory grew by "
            << grown / 1024 << " KiB since the first tenth\n";
  return wrong == 0 && grown <= kMayGrow ? 0 : 1;
}

}  // namespace
}  // namespace grpc_breaker::bench

int main(int argc, char** argv) {
  return grpc_breaker::bench::Main(argc, argv);
}
